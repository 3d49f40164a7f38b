//! One file a command.

mod compare;
mod conclude;
mod coordinator;
mod estimate;
mod files;
mod flaky;
mod fleet;
mod follow;
mod incident;
mod keys;
mod limits;
mod live;
mod migrate;
mod notify;
mod prompt;
mod prune;
mod quarantine;
mod results;
mod review;
mod run;
mod schedule;
mod schema;
mod session;
mod status;
mod steer;
mod submit;
mod token;
mod validate;
mod worker;

use anyhow::anyhow;
use assay_common::trace::Tracer;
use assay_coordinator::steer::Action;
use assay_store::StoreError;

pub(crate) use self::fleet::host;
use crate::args::{Args, Command, RetryArgs};
use crate::exit::Exit;
use crate::settings::Settings;

/// Calls the command; its spans are known to `tracer`.
pub(crate) async fn call(args: Args, tracer: Tracer) -> Result<Exit, Exit> {
    if let Command::Schema = args.command {
        return schema::call();
    }
    if args.command.is_local() && args.common.server_typed {
        let why = "this command asks no coordinator; leave the flag out, or send a suite to one with `assay submit`";
        return Err(Exit::Input(anyhow!("--server: {why}")));
    }
    let settings = Settings::load(&args.common, tracer)?;
    let store = settings.store.to_string();
    let changes = args.command.changes();
    let ended = dispatch(args.command, &settings).await;
    if changes {
        notify::afterwards(&settings).await;
    }
    ended.map_err(|exit| match exit {
        // What a database says of itself does not say which one it is.
        Exit::Unfinished(error) if matches!(error.downcast_ref(), Some(StoreError::Database(_))) => {
            Exit::Unfinished(error.context(format!("the store {store} cannot be used")))
        }
        exit => exit,
    })
}

async fn dispatch(command: Command, settings: &Settings) -> Result<Exit, Exit> {
    match command {
        Command::Run(run) => Box::pin(run::call(settings, &run)).await,
        Command::Validate { suite } => validate::call(settings, &suite).await,
        Command::Schema => schema::call(),
        Command::Status { run, files } => status::call(settings, run, &files).await,
        Command::Results { run, earlier } => results::call(settings, run, earlier).await,
        Command::Compare(compare) => Box::pin(compare::call(settings, &compare)).await,
        Command::Flaky { suite, runs } => flaky::call(settings, suite, runs).await,
        Command::Quarantine { command } => quarantine::call(settings, command).await,
        Command::Submit(submit) => Box::pin(submit::call(settings, &submit)).await,
        Command::Watch { run, patience, files } => {
            follow::call(settings, settings.client()?, run, patience.0, &files).await
        }
        Command::Cancel(steer) => steer::call(settings, Action::Cancel, &steer).await,
        Command::Pause(steer) => steer::call(settings, Action::Pause, &steer).await,
        Command::Resume(steer) => steer::call(settings, Action::Resume, &steer).await,
        Command::Retry(RetryArgs { steer, kind, errored: _ }) => {
            steer::call(settings, Action::Retry(kind), &steer).await
        }
        Command::Prompt { command } => Box::pin(prompt::call(settings, command)).await,
        Command::Incident { command } => incident::call(settings, command).await,
        Command::Schedule { command } => Box::pin(schedule::call(settings, command)).await,
        Command::Review(review) => review::call(settings, &review).await,
        Command::Risk { command } => review::risk(settings, command).await,
        Command::Range { command } => review::range(settings, command).await,
        Command::Limits { command } => limits::call(settings, command).await,
        Command::Notify { command } => notify::call(settings, command).await,
        Command::Token { command } => token::call(settings, command).await,
        Command::Migrate { check } => migrate::call(settings, check).await,
        Command::Prune { older_than, dry_run } => prune::call(settings, older_than.0, dry_run).await,
        Command::Coordinator(coordinator) => Box::pin(coordinator::call(settings, &coordinator)).await,
        Command::Worker(worker) => Box::pin(worker::call(settings, &worker)).await,
    }
}
