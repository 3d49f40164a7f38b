//! Tells the store what an account, or one of its models, suffers from, whenever that has changed.

use std::sync::atomic::{AtomicU64, Ordering};

use assay_common::clock::Clock;
use assay_store::{AccountProblem, Store};

use super::breaker::Trouble;
use crate::persist::with_sources;

/// What the store knows of one account or model.
#[derive(Debug)]
pub(crate) struct Teller {
    /// Of the account, or of the model with its account before it.
    name: String,
    told: tokio::sync::Mutex<Told>,
    /// Changes so far, and how many of them the store knows.
    changes: AtomicU64,
    changes_told: AtomicU64,
}

/// How the last words to the store went.
#[derive(Debug, Default)]
struct Told {
    /// What the store was last told; nothing yet at first, so that the first call clears what an earlier process left behind.
    trouble: Option<Option<Trouble>>,
    /// Whether the store did not hear what was said since: calls end many times a second, an outage is said once.
    unheard: bool,
}

impl Teller {
    /// The store knows nothing, or what an earlier process said.
    pub(crate) fn new(name: String) -> Self {
        Self { name, told: Default::default(), changes: AtomicU64::new(1), changes_told: AtomicU64::new(0) }
    }

    /// There is something to tell.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Tells the store of the present `trouble`, when it has changed. Calls queue up, so that the last word is the latest.
    pub(crate) async fn tell(&self, trouble: impl Fn() -> Option<Trouble>, store: &Store, clock: &Clock) {
        if self.changes_told.load(Ordering::Acquire) == self.changes.load(Ordering::Acquire) {
            return;
        }
        let mut told = self.told.lock().await;
        let changes = self.changes.load(Ordering::Acquire);
        let trouble = trouble();
        let name = &self.name;
        if told.trouble.as_ref() != Some(&trouble) {
            let problem = trouble.as_ref().map(|trouble| AccountProblem {
                kind: trouble.kind.to_owned(),
                detail: trouble.detail.clone(),
                since: trouble.since,
            });
            if let Err(error) = store.report_account(name.clone(), problem, clock.now()).await {
                if !std::mem::replace(&mut told.unheard, true) {
                    let error = with_sources(&error);
                    tracing::warn!(
                        account.name = %name, error,
                        "failed to report the state of {name}; each call's end tries again until it works"
                    );
                }
                return;
            }
            if std::mem::take(&mut told.unheard) {
                tracing::info!(account.name = %name, "the store answers again: it knows the state of {name}");
            }
            match &trouble {
                Some(Trouble { kind, detail, .. }) => {
                    tracing::warn!(account.name = %name, problem.kind = kind, "{name} takes no calls: {detail}");
                }
                None if told.trouble.as_ref().is_some_and(Option::is_some) => {
                    tracing::info!(account.name = %name, "{name} takes calls again");
                }
                None => {}
            }
            told.trouble = Some(trouble);
        }
        self.changes_told.store(changes, Ordering::Release);
    }
}
