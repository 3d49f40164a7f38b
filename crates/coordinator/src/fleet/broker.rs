//! The broker's absence: told to the store when it lasts, for whoever asks why nothing moves, and withdrawn when it is back.

use std::time::Duration;

use assay_store::{AccountProblem, StoreError};
use tokio::time::Instant;

use crate::environment::Environment;
use crate::run::DispatchError;
use crate::run::round::with_sources;

/// What it is reported under: no provider has a name with a `/`.
pub(crate) const BROKER: &str = "/broker";
/// How long it may be away before somebody is told: a connection takes a moment.
const GRACE: Duration = Duration::from_secs(3);

/// What a leader knows of the broker.
#[derive(Debug, Default)]
pub(super) struct Broker {
    away_since: Option<Instant>,
    /// Whether the store was told that it is away; nothing yet at first, when an earlier leader may have said so.
    told: Option<bool>,
}

impl Broker {
    /// Looks at how dispatch went.
    pub(super) async fn look(
        &mut self,
        environment: &Environment,
        undispatched: Option<&DispatchError>,
    ) -> Result<(), StoreError> {
        let error = match undispatched {
            Some(DispatchError::Queue(error)) => error,
            // The store is away, and has other ways to say so.
            Some(DispatchError::Store(_)) => return Ok(()),
            None => {
                self.away_since = None;
                return self.tell(environment, None).await;
            }
        };
        let since = *self.away_since.get_or_insert_with(Instant::now);
        match since.elapsed() >= GRACE {
            true => self.tell(environment, Some(with_sources(error))).await,
            false => Ok(()),
        }
    }

    async fn tell(&mut self, environment: &Environment, away: Option<String>) -> Result<(), StoreError> {
        let is_away = away.is_some();
        if self.told == Some(is_away) {
            return Ok(());
        }
        let now = environment.clock.now();
        let problem =
            away.map(|detail| AccountProblem { kind: "unreachable".to_owned(), detail, since: now });
        environment.store.report_account(BROKER.to_owned(), problem, now).await?;
        self.told = Some(is_away);
        Ok(())
    }
}
