//! This process as a member: the holder of its claims, alive for as long as its beat goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::RunId;
use assay_store::{Offer, Run, RunState, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::WorkerError;
use crate::environment::Environment;
use crate::held::Held;
use crate::persist::{persist, with_sources};
use crate::pool::Dice;

const BEAT: Duration = Duration::from_secs(1);
/// How long a beat vouches for what is held: whoever has not beaten for much longer may have been buried. As long as a lease
/// of a limit lasts, which somebody who is cut off from the store would else leave unused.
const VOUCHED: Duration = Duration::from_secs(4);
/// How long calls in flight may go on after the deadline of their run: a tenth of the time that it was given, and no longer
/// than this.
const GRACE: Duration = Duration::from_secs(30);
const GRACE_OF_ALL: u32 = 10;

/// What the beat knows of this process.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// How often it has joined. What was claimed in an earlier life belongs to others.
    joined: u64,
    /// When the last beat that was answered was sent.
    beat_at: Instant,
    /// Those of the runs in hand that are paused, cancelled or over: nothing more is called for them.
    closed: Arc<BTreeMap<RunId, InFlight>>,
}

/// What becomes of the calls in flight of a run for which nothing more is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InFlight {
    /// They are waited for.
    Recorded,
    /// They are cut off: the deadline has passed for too long.
    Cut,
}

impl Life {
    /// Of a process that has just joined.
    pub(crate) fn new() -> Self {
        Self { joined: 1, beat_at: Instant::now(), closed: Arc::default() }
    }
}

/// Says whether this process still holds what it has claimed, and whether it is still wanted.
#[derive(Clone, Debug)]
pub(crate) struct Alive(watch::Receiver<Life>);

impl Alive {
    pub(crate) fn new(life: watch::Receiver<Life>) -> Self {
        Self(life)
    }

    /// In which of its lives it is, for what it claims now.
    pub(crate) fn joined(&self) -> u64 {
        self.0.borrow().joined
    }

    /// Whether a run goes on, as far as the last beat knows.
    pub(crate) fn is_open(&self, run: RunId) -> bool {
        !self.0.borrow().closed.contains_key(&run)
    }

    /// Ready once a run goes on no more: what of it has not begun never will.
    pub(crate) async fn closes(&self, run: RunId) {
        self.meets(|life| life.closed.contains_key(&run)).await;
    }

    /// Ready once the calls in flight of a run are not waited for any longer.
    pub(crate) async fn cuts(&self, run: RunId) {
        self.meets(|life| life.closed.get(&run) == Some(&InFlight::Cut)).await;
    }

    async fn meets(&self, is_met: impl Fn(&Life) -> bool) {
        if self.0.clone().wait_for(|life| is_met(life)).await.is_err() {
            // Nobody beats any more: nothing will be heard of it.
            std::future::pending::<()>().await;
        }
    }

    /// Whether a job of `run` that was claimed in that life may be called. Who has not beaten for long waits for the next
    /// beat to tell.
    pub(crate) async fn may_call(&self, joined: u64, run: RunId) -> bool {
        let mut life = self.0.clone();
        loop {
            let now = life.borrow_and_update().clone();
            if now.joined != joined || now.closed.contains_key(&run) {
                return false;
            }
            if now.beat_at.elapsed() < VOUCHED {
                return true;
            }
            if life.changed().await.is_err() {
                return false;
            }
        }
    }
}

/// Joins, however long the store is away; from here on claims can be made. `false`: told to stop first.
pub(crate) async fn join(
    environment: &Environment,
    kind: &'static str,
    stop: &CancellationToken,
) -> Result<bool, WorkerError> {
    let dice = Dice::new(environment.seed);
    let joined = persist("join as a member", &dice, stop, || join_once(environment, kind)).await?;
    Ok(joined.is_some())
}

async fn join_once(environment: &Environment, kind: &'static str) -> Result<(), StoreError> {
    let Environment { store, clock, member, host, pid, .. } = environment;
    store.join(*member, kind, host.clone(), *pid, clock.now()).await
}

/// Beats once a second until `gone`, and whenever what is offered changes. A member that was declared dead while it was
/// frozen joins again: what it held was given to others, and of two results for one job the first committed counts.
pub(crate) async fn beat(
    environment: Arc<Environment>,
    kind: &'static str,
    (mut offer, held): (watch::Receiver<Offer>, Arc<Held>),
    life: watch::Sender<Life>,
    gone: CancellationToken,
) {
    let member = environment.member;
    let mut ticks = tokio::time::interval(BEAT);
    // After a freeze one beat says all that the missed ones would have said.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            biased;
            () = gone.cancelled() => return,
            _ = ticks.tick() => {}
            // Whoever sets it lives as long as there is work; after that only the clock is left.
            Ok(()) = offer.changed() => {}
        }
        let offered = offer.borrow_and_update().clone();
        let beat_at = Instant::now();
        match environment.store.beat(member, &offered).await {
            Ok(true) => {
                failing = false;
                // Whatever keeps the store from saying it, the next beat does not wait.
                let closed = timeout(BEAT, closed(&environment, &held, &life)).await;
                let closed = closed.unwrap_or_else(|_| Arc::clone(&life.borrow().closed));
                life.send_modify(|life| *life = Life { beat_at, closed, ..*life });
            }
            Ok(false) => {
                life.send_modify(|life| {
                    life.joined += 1;
                    life.beat_at = beat_at;
                });
                tracing::warn!(member.id = %member, "member {member} was declared dead; it joins again");
                if let Err(error) = join_once(&environment, kind).await {
                    tracing::warn!(member.id = %member, error = %with_sources(&error), "failed to join again");
                }
            }
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(member.id = %member, error = %with_sources(&error), "failed to beat");
            }
            Err(_) => {}
        }
    }
}

/// Which of the runs in hand are not running. Where the store does not say, those of before.
async fn closed(
    environment: &Environment,
    held: &Held,
    life: &watch::Sender<Life>,
) -> Arc<BTreeMap<RunId, InFlight>> {
    let mut closed = BTreeMap::new();
    for run in held.runs() {
        let in_flight = match environment.store.run(run).await {
            Ok(row) => in_flight(row.as_ref(), environment.clock.now()),
            Err(_) => life.borrow().closed.get(&run).copied(),
        };
        closed.extend(in_flight.map(|in_flight| (run, in_flight)));
    }
    Arc::new(closed)
}

/// What becomes of the calls in flight of a run; nothing while it goes on.
fn in_flight(run: Option<&Run>, now: Micros) -> Option<InFlight> {
    let Some(run) = run else { return Some(InFlight::Recorded) };
    let grace = GRACE.min(run.deadline_at.since(run.created_at) / GRACE_OF_ALL);
    match run.state {
        RunState::Running => None,
        RunState::Cancelling | RunState::Cancelled if now >= run.deadline_at.plus(grace) => {
            Some(InFlight::Cut)
        }
        _ => Some(InFlight::Recorded),
    }
}

/// Leaves, once the last beat is over: what is still held goes back to the store.
pub(crate) async fn leave(
    environment: &Environment,
    beating: AbortOnDropHandle<()>,
) -> Result<(), WorkerError> {
    beating.await.map_err(|_| WorkerError::Panicked)?;
    let freed = environment
        .store
        .leave(environment.member, environment.clock.now())
        .await
        .map_err(|source| WorkerError::Store { doing: "leave", source })?;
    if freed > 0 {
        tracing::info!(jobs = freed, "gave back {freed} jobs that were not done");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_claimed_before_a_burial_is_held_no_more() {
        let (living, life) = watch::channel(Life::new());
        let alive = Alive::new(life);
        let (joined, run) = (alive.joined(), RunId::new(Default::default()));
        assert!(alive.may_call(joined, run).await);
        tokio::time::sleep(VOUCHED).await;
        let beats = async {
            tokio::time::sleep(BEAT).await;
            living.send_modify(|life| life.beat_at = Instant::now());
        };
        let (still_held, ()) = tokio::join!(alive.may_call(joined, run), beats);
        assert!(still_held, "the next beat was answered");
        living.send_modify(|life| life.joined += 1);
        assert!(!alive.may_call(joined, run).await);
        assert!(alive.may_call(alive.joined(), run).await);
        living.send_modify(|life| life.closed = Arc::new(BTreeMap::from([(run, InFlight::Recorded)])));
        alive.closes(run).await;
        assert!(!alive.is_open(run) && !alive.may_call(alive.joined(), run).await, "it was cancelled");
        living.send_modify(|life| life.closed = Arc::default());
        tokio::time::sleep(VOUCHED).await;
        drop(living);
        assert!(!alive.may_call(alive.joined(), run).await, "nobody beats any more");
    }
}
