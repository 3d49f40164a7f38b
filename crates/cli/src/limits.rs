//! Where limits are read and set: a store, or a coordinator.

use assay_common::clock::Clock;
use assay_common::config::Config;
use assay_coordinator::limits::{Kind, LimitsDocument, standing};

use crate::args::SetArgs;
use crate::exit::Exit;
use crate::releases::{Releases, desk, exit};

impl Releases {
    /// How all limits stand. A coordinator goes by its own file.
    pub(crate) async fn limits(&self, config: &Config) -> Result<LimitsDocument, Exit> {
        match self {
            Self::Store(store) => Ok(standing(store, config, Clock::system().now()).await?),
            Self::Server(client) => Ok(client.limits().await?),
        }
    }

    /// Sets one limit after the other; returns how those of the scope stand then.
    pub(crate) async fn set_limits(&self, config: &Config, asked: &SetArgs) -> Result<LimitsDocument, Exit> {
        let SetArgs { scope, reason, .. } = asked;
        let (mut standing, mut done) = (LimitsDocument::default(), Vec::new());
        for (kind, to) in asked.given() {
            let set = match self {
                Self::Store(store) => {
                    desk(store)?.set_limit(config, scope, kind, to, reason).await.map_err(exit)
                }
                Self::Server(client) => client.set_limit(scope, kind, to, reason).await.map_err(Exit::from),
            };
            standing = set.map_err(|exit| after(&done, kind, exit))?;
            done.push(kind.to_string());
        }
        Ok(standing)
    }

    /// Lifts what holds the calls of an account back; returns how its limits stand then.
    pub(crate) async fn resume_account(
        &self,
        config: &Config,
        account: &str,
        reason: &str,
    ) -> Result<LimitsDocument, Exit> {
        match self {
            Self::Store(store) => desk(store)?.resume_account(config, account, reason).await.map_err(exit),
            Self::Server(client) => Ok(client.resume_account(account, reason).await?),
        }
    }

    /// Takes a limit back, or all of a scope; returns how those of the scope stand then.
    pub(crate) async fn clear_limits(
        &self,
        config: &Config,
        scope: &str,
        kind: Option<Kind>,
        reason: &str,
    ) -> Result<LimitsDocument, Exit> {
        match self {
            Self::Store(store) => desk(store)?.clear_limit(config, scope, kind, reason).await.map_err(exit),
            Self::Server(client) => Ok(client.clear_limit(scope, kind, reason).await?),
        }
    }
}

/// Why a limit was not set, after those that were: they stay.
fn after(done: &[String], kind: Kind, exit: Exit) -> Exit {
    let stands = || format!("{} set, {kind} and what follows not", done.join(", "));
    match exit {
        Exit::Input(error) if !done.is_empty() => Exit::Input(error.context(stands())),
        Exit::Unfinished(error) if !done.is_empty() => Exit::Unfinished(error.context(stands())),
        exit => exit,
    }
}
