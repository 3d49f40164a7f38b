//! The door that a job passes before each of its calls: the account's limits and its model's, the pool's breaker, what it bears
//! in flight, and what may be asked again.
//!
//! ```text
//! breaker, pauses ── places in flight ── the model's line ── the account's line ── pass ── looked at again ── call
//!  ▲                                     (held meanwhile)                                        │
//!  └──────────── a pause, a trouble, or others send for all ◄────────────────────────────────────┘
//! ```

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_common::config::{DEFAULT_IN_FLIGHT, Limits};
use assay_common::limit::Dimension;
use assay_common::usage::Usage;
use assay_store::Store;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::breaker::{Admission, Breaker, Evidence, Trouble};
use super::flight::{Flight, Take};
use super::lease::Leases;
use super::line::{Needs, RATES, Ticket};
use super::money::Money;
use super::pause::{LONGEST_WAIT, Pause};
use super::places::Held;
use super::retries::{Attempt, Retries};
use super::scope::{Scope, meter};
use super::stand::stand;
use super::tell::Teller;
use super::tokens::{Accounting, Estimator, Tokens};
use crate::provider::meter::Meters;
use crate::provider::observation::Class;

/// How old a permit may be when its call is made; an older one is taken anew. The ledger allows for so much between a permit
/// and its arrival.
const FRESH: Duration = Duration::from_millis(100);

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
    /// Its model's own limits, where it has some.
    scope: Option<Arc<Scope>>,
    /// When a call of this pool was last answered, on this process's clock; 0 before the first.
    answered_at: AtomicI64,
}

/// What is learned of a pool from its calls.
struct Pool {
    breaker: Mutex<Breaker>,
    flight: Mutex<Flight>,
    retries: Mutex<Retries>,
    estimator: Mutex<Estimator>,
    teller: Teller,
    /// Rings for one of those who wait for a place in flight.
    landed: Notify,
}

/// How large a request is, as far as that is known before it is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// Bytes of its prompt.
    pub(crate) bytes: u64,
    /// The most tokens that its answer may have.
    pub(crate) max_tokens: Option<u32>,
}

/// The right to make one call. Dropping it frees its places.
pub(crate) struct Pass {
    _slots: Slots,
    probe: Option<Probe>,
    size: Size,
    taken: Taken,
}

/// What a call has taken of the rates.
#[derive(Clone, Copy)]
struct Taken {
    /// In each accounting, what it was taken for.
    reserved: Tokens,
    produced: Tokens,
    /// When; a call that is not made soon takes it anew.
    at: Instant,
}

/// The places of a call: of its pool, its model and its account.
struct Slots {
    _flight: Place,
    _model: Option<Held>,
    _account: Held,
}

/// No call is let through for longer than a job may wait inside the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// When it is worth asking again.
    pub(crate) reopens_in: Duration,
}

/// A request that no window of a limit has room for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request needs about {needed} {dimension}, more than the {most} that {scope} allows in one window: shorten the prompt, \
     lower `max_tokens`, or raise the limit in assay.toml if the account has more"
)]
pub(crate) struct TooLarge {
    scope: String,
    dimension: Dimension,
    needed: u64,
    most: u64,
}

/// A place in flight, for as long as it lives.
struct Place(Arc<Pool>);

/// Marks the pool as being probed for as long as it lives.
struct Probe(Arc<Account>, Arc<Pool>);

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

    /// The most calls of this account that can be in flight.
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
        let own = limits.map(|limits| {
            let most = limits.in_flight.map_or(of_account, std::num::NonZeroU32::get);
            scope(&model, limits, most, leases, Some(&account))
        });
        let most = own.as_ref().map_or(of_account, |own| own.in_flight().min(of_account));
        let now = Instant::now();
        let pool = Pool {
            breaker: Mutex::new(Breaker::new(now)),
            flight: Mutex::new(Flight::new(most)),
            retries: Mutex::new(Retries::new(now)),
            estimator: Mutex::new(Estimator::new()),
            teller: Teller::new(model),
            landed: Notify::new(),
        };
        Self { account, pool: Arc::new(pool), scope: own, answered_at: AtomicI64::new(0) }
    }

    /// The most calls of this pool that can be in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        let account = self.account.in_flight();
        self.scope.as_ref().map_or(account, |model| model.in_flight().min(account))
    }

    /// Whether a window of every limit has room for a request of this size: no wait would make more.
    pub(crate) fn fits(&self, size: Size) -> Result<(), TooLarge> {
        let (reserved, produced) = self.estimate(size);
        // Where nothing is said of the answer, it is the provider's to say how much it may be.
        let answer = size.max_tokens.map_or(0, u64::from);
        let needs = [
            (Dimension::Tokens, reserved.input.saturating_add(answer)),
            (Dimension::InputTokens, produced.input),
        ];
        for scope in self.scopes() {
            for (dimension, needed) in needs {
                if let Some(most) = scope.in_window(dimension).filter(|most| needed > *most) {
                    return Err(TooLarge { scope: scope.name().to_owned(), dimension, needed, most });
                }
            }
        }
        Ok(())
    }

    /// Waits for the right to make a call: for a slot and the rate as long as it takes, for a closed door only as long as a
    /// job may wait inside the process.
    pub(crate) async fn enter(&self, attempt: Attempt, size: Size, wall: Micros) -> Result<Pass, Closed> {
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
            let standing = async { (self.slots().await, self.permit(size).await) };
            let (slots, taken) = tokio::select! {
                biased;
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

    /// Looks at the last moment before a call: a permit that is old, or whose lease is over, is taken anew.
    pub(crate) async fn refresh(&self, pass: &mut Pass) {
        while !self.is_fresh(pass) {
            self.leased().await;
            pass.taken = self.permit(pass.size).await;
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

    /// What a call had taken, and what the provider has counted of it; what it says of its limits.
    pub(crate) fn settle(&self, pass: Option<&Pass>, class: Class, usage: &Usage, meters: &Meters) {
        if class == Class::RateLimited {
            let until = Instant::now() + lock(&self.account.pause).left(Instant::now());
            self.scopes().for_each(|scope| scope.refused(meters, until));
            self.account.hurry.notify_one();
        }
        if *meters != Meters::default() {
            for dimension in RATES {
                // What limits the model in assay.toml, the provider speaks of that; else of the account.
                let own = self.scope.as_ref().filter(|own| own.names(dimension));
                own.unwrap_or(&self.account.scope).hear(dimension, meter(meters, dimension));
            }
        }
        let Some(Pass { size, taken, .. }) = pass else { return };
        let (reserved, produced) = match class {
            Class::Answered => {
                if self.scopes().any(|scope| !scope.line.is_open()) {
                    lock(&self.pool.estimator).learn(size.bytes, usage);
                }
                let counted = |accounting: Accounting, taken| accounting.counted(taken, usage);
                (counted(Accounting::Reserved, taken.reserved), counted(Accounting::Produced, taken.produced))
            }
            // Nothing was sent.
            Class::Unsent => (Tokens::default(), Tokens::default()),
            // Nobody says what was counted.
            _ => return,
        };
        let (taken, counted) = (needs(taken.reserved, taken.produced), needs(reserved, produced));
        self.scopes().for_each(|scope| scope.line.settle(taken, counted));
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
            self.account.scope.changed.notify_waiters();
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

    async fn slots(&self) -> Slots {
        Slots {
            _flight: self.pool.place().await,
            _model: match &self.scope {
                Some(model) => Some(model.places.take().await),
                None => None,
            },
            _account: self.account.scope.places.take().await,
        }
    }

    /// Waits for what a call of this size takes of each rate. The model's line stands while that of the account is passed:
    /// what was gathered for the model is that of one call.
    async fn permit(&self, size: Size) -> Taken {
        let (reserved, produced) = self.estimate(size);
        let needs = needs(reserved, produced);
        let model = match &self.scope {
            Some(model) => self.pass(model, needs).await,
            None => None,
        };
        let account = self.pass(&self.account.scope, needs).await;
        [model, account].into_iter().flatten().for_each(Ticket::done);
        Taken { reserved, produced, at: Instant::now() }
    }

    async fn pass(&self, scope: &Scope, needs: Needs) -> Option<Ticket> {
        if scope.line.is_open() {
            scope.line.go_by();
            return None;
        }
        Some(stand(&scope.line, needs, scope.began, &self.account.hurry).await)
    }

    /// What a request is expected to be counted as: where both sides are counted together, and apart.
    fn estimate(&self, size: Size) -> (Tokens, Tokens) {
        if self.scopes().all(|scope| scope.line.is_open()) {
            return Default::default();
        }
        let estimator = lock(&self.pool.estimator);
        let estimate = |accounting| estimator.estimate(size.bytes, size.max_tokens, accounting);
        (estimate(Accounting::Reserved), estimate(Accounting::Produced))
    }

    fn is_fresh(&self, pass: &Pass) -> bool {
        self.scopes().all(|scope| {
            let is_recent = scope.line.is_open() || pass.taken.at.elapsed() <= FRESH;
            is_recent && scope.holds()
        })
    }

    /// Waits until no lease of places is over.
    async fn leased(&self) {
        loop {
            let changed = self.account.scope.changed.notified();
            if self.scopes().all(|scope| scope.places.holds(scope.began.elapsed())) {
                return;
            }
            self.account.hurry.notify_one();
            changed.await;
        }
    }
}

/// What is taken of each rate of a line.
fn needs(reserved: Tokens, produced: Tokens) -> Needs {
    [reserved.total(), produced.input, produced.output, 1]
}

impl Pool {
    /// Waits for a place in flight.
    async fn place(self: &Arc<Self>) -> Place {
        loop {
            let take = lock(&self.flight).take(Instant::now());
            match take {
                Take::Taken => return Place(Arc::clone(self)),
                // A place that was given back since is remembered.
                Take::Full => self.landed.notified().await,
                Take::From(then) => tokio::time::sleep_until(then).await,
            }
        }
    }

    fn trouble(&self) -> Option<Trouble> {
        let trouble = lock(&self.breaker).trouble().cloned();
        trouble.or_else(|| lock(&self.retries).ailment(Instant::now()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.0.flight).give_back(Instant::now());
        self.0.landed.notify_one();
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        lock(&self.1.breaker).probed();
        self.0.scope.changed.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock is held leaves plain values: still sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
