//! The door that a job passes before each of its calls: the account's limits and its model's, the pool's breaker, what it bears
//! in flight, and what may be asked again.
//!
//! ```text
//! breaker, pauses ── places in flight ── the model's line ── the account's line ── pass ── looked at again ── call
//!  ▲                                     (held meanwhile)                                        │
//!  └──────────── a pause, a trouble, or others send for all ◄────────────────────────────────────┘
//! ```
//!
//! [`pass`]: the right to make a call; [`permit`]: what it takes of the limits; [`learn`]: what comes of it; [`pool`]: what is known of
//! those it goes to.

mod learn;
mod pass;
mod permit;
mod pool;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::config::{DEFAULT_IN_FLIGHT, Limits};
use assay_common::job::JobKey;
use assay_common::limit::Dimension;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::pass::{Barred, Closed, Pass, Size};
use self::pool::{Pool, Probe};
use super::breaker::Admission;
use super::flight::Flight;
use super::lease::Leases;
use super::money::Money;
use super::pause::{LONGEST_WAIT, Pause};
use super::retries::Attempt;
use super::scope::Scope;
use super::tell::Teller;

/// As many calls in flight of a model as its account allows.
const EVERY: u32 = u32::MAX;

/// A provider account, shared by the pools of all its models.
pub(crate) struct Account {
    scope: Arc<Scope>,
    pause: Mutex<Pause>,
    money: Mutex<Money>,
    teller: Teller,
    /// Rings for the next renewal, where limits are leased.
    hurry: Arc<Notify>,
}

/// The door of one pool: its account's, and its model's own.
pub(crate) struct Gate {
    account: Arc<Account>,
    pool: Arc<Pool>,
    /// Its model's own limits, where it has some or others may.
    scope: Option<Arc<Scope>>,
    /// How often jobs were refused for what seems their size.
    refused: Mutex<BTreeMap<JobKey, u32>>,
    /// When a call of this pool was last answered, on this process's clock; 0 before the first.
    answered_at: AtomicI64,
}

impl Account {
    /// An account whose limits are leased, or this process's own without `leases`.
    pub(crate) fn new(name: &str, limits: &Limits, leases: Option<&Leases>) -> Self {
        let most = limits.in_flight.map_or(DEFAULT_IN_FLIGHT, std::num::NonZeroU32::get);
        Self {
            scope: scope(name, limits, most, leases, None),
            pause: Mutex::new(Pause::new(Instant::now())),
            money: Mutex::new(Money::new(Instant::now())),
            teller: Teller::new(name.to_owned()),
            hurry: leases.map(|leases| Arc::clone(&leases.hurry)).unwrap_or_default(),
        }
    }

    /// The most calls of this account that can be in flight now.
    pub(crate) fn in_flight(&self) -> u32 {
        self.scope.in_flight()
    }
}

/// An account, or a model of it, with limits of its own.
fn scope(
    name: &str,
    limits: &Limits,
    most: u32,
    leases: Option<&Leases>,
    of: Option<&Account>,
) -> Arc<Scope> {
    let changed = of.map(|account| Arc::clone(&account.scope.changed)).unwrap_or_default();
    match leases {
        Some(leases) => leases.join(name.to_owned(), limits, most, changed, of.is_some()),
        None => Arc::new(Scope::own(name.to_owned(), limits, most, changed)),
    }
}

impl Gate {
    /// The door of `model`, as tables name it, whose own limits are these.
    pub(crate) fn new(
        account: Arc<Account>,
        model: String,
        limits: Option<&Limits>,
        leases: Option<&Leases>,
    ) -> Self {
        let of_account = account.in_flight();
        // Where limits are shared, others may limit a model of which this file says nothing.
        let limits = limits.copied().or_else(|| leases.map(|_| Limits::default()));
        let own = limits.map(|limits| {
            let most = limits.in_flight.map_or(EVERY, std::num::NonZeroU32::get);
            scope(&model, &limits, most, leases, Some(&account))
        });
        let most = own.as_ref().map_or(of_account, |own| own.in_flight().min(of_account));
        let scopes = [Some(&account.scope), own.as_ref()];
        let limits_any =
            |scope: &&Arc<Scope>| Dimension::ALL.into_iter().any(|dimension| scope.names(dimension));
        let is_known = scopes.into_iter().flatten().any(|scope| limits_any(&scope));
        let flight = if is_known { Flight::new(most) } else { Flight::of_unknown(most) };
        let (refused, answered_at) = Default::default();
        Self { account, pool: Pool::new(model, flight), scope: own, refused, answered_at }
    }

    /// The most calls of this pool that can be in flight now.
    pub(crate) fn in_flight(&self) -> u32 {
        let account = self.account.in_flight();
        self.scope.as_ref().map_or(account, |model| model.in_flight().min(account))
    }

    /// Waits until other than `most` calls of this pool can be in flight.
    pub(crate) async fn resizes(&self, most: u32) {
        loop {
            // Registered before looking, so that a change in between wakes us.
            let changed = self.account.scope.changed.notified();
            if self.in_flight() != most {
                return;
            }
            changed.await;
        }
    }

    /// Waits for the right to make a call: for a slot and the rate as long as it takes, for a closed door only as long as a
    /// job may wait inside the process, and for what can never be not at all.
    pub(crate) async fn enter(&self, attempt: Attempt, size: Size, wall: Micros) -> Result<Pass, Barred> {
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            // Registered before looking, so that a change in between wakes us.
            let changed = self.account.scope.changed.notified();
            self.fits(size)?;
            let probe = match self.admit() {
                Admission::Open => None,
                Admission::Probe => Some(Probe(Arc::clone(&self.account), Arc::clone(&self.pool))),
                Admission::Paused(wait) if Instant::now() + wait <= deadline => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                    continue;
                }
                Admission::Paused(reopens_in) | Admission::Troubled(reopens_in) => {
                    return Err(Closed { reopens_in }.into());
                }
            };
            // A probe is what everybody waits for.
            let counts = attempt == Attempt::Again && probe.is_none();
            if counts {
                self.refuse(wall)?;
            }
            let standing = async { (self.slots().await, self.permit(size).await) };
            let (slots, taken) = tokio::select! {
                biased;
                too_large = self.outgrown(size, changed) => return Err(too_large.into()),
                stood = standing => stood,
                () = self.closes(), if probe.is_none() => continue,
            };
            // The door may have been closed while we stood in line; look again just before the call is made.
            if probe.is_some() || self.admission() == Admission::Open {
                if counts {
                    self.refuse(wall)?;
                }
                lock(&self.pool.retries).count(attempt, Instant::now());
                return Ok(Pass { _slots: slots, probe, size, taken });
            }
        }
    }

    /// Whether the door has been closed since a pass was given.
    pub(crate) fn look_again(&self, pass: &Pass) -> Result<(), Closed> {
        match self.admission() {
            Admission::Paused(reopens_in) | Admission::Troubled(reopens_in) if pass.probe.is_none() => {
                Err(Closed { reopens_in })
            }
            _ => Ok(()),
        }
    }

    /// Waits until the door is open, and says how many jobs are worth claiming: one for a probe.
    pub(crate) async fn room(&self) -> usize {
        loop {
            // Registered before looking, so that a change in between wakes us.
            let changed = self.account.scope.changed.notified();
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

    /// Whether a call could begin now. Changes nothing.
    pub(super) fn admission(&self) -> Admission {
        self.unless_paused(|now| lock(&self.pool.breaker).admission(now))
    }

    fn admit(&self) -> Admission {
        self.unless_paused(|now| lock(&self.pool.breaker).admit(now))
    }

    fn unless_paused(&self, admission: impl FnOnce(Instant) -> Admission) -> Admission {
        let now = Instant::now();
        if let Some(at) = self.account.scope.lifted_at() {
            lock(&self.account.pause).lift(at);
            lock(&self.pool.breaker).lift(at);
        }
        let left = lock(&self.account.pause).left(now).max(lock(&self.account.money).left(now));
        let left = self.scopes().map(|scope| scope.closed_for(now)).fold(left, Duration::max);
        if left.is_zero() { admission(now) } else { Admission::Paused(left) }
    }

    /// The model's own limits, and the account's.
    fn scopes(&self) -> impl Iterator<Item = &Arc<Scope>> {
        self.scope.iter().chain([&self.account.scope])
    }

    /// Waits until the door is closed to who is no probe.
    async fn closes(&self) {
        loop {
            // Registered before looking, so that a change in between wakes us.
            let changed = self.account.scope.changed.notified();
            if self.admission() != Admission::Open {
                return;
            }
            changed.await;
        }
    }

    /// Whether one more try would be too many for a provider that fails.
    fn refuse(&self, wall: Micros) -> Result<(), Closed> {
        let refused = lock(&self.pool.retries).refuse(Instant::now(), wall);
        refused.map_or(Ok(()), |reopens_in| Err(Closed { reopens_in }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock is held leaves plain values: still sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
