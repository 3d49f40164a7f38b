//! `assay notify`; and what a command that works on a store by itself has changed is told when it is done.

use std::time::Duration;

use assay_common::clock::Clock;
use assay_coordinator::notify::{Told, tell, tell_these};
use assay_coordinator::review::ranges::watch;
use assay_store::{Schema, Store};

use super::prompt::put;
use crate::args::NotifyCommand;
use crate::exit::Exit;
use crate::releases::{Releases, desk, exit};
use crate::render::{review as render, warn};
use crate::settings::Settings;

/// How long a command waits for webhooks when it is done.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// How long one waits that is about nothing else.
const WHOLLY: Duration = Duration::from_secs(30);

/// Lists, tests or tries again.
pub(crate) async fn call(settings: &Settings, command: NotifyCommand) -> Result<Exit, Exit> {
    let releases = Releases::open(settings).await?;
    match (command, &releases) {
        (NotifyCommand::List { all }, _) => {
            put(settings, &releases.deliveries(all).await?, |found| render::deliveries(found))
        }
        (NotifyCommand::Test { webhook }, Releases::Server(client)) => {
            let to = client.test_webhooks(webhook.as_deref()).await?.join(", ");
            warn(&[format!("a test of {to} is on its way; `assay notify list` shows what becomes of it")]);
            Ok(Exit::Done)
        }
        (NotifyCommand::Test { webhook }, Releases::Store(store)) => {
            let tests =
                desk(store)?.test_webhooks(&settings.config, webhook.as_deref()).await.map_err(exit)?;
            Ok(said(&tell_these(store, &settings.config, &Clock::system(), variable, &tests).await?))
        }
        (NotifyCommand::Retry { webhook }, Releases::Server(client)) => {
            let deliveries = client.retry_webhooks(webhook.as_deref()).await?;
            warn(&[format!(
                "{deliveries} messages are tried again; `assay notify list` shows what becomes of them"
            )]);
            Ok(Exit::Done)
        }
        (NotifyCommand::Retry { webhook }, Releases::Store(store)) => {
            let only = webhook.as_deref();
            desk(store)?.retry_webhooks(&settings.config, only).await.map_err(exit)?;
            Ok(said(&pass(store, settings, only, WHOLLY).await?))
        }
    }
}

/// Says what each webhook answered, and what it was not asked.
fn said(told: &[Told]) -> Exit {
    let lines: Vec<_> = told.iter().flat_map(answers).collect();
    warn(&lines);
    if told.iter().all(Told::is_done) { Exit::Done } else { Exit::Failed }
}

fn answers(told: &Told) -> Vec<String> {
    let Told { webhook, taken, refused, elsewhere, cut_short } = told;
    let messages = |n: &u64| if *n == 1 { "1 message".to_owned() } else { format!("{n} messages") };
    let mut lines = Vec::new();
    if *taken > 0 {
        lines.push(format!("{webhook} took {}", messages(taken)));
    }
    lines.extend(refused.iter().map(|message| format!("{webhook} did not take {message}")));
    if *elsewhere > 0 {
        lines.push(format!(
            "another process sends {} to {webhook}: `assay notify list` shows what becomes of it",
            messages(elsewhere)
        ));
    }
    if *cut_short {
        lines.push(format!("{webhook} was not asked to take the rest, for want of time: ask again"));
    }
    if lines.is_empty() {
        lines.push(format!("there is nothing to tell {webhook}"));
    }
    lines
}

/// Tells what a command has changed, as far as webhooks take it within a few seconds; the rest is told after the next command.
pub(crate) async fn afterwards(settings: &Settings) {
    if settings.config.webhooks.is_empty() || settings.server.is_some() {
        return;
    }
    let passed = async {
        let store = Store::open(&settings.store, Schema::Require).await?;
        pass(&store, settings, None, AFTERWARDS).await
    };
    match passed.await {
        Ok(told) if told.iter().all(Told::is_done) => {}
        // Why has been logged.
        Ok(_) => warn(&["what webhooks did not take is kept and tried again: `assay notify list` shows it"]),
        Err(Exit::Unfinished(error) | Exit::Input(error)) => {
            tracing::debug!(%error, "webhooks were not told: {error}");
        }
        Err(_) => {}
    }
}

/// A pass over the outbox of a store, for all webhooks or for one.
async fn pass(
    store: &Store,
    settings: &Settings,
    only: Option<&str>,
    patience: Duration,
) -> Result<Vec<Told>, Exit> {
    let clock = Clock::system();
    watch(store, clock.now()).await?;
    Ok(tell(store, &settings.config, &clock, variable, only, patience).await?)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a webhook, and whether all is done.
    fn check(told: Told, expected: &[&str], done: bool) {
        assert_eq!(answers(&told), expected);
        assert_eq!(told.is_done(), done, "{told:?}");
    }

    #[test]
    fn says_what_was_taken_and_by_whom_and_what_was_not_tried() {
        let ops = || Told { webhook: "ops".to_owned(), ..Told::default() };
        check(Told { taken: 1, ..ops() }, &["ops took 1 message"], true);
        check(ops(), &["there is nothing to tell ops"], true);
        let elsewhere =
            "another process sends 2 messages to ops: `assay notify list` shows what becomes of it";
        check(Told { elsewhere: 2, ..ops() }, &[elsewhere], true);
        check(
            Told {
                taken: 2,
                refused: vec!["`test` of noon: it answered 503".to_owned()],
                cut_short: true,
                ..ops()
            },
            &[
                "ops took 2 messages",
                "ops did not take `test` of noon: it answered 503",
                "ops was not asked to take the rest, for want of time: ask again",
            ],
            false,
        );
    }
}
