//! Who has this process to himself: a job that is suspected of ending it runs alone, so that nobody is taken down with it.
//!
//! Every job holds its lane from before its claim until it is recorded. Whoever wants the process for one job waits until
//! all others are done, and meanwhile nobody claims: the wait ends, since no job needs a second lane to get done.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The one lane that is alone, or any number of shared ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes(Arc<RwLock<()>>);

/// The right to run a job, held until it is recorded.
#[derive(Clone, Debug)]
pub(crate) enum Lane {
    /// Beside others.
    Shared { _beside: Arc<OwnedRwLockReadGuard<()>> },
    /// Beside none.
    Alone { _before: Arc<OwnedRwLockWriteGuard<()>> },
}

impl Lanes {
    /// A lane beside others, which all jobs of one claim share. Waits for a job that is alone, and for one that wants to be.
    pub(crate) async fn shared(&self) -> Lane {
        Lane::Shared { _beside: Arc::new(Arc::clone(&self.0).read_owned().await) }
    }

    /// The process for one job: waits until no other is held.
    pub(crate) async fn alone(&self) -> Lane {
        Lane::Alone { _before: Arc::new(Arc::clone(&self.0).write_owned().await) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn at_once<T>(lane: impl Future<Output = T>) -> Option<T> {
        timeout(Duration::ZERO, lane).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_to_be_alone_waits_for_all_and_nobody_overtakes_him() {
        let lanes = Lanes::default();
        let (first, second) = (lanes.shared().await, lanes.shared().await);
        let alone = tokio::spawn({
            let lanes = lanes.clone();
            async move { lanes.alone().await }
        });
        tokio::task::yield_now().await;
        assert!(at_once(lanes.shared()).await.is_none(), "nothing is claimed meanwhile");
        drop((first.clone(), first));
        assert!(!alone.is_finished());
        drop(second);
        let alone = alone.await.unwrap();
        assert!(at_once(lanes.shared()).await.is_none() && at_once(lanes.alone()).await.is_none());
        drop(alone);
        assert!(at_once(lanes.shared()).await.is_some());
    }
}
