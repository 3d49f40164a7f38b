//! The door that a job passes before each of its calls: the account's limits and its model's, the pool's breaker, what it bears
//! in flight, and what may be asked again.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_common::config::{DEFAULT_IN_FLIGHT, Limits};
use assay_store::Store;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::breaker::{Admission, Breaker, Evidence, Trouble};
use super::flight::Flight;
use super::money::Money;
use super::pause::{LONGEST_WAIT, Pause};
use super::rate::Rate;
use super::retries::{Attempt, Retries};
use super::tell::Teller;
use crate::provider::observation::Class;

/// A provider account, shared by the pools of all its models.
pub(crate) struct Account {
    allowance: Allowance,
    pause: Mutex<Pause>,
    money: Mutex<Money>,
    teller: Teller,
    /// Rings whenever somebody who was told to wait may be told otherwise.
    changed: Notify,
}

/// The door of one pool: its account's, and its model's own.
pub(crate) struct Gate {
    account: Arc<Account>,
    pool: Arc<Pool>,
    /// Its model's own limits, where it has some.
    allowance: Option<Allowance>,
    /// When a call of this pool was last answered, on this process's clock; 0 before the first.
    answered_at: AtomicI64,
}

/// What is learned of a pool from its calls.
struct Pool {
    breaker: Mutex<Breaker>,
    flight: Mutex<Flight>,
    retries: Mutex<Retries>,
    teller: Teller,
    /// Rings for one of those who wait for a place in flight.
    landed: Notify,
}

/// Requests in flight and requests a minute.
struct Allowance {
    slots: Arc<Semaphore>,
    in_flight: u32,
    rate: Option<Rate>,
}

/// The right to make one call. Dropping it frees its slots.
pub(crate) struct Pass {
    _slots: Slots,
    _probe: Option<Probe>,
}

/// The places of a call: of its pool, its model and its account.
struct Slots {
    _flight: Place,
    _model: Option<OwnedSemaphorePermit>,
    _account: Option<OwnedSemaphorePermit>,
}

/// No call is let through for longer than a job may wait inside the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// When it is worth asking again.
    pub(crate) reopens_in: Duration,
}

/// A place in flight, for as long as it lives.
struct Place(Arc<Pool>);

/// Marks the pool as being probed for as long as it lives.
struct Probe(Arc<Account>, Arc<Pool>);

impl Account {
    pub(crate) fn new(name: &str, limits: &Limits) -> Self {
        let in_flight = limits.in_flight.map_or(DEFAULT_IN_FLIGHT, std::num::NonZeroU32::get);
        Self {
            allowance: Allowance::new(in_flight, limits),
            pause: Mutex::new(Pause::new(Instant::now())),
            money: Mutex::new(Money::new(Instant::now())),
            teller: Teller::new(name.to_owned()),
            changed: Notify::new(),
        }
    }

    /// The most calls of this account that can be in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.allowance.in_flight
    }
}

impl Gate {
    /// The door of `model`, as tables name it, whose own limits are these.
    pub(crate) fn new(account: Arc<Account>, model: String, limits: Option<&Limits>) -> Self {
        let allowance = limits.map(|limits| {
            let in_flight = limits.in_flight.map_or(account.allowance.in_flight, std::num::NonZeroU32::get);
            Allowance::new(in_flight, limits)
        });
        let in_flight = account.allowance.in_flight;
        let most = allowance.as_ref().map_or(in_flight, |allowance| allowance.in_flight.min(in_flight));
        let now = Instant::now();
        let pool = Pool {
            breaker: Mutex::new(Breaker::new(now)),
            flight: Mutex::new(Flight::new(most)),
            retries: Mutex::new(Retries::new(now)),
            teller: Teller::new(model),
            landed: Notify::new(),
        };
        Self { account, pool: Arc::new(pool), allowance, answered_at: AtomicI64::new(0) }
    }

    /// The most calls of this pool that can be in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        let account = self.account.allowance.in_flight;
        self.allowance.as_ref().map_or(account, |model| model.in_flight.min(account))
    }

    /// Waits for the right to make a call: for a slot and the rate as long as it takes, for a closed door only as long as a
    /// job may wait inside the process.
    pub(crate) async fn enter(&self, attempt: Attempt, wall: Micros) -> Result<Pass, Closed> {
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            let probe = match self.admit() {
                Admission::Open => None,
                Admission::Probe => Some(Probe(Arc::clone(&self.account), Arc::clone(&self.pool))),
                Admission::Paused(wait) if Instant::now() + wait <= deadline => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Admission::Paused(reopens_in) | Admission::Troubled(reopens_in) => {
                    return Err(Closed { reopens_in });
                }
            };
            // A probe is what everybody waits for.
            let counts = attempt == Attempt::Again && probe.is_none();
            if counts {
                self.refuse(wall)?;
            }
            let slots = self.slots().await;
            self.rate().await;
            // The door may have been closed while we stood in line; look again just before the call is made.
            if probe.is_some() || self.admission() == Admission::Open {
                if counts {
                    self.refuse(wall)?;
                }
                lock(&self.pool.retries).count(attempt, Instant::now());
                return Ok(Pass { _slots: slots, _probe: probe });
            }
        }
    }

    /// Waits until the door is open, and says how many jobs are worth claiming: one for a probe.
    pub(crate) async fn room(&self) -> usize {
        loop {
            // Registered before looking, so that a change in between wakes us.
            let changed = self.account.changed.notified();
            match self.admission() {
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
        matches!(self.admission(), Admission::Open | Admission::Probe)
    }

    /// Learns from a call's end, and tells the store when the account's or the pool's state has changed.
    pub(crate) async fn observe(&self, evidence: &Evidence<'_>, store: &Store, clock: &Clock) {
        self.learn(evidence, clock.now());
        let paused = || lock(&self.account.pause).ailment(Instant::now(), clock.now());
        self.account.teller.tell(paused, store, clock).await;
        self.pool.teller.tell(|| self.pool.trouble(), store, clock).await;
    }

    /// Learns that the account's money for the day does not do for a call, and says when to ask again.
    pub(crate) fn wants_money(&self) -> Duration {
        lock(&self.account.money).wanting(Instant::now())
    }

    /// Learns that the account's money for the day does for a call.
    pub(crate) fn has_paid(&self) {
        lock(&self.account.money).paid();
    }

    /// Failures of the pool in a row.
    pub(crate) fn streak(&self) -> u32 {
        lock(&self.pool.breaker).streak()
    }

    /// Whether a call of this pool was answered at `since` or later.
    pub(crate) fn answered_since(&self, since: Micros) -> bool {
        let answered_at = self.answered_at.load(Ordering::Relaxed);
        answered_at != 0 && answered_at >= since.0
    }

    pub(super) fn learn(&self, evidence: &Evidence<'_>, wall: Micros) {
        let Evidence { class, sent, retry_after, .. } = *evidence;
        let now = Instant::now();
        let mut pause = lock(&self.account.pause);
        match class {
            Class::RateLimited => pause.met(sent, retry_after, now),
            Class::Answered | Class::Malformed | Class::Refused => pause.within(sent),
            _ => {}
        }
        let long_pause = pause.has_changed(now);
        drop(pause);
        if class == Class::Answered {
            self.answered_at.store(wall.0, Ordering::Relaxed);
        }
        lock(&self.pool.flight).observe(class, sent, now);
        // What grew, somebody may take.
        self.pool.landed.notify_one();
        let mut breaker = lock(&self.pool.breaker);
        let before = breaker.trouble().map(|trouble| trouble.kind);
        breaker.observe(evidence, now, wall);
        let other_trouble = breaker.trouble().map(|trouble| trouble.kind) != before;
        drop(breaker);
        let retries = lock(&self.pool.retries).has_changed(now);
        if long_pause {
            self.account.teller.changed();
        }
        if other_trouble || retries {
            self.pool.teller.changed();
        }
        if long_pause || other_trouble {
            self.account.changed.notify_waiters();
        }
    }

    /// Whether a call could begin now. Changes nothing.
    pub(super) fn admission(&self) -> Admission {
        self.unless_paused(|now| lock(&self.pool.breaker).admission(now))
    }

    fn admit(&self) -> Admission {
        self.unless_paused(|now| lock(&self.pool.breaker).admit(now))
    }

    fn unless_paused(&self, admission: impl FnOnce(Instant) -> Admission) -> Admission {
        let now = Instant::now();
        let left = lock(&self.account.pause).left(now).max(lock(&self.account.money).left(now));
        if left.is_zero() { admission(now) } else { Admission::Paused(left) }
    }

    /// Whether one more try would be too many for a provider that fails.
    fn refuse(&self, wall: Micros) -> Result<(), Closed> {
        let refused = lock(&self.pool.retries).refuse(Instant::now(), wall);
        refused.map_or(Ok(()), |reopens_in| Err(Closed { reopens_in }))
    }

    async fn slots(&self) -> Slots {
        Slots {
            _flight: self.pool.place().await,
            _model: match &self.allowance {
                Some(model) => model.slot().await,
                None => None,
            },
            _account: self.account.allowance.slot().await,
        }
    }

    async fn rate(&self) {
        let rates = [
            self.allowance.as_ref().and_then(|model| model.rate.as_ref()),
            self.account.allowance.rate.as_ref(),
        ];
        for rate in rates.into_iter().flatten() {
            rate.wait().await;
        }
    }
}

impl Pool {
    /// Waits for a place in flight.
    async fn place(self: &Arc<Self>) -> Place {
        loop {
            if lock(&self.flight).take() {
                return Place(Arc::clone(self));
            }
            // A place that was given back since is remembered.
            self.landed.notified().await;
        }
    }

    fn trouble(&self) -> Option<Trouble> {
        let trouble = lock(&self.breaker).trouble().cloned();
        trouble.or_else(|| lock(&self.retries).ailment(Instant::now()))
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

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.0.flight).give_back();
        self.0.landed.notify_one();
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        lock(&self.1.breaker).probed();
        self.0.changed.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock is held leaves plain values: still sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
