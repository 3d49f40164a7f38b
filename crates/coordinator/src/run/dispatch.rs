//! Dispatch: at most a window of hints per pool is in the queue, however long the run is.
//!
//! Nothing is written to the store: a job stays pending until it is claimed. What this holds in memory is only a
//! guess about what is under way, and may be forgotten at any time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use assay_common::id::RunId;
use assay_common::job::Hint;
use assay_queue::QueueError;
use assay_store::StoreError;
use tokio::time::Instant;

use crate::environment::Environment;

/// A hint that has been out this long while its queue is empty was lost, and is sent again.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// Why a window could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The store did not say what is pending.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue took nothing.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The window of one run in one pool.
#[derive(Debug)]
pub struct Window {
    run: RunId,
    pool: String,
    /// The most hints in the queue.
    size: u64,
    /// The highest ordinal sent for the first time; everything fresh below it is out or done.
    sent_up_to: Option<u64>,
    /// Jobs that came back (retries, dead members) and were sent again, and when.
    returned: HashMap<u64, Instant>,
    /// When something was last sent.
    last_sent: Instant,
}

impl Window {
    /// A window that has sent nothing yet.
    pub fn new(run: RunId, pool: String, size: u64) -> Self {
        Self { run, pool, size, sent_up_to: None, returned: HashMap::new(), last_sent: Instant::now() }
    }

    /// Sends hints until the window is full: jobs that came back first, then fresh ones in order. Returns how many
    /// were sent.
    pub async fn fill(&mut self, environment: &Environment) -> Result<usize, DispatchError> {
        let depth = environment.queue.depth(&self.pool).await?;
        self.forget_lost(depth);
        let room = u32::try_from(self.size.saturating_sub(depth)).unwrap_or(u32::MAX);
        if room == 0 {
            return Ok(0);
        }
        let mut returned = self.returned(environment, room).await?;
        let left = room.saturating_sub(u32::try_from(returned.len()).unwrap_or(room));
        let mut fresh = match left {
            0 => Vec::new(),
            left => environment.store.due_fresh(self.run, self.pool.clone(), self.sent_up_to, left).await?,
        };
        let hint = |ordinal: &u64| Hint { run: self.run, ordinal: *ordinal };
        let hints: Vec<_> = returned.iter().chain(&fresh).map(hint).collect();
        if hints.is_empty() {
            return Ok(0);
        }
        let refused = environment.queue.publish(&self.pool, &hints).await?;
        let refused: HashSet<_> = refused.into_iter().map(|hint| hint.ordinal).collect();
        returned.retain(|ordinal| !refused.contains(ordinal));
        // A queue may refuse any of them: what comes after the first is sent again, and dies at the claim.
        let kept = fresh.iter().take_while(|ordinal| !refused.contains(ordinal)).count();
        fresh.truncate(kept);
        self.remember(&returned, &fresh);
        Ok(hints.len() - refused.len())
    }

    async fn returned(&mut self, environment: &Environment, room: u32) -> Result<Vec<u64>, StoreError> {
        let now = environment.clock.now();
        // Enough to see past those that are out already.
        let limit = room.saturating_add(u32::try_from(self.returned.len()).unwrap_or(u32::MAX));
        let due = environment.store.due_returned(self.run, self.pool.clone(), now, limit).await?;
        // What is no longer due was claimed: it may come back and is then sent again at once.
        self.returned.retain(|ordinal, _| due.binary_search(ordinal).is_ok());
        let fresh = due.into_iter().filter(|ordinal| !self.returned.contains_key(ordinal));
        Ok(fresh.take(room as usize).collect())
    }

    fn remember(&mut self, returned: &[u64], fresh: &[u64]) {
        let now = Instant::now();
        self.last_sent = now;
        self.returned.extend(returned.iter().map(|ordinal| (*ordinal, now)));
        self.sent_up_to = fresh.last().copied().or(self.sent_up_to);
    }

    /// With an empty queue and nothing sent for a while, whatever is still pending has lost its hint.
    fn forget_lost(&mut self, depth: u64) {
        if depth == 0 && self.last_sent.elapsed() >= LOST_AFTER {
            self.sent_up_to = None;
            self.returned.clear();
            self.last_sent = Instant::now();
        }
    }
}
