//! `assay notify`; and what a command that works on a store by itself has changed is told when it is done.

use std::time::Duration;

use assay_common::clock::Clock;
use assay_coordinator::notify::{Told, tell};
use assay_coordinator::review::ranges::watch;
use assay_store::{Schema, Store};

use super::prompt::put;
use crate::args::NotifyCommand;
use crate::exit::Exit;
use crate::releases::Releases;
use crate::render::{review as render, warn};
use crate::settings::Settings;

/// How long a command waits for webhooks when it is done.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// How long one waits that is about nothing else.
const WHOLLY: Duration = Duration::from_secs(30);

/// Lists, tests or tries again.
pub(crate) async fn call(settings: &Settings, command: NotifyCommand) -> Result<Exit, Exit> {
    let releases = Releases::open(settings).await?;
    match command {
        NotifyCommand::List { all } => {
            put(settings, &releases.deliveries(all).await?, |found| render::deliveries(found))
        }
        NotifyCommand::Test { webhook } => {
            let names = releases.test_webhooks(&settings.config, webhook.as_deref()).await?;
            let to = names.join(", ");
            if settings.server.is_some() {
                warn(&[format!(
                    "a test of {to} is on its way; `assay notify list` shows what becomes of it"
                )]);
                return Ok(Exit::Done);
            }
            told(settings, &format!("a test was taken by {to}")).await
        }
        NotifyCommand::Retry { webhook } => {
            let deliveries = releases.retry_webhooks(&settings.config, webhook.as_deref()).await?;
            if settings.server.is_some() {
                warn(&[format!(
                    "{deliveries} messages are tried again; `assay notify list` shows what becomes of them"
                )]);
                return Ok(Exit::Done);
            }
            told(settings, &format!("{deliveries} messages were tried again")).await
        }
    }
}

/// Tells what there is to tell, and says whether it was taken.
async fn told(settings: &Settings, said: &str) -> Result<Exit, Exit> {
    let told = pass(settings, WHOLLY).await?;
    if told.problems.is_empty() {
        warn(&[said]);
        return Ok(Exit::Done);
    }
    warn(&told.problems);
    Ok(Exit::Failed)
}

/// Tells what a command has changed, as far as webhooks take it within a few seconds; the rest is told after the next command.
pub(crate) async fn afterwards(settings: &Settings) {
    if settings.config.webhooks.is_empty() || settings.server.is_some() {
        return;
    }
    match pass(settings, AFTERWARDS).await {
        Ok(Told { problems, .. }) if problems.is_empty() => {}
        // Why has been logged.
        Ok(_) => warn(&["what webhooks did not take is kept and tried again: `assay notify list` shows it"]),
        Err(Exit::Unfinished(error) | Exit::Input(error)) => {
            tracing::debug!(%error, "webhooks were not told: {error}");
        }
        Err(_) => {}
    }
}

/// A pass over the outbox of the store.
async fn pass(settings: &Settings, patience: Duration) -> Result<Told, Exit> {
    let (store, clock) = (Store::open(&settings.store, Schema::Require).await?, Clock::system());
    watch(&store, clock.now()).await?;
    Ok(tell(&store, &settings.config, &clock, |name| std::env::var(name).ok(), patience).await?)
}
