//! The flow of one run's hints into one pool: which of its jobs have a hint out, as far as anybody can know.
//!
//! Nothing of this is written down. It is a guess about what is under way, and may be forgotten at any time: a job that
//! is pending is sent again, and a hint too many dies at the claim.

use std::collections::HashSet;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::job::Hint;
use assay_store::{Run, Store, StoreError};
use tokio::time::Instant;

/// However often hints were lost, the wait before the next attempt is not longer.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60 * 60);

/// One run's hints in one pool.
#[derive(Debug)]
pub(crate) struct Flow {
    /// The highest ordinal sent for the first time; everything fresh below it is out or done.
    sent_up_to: Option<u64>,
    /// The run's cursor when there was nothing fresh left: until it moves there is nothing to ask for.
    drained_at: Option<u64>,
    /// Jobs that came back (retries, dead members) and were sent again.
    returned: HashSet<u64>,
    /// When something was last sent.
    last_sent: Instant,
    /// How long hints may be out, with their queue empty, before they count as lost.
    patience: Duration,
    /// Jobs of the run that were done when its hints were last found lost.
    done_when_lost: u64,
}

impl Flow {
    /// Nothing is out.
    pub(crate) fn new(lost_after: Duration) -> Self {
        Self {
            sent_up_to: None,
            drained_at: None,
            returned: HashSet::new(),
            last_sent: Instant::now(),
            patience: lost_after,
            done_when_lost: 0,
        }
    }

    /// With an empty queue and nothing sent for a while, whatever is still pending has lost its hint and is sent again;
    /// then after twice that while, and so on, until something of the run gets done.
    pub(crate) fn forget_lost(&mut self, depth: u64, done: u64, lost_after: Duration, now: Instant) {
        if done > self.done_when_lost {
            self.patience = lost_after;
        }
        if depth > 0 || now.duration_since(self.last_sent) < self.patience {
            return;
        }
        self.sent_up_to = None;
        self.drained_at = None;
        self.returned.clear();
        self.last_sent = now;
        self.done_when_lost = done;
        // The first wait is short, for a broker that lost its queues; from a minute on it doubles.
        self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
    }

    /// Jobs that came back, are due and have no hint out, at most `room`.
    pub(crate) async fn returned(
        &mut self,
        store: &Store,
        run: &Run,
        pool: &str,
        now: Micros,
        room: u64,
    ) -> Result<Vec<u64>, StoreError> {
        // Enough to see past those that are out already.
        let limit = u32::try_from(room.saturating_add(self.returned.len() as u64)).unwrap_or(u32::MAX);
        let due = store.due_returned(run.id, pool.to_owned(), now, limit).await?;
        // What is no longer due was claimed: it may come back and is then sent again at once.
        self.returned.retain(|ordinal| due.binary_search(ordinal).is_ok());
        let mut fresh: Vec<_> = due.into_iter().filter(|ordinal| !self.returned.contains(ordinal)).collect();
        fresh.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        Ok(fresh)
    }

    /// Whether there may be jobs that were never sent.
    pub(crate) fn has_fresh(&self, run: &Run) -> bool {
        self.drained_at != Some(run.cursor)
    }

    /// The next jobs that were never sent, at most `limit`.
    pub(crate) async fn fresh(
        &self,
        store: &Store,
        run: &Run,
        pool: &str,
        limit: u64,
    ) -> Result<Fresh, StoreError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let ordinals = store.due_fresh(run.id, pool.to_owned(), self.sent_up_to, limit).await?;
        // The cursor was read before: whatever has been expanded since moves it.
        let last_before = (ordinals.len() < limit as usize).then_some(run.cursor);
        Ok(Fresh { ordinals, last_before })
    }

    /// Of a run's candidates, the first `sent` of which were given to the queue: remembers those it took.
    pub(crate) fn remember(&mut self, candidates: &Candidates, sent: usize, refused: &HashSet<Hint>) {
        let run = candidates.run;
        let is_refused = |ordinal: &u64| refused.contains(&Hint { run, ordinal: *ordinal });
        let (returned, fresh) = candidates.parted(sent);
        self.returned.extend(returned.iter().copied().filter(|ordinal| !is_refused(ordinal)));
        // A queue may refuse any of them: what comes after the first is sent again, and dies at the claim.
        let kept = fresh.iter().take_while(|ordinal| !is_refused(ordinal)).count();
        self.sent_up_to = fresh[..kept].last().copied().or(self.sent_up_to);
        if let Some(asked) = &candidates.fresh {
            self.drained_at = asked.last_before.filter(|_| kept == asked.ordinals.len());
        }
        if sent > 0 {
            self.last_sent = Instant::now();
        }
    }
}

/// Jobs of a run that a hint could be sent for: those that came back first, each kind by ordinal.
#[derive(Debug)]
pub(crate) struct Candidates {
    pub(crate) run: assay_common::id::RunId,
    pub(crate) returned: Vec<u64>,
    /// `None`: not asked for.
    pub(crate) fresh: Option<Fresh>,
}

/// Jobs that were never sent.
#[derive(Debug)]
pub(crate) struct Fresh {
    ordinals: Vec<u64>,
    /// Set when there are no more: the run's cursor before they were read.
    last_before: Option<u64>,
}

impl Candidates {
    pub(crate) fn len(&self) -> usize {
        self.returned.len() + self.never_sent().len()
    }

    fn never_sent(&self) -> &[u64] {
        self.fresh.as_ref().map_or(&[], |fresh| &fresh.ordinals)
    }

    /// The hints of some of them.
    pub(crate) fn hints(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = Hint> {
        let ordinals = self.returned.iter().chain(self.never_sent()).skip(places.start).take(places.len());
        ordinals.map(|ordinal| Hint { run: self.run, ordinal: *ordinal })
    }

    /// The first `count`, by kind.
    fn parted(&self, count: usize) -> (&[u64], &[u64]) {
        let returned = count.min(self.returned.len());
        (&self.returned[..returned], &self.never_sent()[..count - returned])
    }
}

#[cfg(test)]
mod tests {
    use assay_common::id::RunId;
    use uuid::Uuid;

    use super::*;

    const LOST_AFTER: Duration = Duration::from_secs(30);

    fn candidates(returned: &[u64], fresh: &[u64]) -> Candidates {
        let run = RunId::new(Uuid::from_u128(1));
        let fresh = Fresh { ordinals: fresh.to_vec(), last_before: Some(20) };
        Candidates { run, returned: returned.to_vec(), fresh: Some(fresh) }
    }

    #[test]
    fn what_a_queue_refused_is_sent_again() {
        let check = |refused: &[u64], sent: usize, up_to: Option<u64>, returned: &[u64], drained: bool| {
            let candidates = candidates(&[2, 4], &[10, 11, 12]);
            let mut flow = Flow::new(LOST_AFTER);
            let refused = refused.iter().map(|ordinal| Hint { run: candidates.run, ordinal: *ordinal });
            flow.remember(&candidates, sent, &refused.collect());
            let mut kept: Vec<_> = flow.returned.iter().copied().collect();
            kept.sort_unstable();
            assert_eq!(
                (flow.sent_up_to, kept.as_slice(), flow.drained_at.is_some()),
                (up_to, returned, drained)
            );
        };
        check(&[], 5, Some(12), &[2, 4], true);
        check(&[], 3, Some(10), &[2, 4], false);
        check(&[], 1, None, &[2], false);
        check(&[4, 11], 5, Some(10), &[2], false);
        check(&[10], 5, None, &[2, 4], false);
    }

    #[test]
    fn lost_hints_are_sent_again_later_and_later() {
        let mut flow = Flow::new(LOST_AFTER);
        let mut check = |seconds: u64, depth: u64, done: u64, lost: bool| {
            flow.sent_up_to = Some(7);
            let now = flow.last_sent + Duration::from_secs(seconds);
            flow.forget_lost(depth, done, LOST_AFTER, now);
            assert_eq!(flow.sent_up_to.is_none(), lost, "{seconds} s, {depth} waiting, {done} done");
        };
        check(29, 0, 5, false);
        check(300, 1, 5, false);
        check(30, 0, 5, true);
        check(59, 0, 5, false);
        check(60, 0, 5, true);
        check(119, 0, 5, false);
        check(120, 0, 5, true);
        check(30, 0, 6, true);
    }
}
