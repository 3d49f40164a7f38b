//! The absence of the broker, or of one of its queues: told to the store when it lasts, for whoever asks why nothing moves, and
//! withdrawn when it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_store::{AccountProblem, StoreError};
use tokio::time::Instant;

use crate::environment::Environment;
use crate::run::DispatchError;
use crate::run::round::{Rounds, with_sources};

/// What it is reported under: no provider has a name with a `/`.
pub(crate) const BROKER: &str = "/broker";
/// How long it may be away before somebody is told: a connection takes a moment.
const GRACE: Duration = Duration::from_secs(3);

/// What the absence of a pool's queue is reported under.
pub(crate) fn queue_of(pool: &str) -> String {
    format!("{BROKER}/{pool}")
}

/// What a leader knows of the broker.
#[derive(Debug, Default)]
pub(super) struct Broker {
    away_since: Option<Instant>,
    /// Whether the store was told that it is away, or that a queue is; of nothing yet at first, when an earlier leader may have
    /// said so.
    told: BTreeMap<String, bool>,
}

impl Broker {
    /// Looks at how dispatch went.
    pub(super) async fn look(
        &mut self,
        environment: &Environment,
        rounds: &Rounds,
        undispatched: Option<&DispatchError>,
    ) -> Result<(), StoreError> {
        let error = match undispatched {
            Some(DispatchError::Queue(error)) => Some(error),
            // The store is away, and has other ways to say so.
            Some(DispatchError::Store(_)) => return Ok(()),
            None => None,
        };
        let away_since = error.map(|_| *self.away_since.get_or_insert_with(Instant::now));
        self.away_since = away_since;
        let away = error.filter(|_| away_since.is_some_and(lasts)).map(|error| with_sources(error));
        if away.is_some() || error.is_none() {
            self.tell(environment, BROKER.to_owned(), away).await?;
        }
        if error.is_some() {
            // Which of its queues can be used is nothing to know of a broker that is away.
            return Ok(());
        }
        let unusable: BTreeMap<_, _> = rounds.unusable().collect();
        for pool in rounds.pools() {
            let unusable = unusable.get(pool.pool.as_str());
            let why = unusable.filter(|unusable| lasts(unusable.since)).map(|unusable| unusable.why.clone());
            if why.is_some() || unusable.is_none() {
                self.tell(environment, queue_of(&pool.pool), why).await?;
            }
        }
        Ok(())
    }

    async fn tell(
        &mut self,
        environment: &Environment,
        name: String,
        away: Option<String>,
    ) -> Result<(), StoreError> {
        let is_away = away.is_some();
        if self.told.get(&name) == Some(&is_away) {
            return Ok(());
        }
        let now = environment.clock.now();
        let problem =
            away.map(|detail| AccountProblem { kind: "unreachable".to_owned(), detail, since: now });
        environment.store.report_account(name.clone(), problem, now).await?;
        self.told.insert(name, is_away);
        Ok(())
    }
}

fn lasts(since: Instant) -> bool {
    since.elapsed() >= GRACE
}
