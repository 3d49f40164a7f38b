//! The door that a job passes before each of its calls: the account's health, its slots and its rate, and its model's.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_common::config::{DEFAULT_IN_FLIGHT, Limits};
use assay_store::{AccountProblem, Store};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::health::{Admission, Evidence, Health, LONGEST_WAIT, Trouble};
use super::rate::Rate;

/// A provider account, shared by the pools of all its models.
pub(crate) struct Account {
    name: String,
    allowance: Allowance,
    health: Mutex<Health>,
    /// Rings whenever somebody who was told to wait may be told otherwise.
    changed: Notify,
    /// What the store was last told; nothing yet at first, so that the first success clears what an earlier process
    /// left behind.
    told: tokio::sync::Mutex<Option<Option<Trouble>>>,
    /// Changes of `trouble` so far, and how many of them the store knows.
    changes: AtomicU64,
    changes_told: AtomicU64,
}

/// The door of one pool: its account's, and its model's own limits where it has some.
pub(crate) struct Gate {
    account: Arc<Account>,
    model: Option<Allowance>,
    /// When a call of this pool was last answered, on this process's clock; 0 before the first.
    answered_at: AtomicI64,
}

/// Requests in flight and requests a minute.
struct Allowance {
    slots: Arc<Semaphore>,
    in_flight: u32,
    rate: Option<Rate>,
}

/// The right to make one call. Dropping it frees its slots.
pub(crate) struct Pass {
    _slots: (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
    _probe: Option<Probe>,
}

/// The account takes no call for longer than a job may wait inside the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// When it is worth asking again.
    pub(crate) reopens_in: Duration,
}

/// Marks the account as being probed for as long as it lives.
struct Probe(Arc<Account>);

impl Account {
    pub(crate) fn new(name: &str, limits: &Limits) -> Self {
        let in_flight = limits.in_flight.map_or(DEFAULT_IN_FLIGHT, std::num::NonZeroU32::get);
        Self {
            name: name.to_owned(),
            allowance: Allowance::new(in_flight, limits),
            health: Mutex::new(Health::new(Instant::now())),
            changed: Notify::new(),
            told: tokio::sync::Mutex::new(None),
            changes: AtomicU64::new(1),
            changes_told: AtomicU64::new(0),
        }
    }

    /// The most calls of this account that can be in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.allowance.in_flight
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // A panic while the lock is held leaves plain values: still sound.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the store what the account suffers from, when that has changed. Calls for one account queue up, so that
    /// the last word is the latest.
    async fn tell(&self, store: &Store, clock: &Clock) {
        if self.changes_told.load(Ordering::Acquire) == self.changes.load(Ordering::Acquire) {
            return;
        }
        let mut told = self.told.lock().await;
        let changes = self.changes.load(Ordering::Acquire);
        let trouble = self.health().ailment(Instant::now(), clock.now());
        if told.as_ref() != Some(&trouble) {
            let problem = trouble.as_ref().map(|trouble| AccountProblem {
                kind: trouble.kind.to_owned(),
                detail: trouble.detail.clone(),
                since: trouble.since,
            });
            if let Err(error) = store.report_account(self.name.clone(), problem, clock.now()).await {
                // The next call's end tries again.
                tracing::warn!(
                    account.name = %self.name,
                    error = %error,
                    "failed to report the state of account {}",
                    self.name
                );
                return;
            }
            match &trouble {
                Some(trouble) => tracing::warn!(
                    account.name = %self.name,
                    problem.kind = trouble.kind,
                    "account {} takes no calls: {}",
                    self.name,
                    trouble.detail
                ),
                None if told.as_ref().is_some_and(Option::is_some) => {
                    tracing::info!(account.name = %self.name, "account {} takes calls again", self.name);
                }
                None => {}
            }
            *told = Some(trouble);
        }
        self.changes_told.store(changes, Ordering::Release);
    }
}

impl Gate {
    pub(crate) fn new(account: Arc<Account>, model: Option<&Limits>) -> Self {
        let model = model.map(|limits| {
            let in_flight = limits.in_flight.map_or(account.allowance.in_flight, std::num::NonZeroU32::get);
            Allowance::new(in_flight, limits)
        });
        Self { account, model, answered_at: AtomicI64::new(0) }
    }

    /// The most calls of this pool that can be in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        let account = self.account.allowance.in_flight;
        self.model.as_ref().map_or(account, |model| model.in_flight.min(account))
    }

    /// Waits for the right to make a call: for a slot and the rate as long as it takes, for a closed account only as
    /// long as a job may wait inside the process.
    pub(crate) async fn enter(&self) -> Result<Pass, Closed> {
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            let admission = self.account.health().admit(Instant::now());
            let probe = match admission {
                Admission::Open => None,
                Admission::Probe => Some(Probe(Arc::clone(&self.account))),
                Admission::Paused(wait) if Instant::now() + wait <= deadline => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Admission::Paused(reopens_in) | Admission::Troubled(reopens_in) => {
                    return Err(Closed { reopens_in });
                }
            };
            let slots = self.slots().await;
            self.rate().await;
            // The account may have closed while we stood in line; look again just before the call is made.
            if probe.is_some() || self.account.health().admission(Instant::now()) == Admission::Open {
                return Ok(Pass { _slots: slots, _probe: probe });
            }
        }
    }

    /// Waits until the account takes calls, and says how many jobs are worth claiming: one for a probe.
    pub(crate) async fn room(&self) -> usize {
        loop {
            // Registered before looking, so that a change in between wakes us.
            let changed = self.account.changed.notified();
            let admission = self.account.health().admission(Instant::now());
            match admission {
                Admission::Open => return usize::MAX,
                Admission::Probe => return 1,
                Admission::Paused(wait) | Admission::Troubled(wait) => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Whether [`Gate::room`] would answer at once.
    pub(crate) fn has_room(&self) -> bool {
        matches!(self.account.health().admission(Instant::now()), Admission::Open | Admission::Probe)
    }

    /// Learns from a call's end, and tells the store when the account's state has changed.
    pub(crate) async fn observe(&self, evidence: &Evidence<'_>, store: &Store, clock: &Clock) {
        if self.learn(evidence, clock.now()) {
            self.account.changes.fetch_add(1, Ordering::AcqRel);
        }
        self.account.tell(store, clock).await;
    }

    /// Failures of the account in a row.
    pub(crate) fn streak(&self) -> u32 {
        self.account.health().streak()
    }

    /// Whether a call of this pool was answered at `since` or later.
    pub(crate) fn answered_since(&self, since: Micros) -> bool {
        let answered_at = self.answered_at.load(Ordering::Relaxed);
        answered_at != 0 && answered_at >= since.0
    }

    /// Returns whether the account's trouble has changed.
    fn learn(&self, evidence: &Evidence<'_>, wall: Micros) -> bool {
        if evidence.class == crate::provider::observation::Class::Answered {
            self.answered_at.store(wall.0, Ordering::Relaxed);
        }
        let mut health = self.account.health();
        let now = Instant::now();
        health.observe(evidence, now, wall);
        let changed = health.has_changed(now, wall);
        drop(health);
        if changed {
            self.account.changed.notify_waiters();
        }
        changed
    }

    async fn slots(&self) -> (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>) {
        let model = match &self.model {
            Some(model) => model.slot().await,
            None => None,
        };
        (model, self.account.allowance.slot().await)
    }

    async fn rate(&self) {
        let rates =
            [self.model.as_ref().and_then(|model| model.rate.as_ref()), self.account.allowance.rate.as_ref()];
        for rate in rates.into_iter().flatten() {
            rate.wait().await;
        }
    }
}

impl Allowance {
    fn new(in_flight: u32, limits: &Limits) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(in_flight as usize)),
            in_flight,
            rate: limits.requests_per_minute.map(Rate::new),
        }
    }

    /// `None` never comes: the semaphore is never closed.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.health().probed();
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::observation::Class;

    fn gate(account: Limits, model: Option<Limits>) -> Gate {
        Gate::new(Arc::new(Account::new("a", &account)), model.as_ref())
    }

    fn in_flight(slots: u32) -> Limits {
        Limits { in_flight: std::num::NonZeroU32::new(slots), ..Limits::default() }
    }

    fn learn(gate: &Gate, class: Class, retry_after: Option<u64>) {
        let retry_after = retry_after.map(Duration::from_secs);
        gate.learn(&Evidence { class, sent: Instant::now(), retry_after, detail: "" }, Micros(1));
    }

    /// Whether the gate lets a call begin without waiting.
    async fn at_once(gate: &Gate) -> Option<Pass> {
        tokio::time::timeout(Duration::ZERO, gate.enter()).await.ok()?.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_than_slots() {
        let gate = gate(in_flight(2), None);
        let first = at_once(&gate).await;
        let second = at_once(&gate).await;
        assert!(first.is_some() && second.is_some() && at_once(&gate).await.is_none());
        drop(first);
        assert!(at_once(&gate).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_keeps_to_its_own_limit_and_the_accounts() {
        let account = Arc::new(Account::new("a", &in_flight(3)));
        let narrow = Gate::new(Arc::clone(&account), Some(&in_flight(1)));
        let wide = Gate::new(account, None);
        assert_eq!((narrow.in_flight(), wide.in_flight()), (1, 3));
        let held = at_once(&narrow).await;
        assert!(held.is_some() && at_once(&narrow).await.is_none());
        let more = (at_once(&wide).await, at_once(&wide).await);
        assert!(more.0.is_some() && more.1.is_some() && at_once(&wide).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn short_pauses_are_waited_for_and_long_ones_are_not() {
        let gate = gate(Limits::default(), None);
        learn(&gate, Class::RateLimited, Some(4));
        let start = Instant::now();
        assert!(gate.enter().await.is_ok());
        assert_eq!(start.elapsed().as_secs(), 4);
        learn(&gate, Class::RateLimited, Some(30));
        assert_eq!(gate.enter().await.err(), Some(Closed { reopens_in: Duration::from_secs(30) }));
        assert!(!gate.has_room());
        assert_eq!(gate.room().await, usize::MAX);
        assert_eq!(start.elapsed().as_secs(), 34);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_begins_while_somebody_stands_in_line_holds_for_him_too() {
        let gate = Arc::new(gate(in_flight(1), None));
        let held = at_once(&gate).await;
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move {
                let start = Instant::now();
                gate.enter().await.map(|_| start.elapsed().as_secs())
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        learn(&gate, Class::RateLimited, Some(3));
        drop(held);
        assert_eq!(waiting.await.unwrap(), Ok(4));
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_lets_one_probe_through_and_its_success_opens_the_gate() {
        let gate = gate(Limits::default(), None);
        learn(&gate, Class::Account("unauthorized"), None);
        assert!(gate.enter().await.is_err());
        assert_eq!(gate.room().await, 1);
        let probe = gate.enter().await.expect("the probe");
        assert!(gate.enter().await.is_err());
        drop(probe);
        assert!(gate.has_room(), "an unmade probe can be made by the next");
        let probe = gate.enter().await.expect("the probe");
        learn(&gate, Class::Answered, None);
        drop(probe);
        assert!(at_once(&gate).await.is_some() && at_once(&gate).await.is_some());
        assert!(gate.answered_since(Micros(1)) && !gate.answered_since(Micros(2)));
    }
}
