//! Dispatch: at most a window of hints per pool is in the queue, however long its runs are, shared fairly between them.
//!
//! Nothing is written to the store: a job stays pending until it is claimed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use assay_common::id::RunId;
use assay_common::trace::TraceParent;
use assay_queue::{Message, QueueError};
use assay_store::{Run, RunPool, RunState, StoreError};
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use super::fair::{Demand, RoundRobin};
use super::flow::{Candidates, Flow};
use super::round::with_sources;
use super::window;
use crate::environment::Environment;

/// A queue that no open run has needed for this long is deleted.
const IDLE_FOR: Duration = Duration::from_secs(60 * 60);
/// Queues that cannot be used are left alone for so many times as long as it took to find out that one still cannot, so that most
/// of the time is the others'; and for this long at least.
const REST: u32 = 3;
const LEAST_REST: Duration = Duration::from_millis(500);
/// A queue that says nothing for this long may be one of a broker that says nothing: the round ends with it.
const SILENT: Duration = Duration::from_secs(5);

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

/// What keeps one queue from being used, while the broker answers.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    /// Since when.
    pub(crate) since: Instant,
    /// Why, at the last attempt.
    pub(crate) why: String,
    /// When that was.
    tried_at: Instant,
}

/// An open run, as dispatch sees it.
#[derive(Debug)]
pub(crate) struct Sender<'r> {
    pub(crate) run: &'r Run,
    /// Hints in one of its turns.
    pub(crate) weight: u64,
    pub(crate) pools: &'r [RunPool],
    /// Jobs of it that end in a second.
    pub(crate) pace: f64,
    /// The run's span.
    pub(crate) span: &'r Span,
}

impl Sender<'_> {
    /// Begins to send hints of the run, and says which trace they belong to: that of this span, or where none is made
    /// here, that of whoever submitted the run.
    fn begin(&self, environment: &Environment, pool: &str) -> (Span, Option<TraceParent>) {
        let span = tracing::debug_span!(
            parent: self.span, "dispatch", otel.kind = "producer", run.id = %self.run.id, queue.pool = pool,
            queue.hints = Empty
        );
        let trace = environment.tracer.context(&span).or(self.run.trace);
        (span, trace)
    }
}

/// The queues of all pools that open runs need, or needed not long ago.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pools: BTreeMap<String, PoolQueue>,
    /// Until then no queue is tried that could not be used.
    rests_until: Instant,
}

#[derive(Debug)]
struct PoolQueue {
    flows: HashMap<RunId, Flow>,
    turns: RoundRobin,
    /// Whether what an earlier sender left in it is gone.
    clean: bool,
    /// When an open run last needed it.
    needed: Instant,
    unusable: Option<Unusable>,
}

impl Default for PoolQueue {
    fn default() -> Self {
        let (flows, turns) = Default::default();
        Self { flows, turns, clean: false, needed: Instant::now(), unusable: None }
    }
}

impl Dispatch {
    /// Starts with queues that may be left over from earlier runs.
    pub(crate) fn with_leftovers(pools: impl IntoIterator<Item = String>) -> Self {
        let pools = pools.into_iter().map(|pool| (pool, PoolQueue::default())).collect();
        Self { pools, rests_until: Instant::now() }
    }

    /// The pools whose queues cannot be used.
    pub(crate) fn unusable(&self) -> impl Iterator<Item = (&str, &Unusable)> {
        self.pools.iter().filter_map(|(name, pool)| Some((name.as_str(), pool.unusable.as_ref()?)))
    }

    /// Fills the window of every pool that `senders` need. `prefetch`: what the workers of each take in advance. A queue that
    /// cannot be used holds up no other.
    pub(crate) async fn fill(
        &mut self,
        environment: &Environment,
        senders: &[Sender<'_>],
        prefetch: &BTreeMap<String, u64>,
    ) -> Result<(), DispatchError> {
        let mut needed: BTreeMap<&str, Vec<&Sender<'_>>> = BTreeMap::new();
        for sender in senders {
            for pool in sender.pools {
                needed.entry(&pool.pool).or_default().push(sender);
            }
        }
        let retried = self.retried(|name| needed.contains_key(name));
        for (name, senders) in needed {
            let pace = senders.iter().map(|sender| sender.pace).sum();
            let size = window::size(prefetch.get(name).copied().unwrap_or(0), pace);
            let pool = self.pools.entry(name.to_owned()).or_default();
            if pool.unusable.is_some() && retried.as_deref() != Some(name) {
                pool.needed = Instant::now();
                continue;
            }
            let began = Instant::now();
            let filled = pool.try_to_fill(environment, name, &senders, size).await;
            if pool.unusable.is_some() {
                self.rests_until = Instant::now() + (began.elapsed() * REST).max(LEAST_REST);
            }
            if let Err(DispatchError::Queue(QueueError::Unavailable { .. })) = &filled {
                // It was the broker.
                self.pools.values_mut().for_each(|pool| pool.unusable = None);
            }
            let hints = filled?;
            if hints > 0 {
                tracing::debug!(
                    queue.pool = name,
                    queue.hints = hints,
                    queue.window = size,
                    "dispatched {hints} hints to {name}"
                );
            }
        }
        self.delete_idle(environment).await
    }

    /// Which of the queues that cannot be used is tried again now: of those that are needed the one that was not tried for
    /// longest. What nobody needs is not known to be unusable any more.
    fn retried(&mut self, is_needed: impl Fn(&str) -> bool) -> Option<String> {
        for (name, pool) in &mut self.pools {
            pool.unusable.take_if(|_| !is_needed(name));
        }
        let unusable = self.unusable().filter(|_| self.rests_until <= Instant::now());
        unusable.min_by_key(|(_, unusable)| unusable.tried_at).map(|(name, _)| name.to_owned())
    }

    async fn delete_idle(&mut self, environment: &Environment) -> Result<(), DispatchError> {
        while let Some(name) = self.first_idle() {
            match environment.queue.delete(&name).await {
                Ok(()) => {
                    tracing::info!(queue.pool = %name, "deleted the queue of {name}: no run has needed it for an hour");
                }
                // Whoever spoiled it may keep it.
                Err(QueueError::Unusable { reason, .. }) => {
                    tracing::warn!(queue.pool = %name, error = %reason, "left the idle queue of {name}: {reason}");
                }
                Err(error) => return Err(error.into()),
            }
            self.pools.remove(&name);
        }
        Ok(())
    }

    fn first_idle(&self) -> Option<String> {
        self.pools.iter().find(|(_, pool)| pool.needed.elapsed() >= IDLE_FOR).map(|(name, _)| name.clone())
    }
}

impl PoolQueue {
    /// [`PoolQueue::fill`]; where the queue alone cannot be used, none are sent.
    async fn try_to_fill(
        &mut self,
        environment: &Environment,
        name: &str,
        senders: &[&Sender<'_>],
        size: u64,
    ) -> Result<usize, DispatchError> {
        let began = Instant::now();
        match self.fill(environment, name, senders, size).await {
            Ok(hints) => {
                if self.unusable.take().is_some() {
                    tracing::info!(queue.pool = name, "the queue of {name} can be used again");
                }
                Ok(hints)
            }
            Err(DispatchError::Queue(error @ QueueError::Unusable { .. })) => {
                let why = with_sources(&error);
                if self.unusable.is_none() {
                    tracing::warn!(queue.pool = name, error = %why, "{why}; trying again until it works");
                }
                let since = self.unusable.take().map_or(began, |unusable| unusable.since);
                self.unusable = Some(Unusable { since, why, tried_at: Instant::now() });
                if began.elapsed() >= SILENT { Err(error.into()) } else { Ok(0) }
            }
            Err(error) => Err(error),
        }
    }

    /// Sends hints until `size` are in the queue; returns how many it took.
    async fn fill(
        &mut self,
        environment: &Environment,
        name: &str,
        senders: &[&Sender<'_>],
        size: u64,
    ) -> Result<usize, DispatchError> {
        self.needed = Instant::now();
        // A run that is paused starts anew when it goes on: its hints are being declined. So does one whose budget waits
        // for what is set aside for the calls in flight.
        let takes_hints = |run: &Run| run.state == RunState::Running && run.short.is_none();
        let running: Vec<_> = senders.iter().copied().filter(|sender| takes_hints(sender.run)).collect();
        self.flows.retain(|run, _| running.iter().any(|sender| sender.run.id == *run));
        if !self.clean {
            environment.queue.purge(name).await?;
            self.clean = true;
        }
        let lost_after = environment.timings.lost_after;
        let depth = environment.queue.depth(name).await?;
        for sender in &running {
            let flow = self.flows.entry(sender.run.id).or_insert_with(|| Flow::new(lost_after));
            flow.forget_lost(depth, sender.run.done(), lost_after, Instant::now());
        }
        let room = size.saturating_sub(depth);
        if room == 0 {
            return Ok(0);
        }
        let candidates = self.candidates(environment, name, &running, room).await?;
        self.send(environment, name, &running, candidates, room).await
    }

    /// What each run could send: as much as its share of the room may be. What one does not use, the others get at the
    /// next look.
    async fn candidates(
        &mut self,
        environment: &Environment,
        name: &str,
        running: &[&Sender<'_>],
        room: u64,
    ) -> Result<Vec<Candidates>, StoreError> {
        let (store, now) = (&environment.store, environment.clock.now());
        let mut found = Vec::with_capacity(running.len());
        let mut weights = 0;
        for sender in running {
            let Some(flow) = self.flows.get_mut(&sender.run.id) else { continue };
            let returned = flow.returned(store, sender.run, name, now, room).await?;
            if !returned.is_empty() || flow.has_fresh(sender.run) {
                weights += sender.weight;
                found.push((sender, Candidates { run: sender.run.id, returned, fresh: None }));
            }
        }
        let mut candidates = Vec::with_capacity(found.len());
        for (sender, mut wanted) in found {
            let Some(flow) = self.flows.get(&sender.run.id) else { continue };
            let share = (room * sender.weight).div_ceil(weights.max(1)) + sender.weight;
            let left = share.min(room).saturating_sub(wanted.returned.len() as u64);
            if left > 0 && flow.has_fresh(sender.run) {
                wanted.fresh = Some(flow.fresh(store, sender.run, name, left).await?);
            }
            candidates.push(wanted);
        }
        Ok(candidates)
    }

    async fn send(
        &mut self,
        environment: &Environment,
        name: &str,
        running: &[&Sender<'_>],
        candidates: Vec<Candidates>,
        room: u64,
    ) -> Result<usize, DispatchError> {
        let sender_of = |run| running.iter().find(|sender| sender.run.id == run);
        let weight_of = |run| sender_of(run).map_or(1, |sender| sender.weight);
        let demand = |candidates: &Candidates| Demand {
            run: candidates.run,
            weight: weight_of(candidates.run),
            hints: candidates.len() as u64,
        };
        let demands: Vec<_> = candidates.iter().map(demand).collect();
        let mut sent: HashMap<RunId, usize> = HashMap::new();
        let mut traces: HashMap<RunId, (Span, Option<TraceParent>)> = HashMap::new();
        let mut messages: Vec<Message> = Vec::new();
        for (run, share) in self.turns.share(&demands, room) {
            let Some(candidates) = candidates.iter().find(|candidates| candidates.run == run) else {
                continue;
            };
            let from = sent.entry(run).or_default();
            let to = *from + usize::try_from(share).unwrap_or(usize::MAX);
            let Some(sender) = sender_of(run).filter(|_| share > 0) else { continue };
            let (_, trace) = *traces.entry(run).or_insert_with(|| sender.begin(environment, name));
            messages.extend(candidates.hints(*from..to).map(|hint| Message { hint, trace }));
            *from = to;
        }
        for (run, (span, _)) in &traces {
            let hints = sent.get(run).copied().unwrap_or(0);
            span.record("queue.hints", i64::try_from(hints).unwrap_or(i64::MAX));
        }
        let refused: HashSet<_> = match messages.as_slice() {
            [] => HashSet::new(),
            messages => environment.queue.publish(name, messages).await?.into_iter().collect(),
        };
        drop(traces);
        for candidates in &candidates {
            if let Some(flow) = self.flows.get_mut(&candidates.run) {
                flow.remember(candidates, sent.get(&candidates.run).copied().unwrap_or(0), &refused);
            }
        }
        Ok(messages.len() - refused.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn queues_that_cannot_be_used_are_tried_in_turn_while_somebody_needs_them() {
        let mut dispatch = Dispatch::with_leftovers(["a.1", "b.2", "c.3"].map(str::to_owned));
        let fails = |dispatch: &mut Dispatch, name: &str| {
            let (since, tried_at) = (Instant::now(), Instant::now());
            dispatch.pools.get_mut(name).unwrap().unusable =
                Some(Unusable { since, why: String::new(), tried_at });
            dispatch.rests_until = Instant::now() + LEAST_REST;
        };
        assert_eq!(dispatch.retried(|_| true), None);
        fails(&mut dispatch, "b.2");
        tokio::time::advance(LEAST_REST / 2).await;
        fails(&mut dispatch, "a.1");
        assert_eq!(dispatch.retried(|_| true), None, "they rest");
        for expected in ["b.2", "a.1", "b.2"] {
            tokio::time::advance(LEAST_REST).await;
            assert_eq!(dispatch.retried(|_| true).as_deref(), Some(expected));
            fails(&mut dispatch, expected);
        }
        // The run that needed it has ended.
        tokio::time::advance(LEAST_REST).await;
        assert_eq!(dispatch.retried(|name| name != "a.1").as_deref(), Some("b.2"));
        dispatch.pools.get_mut("b.2").unwrap().unusable = None;
        assert_eq!(dispatch.retried(|_| true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_idle_after_an_hour_without_a_run() {
        let mut dispatch = Dispatch::with_leftovers(["a.1".to_owned(), "b.2".to_owned()]);
        tokio::time::advance(IDLE_FOR / 2).await;
        assert_eq!(dispatch.first_idle(), None);
        dispatch.pools.entry("b.2".to_owned()).or_default().needed = Instant::now();
        tokio::time::advance(IDLE_FOR / 2).await;
        assert_eq!(dispatch.first_idle().as_deref(), Some("a.1"));
    }
}
