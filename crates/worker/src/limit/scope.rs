//! An account, or one model of it, as its limits see it: its line, its places, and what is told to and heard from the ledger.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_common::config::Limits;
use assay_common::limit::Dimension;
use assay_store::ledger::ALL;
use assay_store::{Answer, Ask, Firm, Profile, Refusal, Said, Why};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::line::{Line, RATES};
use super::places::Places;
use crate::provider::meter::{Meter, Meters};

/// A lease is as good as another from which it differs by no more than this part.
const LIKE: u64 = 50;

/// One scope's limits in this process.
pub(crate) struct Scope {
    /// As tables name it.
    name: String,
    /// What assay.toml says.
    limits: Limits,
    /// The moment from which its line counts.
    pub(super) began: Instant,
    pub(super) line: Arc<Line>,
    pub(super) places: Arc<Places>,
    /// The most calls that can be in flight: as many as assay.toml allows, or the ledger does.
    in_flight: AtomicU32,
    /// Whether its limits are leased; else they are this process's own.
    is_leased: bool,
    /// Whether it is a model of an account: its line is held while that of the account is passed.
    is_inner: bool,
    /// As many calls in flight as this process allows itself where nobody limits them.
    own_places: u32,
    told: Mutex<Told>,
    /// Rings whenever somebody who was told to wait may be told otherwise; an account's, for its models too.
    pub(super) changed: Arc<Notify>,
}

#[derive(Default)]
struct Told {
    /// The leases of rates that this process goes by.
    goes_by: BTreeMap<Dimension, Lease>,
    /// Lower ones, which it goes by from the next renewal on: until that has said so, nobody else gets the difference.
    goes_by_next: BTreeMap<Dimension, Lease>,
    /// The grant of places that it goes by, and the one that it goes by as soon as no more are held than that allows.
    places: u64,
    offered: u64,
    /// What the provider said since the last renewal.
    said: BTreeMap<Dimension, Said>,
    /// What the provider refused a call for since, until when nobody calls, and whether the provider said that it was this.
    refused: BTreeMap<Dimension, (Instant, bool)>,
    /// Until when nobody calls, by the ledger.
    paused_until: Option<Instant>,
    /// How often somebody has lifted what held calls back, by the ledger, and when this process heard of the last time.
    resumed: Option<u64>,
    lifted_at: Option<Instant>,
    /// The limits are too small for this process to send too.
    is_crowded: bool,
    /// What the limits of the ledger come to in one window.
    windows: BTreeMap<Dimension, u64>,
    /// Those among them that somebody here has written down.
    firm: BTreeMap<Dimension, Firm>,
    /// Why less is granted than might be expected, as it was logged.
    why: BTreeMap<Dimension, Why>,
    /// It was asked what there is of it.
    has_asked: bool,
    /// What was last granted is not what was granted before.
    has_changed: bool,
}

/// What the ledger has granted of a rate.
#[derive(Clone, Copy)]
struct Lease {
    /// The number of the grant.
    seq: u64,
    /// Millionths a second; `None`: nothing limits it.
    amount: Option<u64>,
    /// The limit, a minute, where one is known.
    limit: Option<u64>,
    why: Option<Why>,
    /// Until when, as the time since the worker began.
    until: Duration,
}

impl Lease {
    /// Whether all that the `next` one takes away is for others, and this one lasts until they can have it.
    fn hands_over(&self, next: &Self, now: Duration) -> bool {
        let is_same_limit = (self.limit, self.why) == (next.limit, next.why);
        let left = |lease: &Self| lease.until.saturating_sub(now);
        is_same_limit && next.amount.is_some() && next.amount < self.amount && left(self) * 2 >= left(next)
    }

    /// Whether the `next` one is as good as the same.
    fn is_like(&self, next: &Self) -> bool {
        let [amount, other] = [self, next].map(|lease| lease.amount.unwrap_or(ALL));
        self.limit == next.limit && amount.abs_diff(other) <= amount / LIKE
    }
}

impl Scope {
    /// One whose limits are this process's alone.
    pub(super) fn own(name: String, limits: &Limits, most: u32, changed: Arc<Notify>) -> Self {
        let scope = Self::new(name, limits, (most, Places::own(most)), Instant::now(), changed);
        for (rate, dimension) in RATES.into_iter().enumerate() {
            if let Some(limit) = limits.of(dimension) {
                let amount = Some(scope.profile().rate(limit, 1));
                scope.line.lease(rate, amount, scope.window(limit), Duration::MAX, Duration::ZERO);
            }
        }
        scope
    }

    /// One whose limits are leased. Places that assay.toml does not name are this process's own caution.
    pub(super) fn leased(
        name: String,
        limits: &Limits,
        most: u32,
        changed: Arc<Notify>,
        began: Instant,
        is_inner: bool,
    ) -> Self {
        let places = if limits.in_flight.is_some() { Places::leased() } else { Places::own(most) };
        let scope = Self::new(name, limits, (most, places), began, changed);
        let scope = Self { is_leased: true, is_inner, ..scope };
        // Nothing goes before the first grant: others may know of limits that this file does not name.
        for (rate, dimension) in RATES.into_iter().enumerate() {
            let limit = limits.of(dimension);
            if limit.is_some() || dimension == Dimension::Requests {
                let window = scope.window(limit.unwrap_or(0));
                scope.line.lease(rate, Some(0), window, Duration::ZERO, Duration::ZERO);
            }
        }
        scope
    }

    fn new(
        name: String,
        limits: &Limits,
        (most, places): (u32, Arc<Places>),
        began: Instant,
        changed: Arc<Notify>,
    ) -> Self {
        Self {
            name,
            limits: *limits,
            began,
            line: Line::new(limits.window_length()),
            places,
            in_flight: AtomicU32::new(most),
            own_places: most,
            is_leased: false,
            is_inner: false,
            told: Mutex::default(),
            changed,
        }
    }

    /// The most calls that can be in flight now.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether assay.toml limits this dimension here.
    pub(super) fn names(&self, dimension: Dimension) -> bool {
        self.limits.of(dimension).is_some()
    }

    /// Whether somebody limits this dimension here: assay.toml, that of another worker, or an operator.
    pub(super) fn is_limited(&self, dimension: Dimension) -> bool {
        self.names(dimension) || self.told().firm.contains_key(&dimension)
    }

    /// For how long nobody of this process may begin a call: the ledger says so.
    pub(super) fn closed_for(&self, now: Instant) -> Duration {
        if !self.is_leased {
            return Duration::ZERO;
        }
        let told = self.told();
        let paused = told.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        // Others send for all: it is asked again with each renewal.
        if told.is_crowded { paused.max(Duration::from_secs(1)) } else { paused }
    }

    /// When this process heard that somebody lifts what holds its calls back: what it was told before holds no more.
    pub(super) fn lifted_at(&self) -> Option<Instant> {
        self.told().lifted_at
    }

    /// What one window allows of a rate, where that is limited.
    pub(super) fn in_window(&self, dimension: Dimension) -> Option<u64> {
        self.told().windows.get(&dimension).copied().or_else(|| self.limits.of_window(dimension))
    }

    /// What one window allows of a rate by what somebody here has written down, and whether an operator has set it. What a
    /// provider said once may be wrong.
    pub(super) fn firmly(&self, dimension: Dimension) -> Option<(u64, bool)> {
        let told = self.told().firm.get(&dimension).copied();
        told.map(|Firm { limit, is_set }| (self.window(limit), is_set))
            .or_else(|| Some((self.limits.of_window(dimension)?, false)))
    }

    /// The account or the model, as tables name it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether what was taken may be used now: no lease is over.
    pub(super) fn holds(&self) -> bool {
        let now = self.began.elapsed();
        self.line.holds(now) && self.places.holds(now)
    }

    /// Whether somebody waits for a first lease: nothing is leased, and it is not that nobody may call.
    pub(super) fn is_starved(&self, now: Instant) -> bool {
        self.is_leased && self.line.is_starved() && self.closed_for(now).is_zero()
    }

    /// Whether the last renewal brought nothing new, and nothing is held back: the next is not urgent.
    pub(super) fn is_settled(&self) -> bool {
        let told = self.told();
        !told.has_changed && told.why.is_empty() && told.paused_until.is_none()
    }

    /// Hears what the provider says of one of its limits.
    pub(super) fn hear(&self, dimension: Dimension, meter: Meter) {
        if self.is_leased && (meter.limit.is_some() || meter.remaining.is_some()) {
            let reset_us = meter.whole_in.and_then(|wait| u64::try_from(wait.as_micros()).ok());
            let said = Said { limit: meter.limit, remaining: meter.remaining, reset_us };
            self.told().said.insert(dimension, said);
        }
    }

    /// The provider has refused a call: nobody calls until `until`. What it says is used up is what it refused it for; where it
    /// says nothing of that, the ledger knows what was nearest to it.
    pub(super) fn refused(&self, meters: &Meters, until: Instant) {
        if !self.is_leased {
            return;
        }
        let mut told = self.told();
        let used_up = RATES.into_iter().filter(|dimension| meter(meters, *dimension).remaining == Some(0));
        let mut dimensions: Vec<_> = used_up.map(|dimension| (dimension, true)).collect();
        if dimensions.is_empty() {
            dimensions.push((Dimension::Requests, false));
        }
        for (dimension, is_told) in dimensions {
            let (last, was_told) = told.refused.entry(dimension).or_insert((until, is_told));
            (*last, *was_told) = (until.max(*last), *was_told || is_told);
        }
    }

    /// What to ask of the ledger now.
    pub(super) fn asks(&self, now: Instant) -> Vec<Ask> {
        let since = now.saturating_duration_since(self.began);
        let demands = self.line.demand(since);
        let mut told = self.told();
        told.has_asked = true;
        // Of a model that nobody limits there is nothing to ask; whether somebody does is told all the same.
        let is_joined = told.offered > 0 || !told.goes_by.is_empty();
        if self.is_inner && !is_joined && Dimension::ALL.into_iter().all(|dimension| !self.names(dimension)) {
            return Vec::new();
        }
        for (dimension, lease) in std::mem::take(&mut told.goes_by_next) {
            self.go_by(&mut told, dimension, lease, since);
        }
        told.has_changed = false;
        let (said, refused) = (std::mem::take(&mut told.said), std::mem::take(&mut told.refused));
        let ask = |dimension, want, burst, acked, used| Ask {
            scope: self.name.clone(),
            dimension,
            configured: self.limits.of(dimension),
            profile: self.profile(),
            want,
            burst,
            acked,
            used,
            said: said.get(&dimension).copied(),
            refused: refused.get(&dimension).map(|(until, is_told)| Refusal {
                pause: until.saturating_duration_since(now),
                is_told: *is_told,
            }),
            lacks: None,
            needs: None,
        };
        let mut asks = Vec::new();
        for (dimension, demand) in RATES.into_iter().zip(demands) {
            let concerns = dimension == Dimension::Requests
                || self.names(dimension)
                || said.contains_key(&dimension)
                || told.goes_by.contains_key(&dimension);
            if concerns {
                let acked = told.goes_by.get(&dimension).map_or(0, |lease| lease.seq);
                // What is gathered before the account's line is passed is used some time after.
                let burst = demand.burst + u64::from(self.is_inner);
                // Whoever is kept from sending does not even claim: he says that he would.
                let want = demand.want.max(u64::from(told.is_crowded));
                // A request lacks one at most, and says so by waiting.
                let of_head = |tokens: Option<u64>| tokens.filter(|_| dimension != Dimension::Requests);
                let (lacks, needs) = (of_head(demand.lacks), of_head(demand.needs));
                asks.push(Ask { lacks, needs, ..ask(dimension, want, burst, acked, demand.used) });
            }
        }
        if self.names(Dimension::InFlight) || told.offered > 0 {
            let (want, held, is_within) = self.places.demand();
            if is_within {
                told.places = told.offered;
            }
            asks.push(ask(Dimension::InFlight, want, 0, told.places, held));
        }
        asks
    }

    /// Goes by an answer to what was asked; it holds until `until`.
    pub(super) fn follow(&self, answer: &Answer, until: Instant, now: Instant) {
        let (until, since) =
            (until.saturating_duration_since(self.began), now.saturating_duration_since(self.began));
        let Answer { dimension, seq, amount, limit, firm, paused_for, resumed, why, .. } = *answer;
        let mut told = self.told();
        if dimension.is_rate() {
            let lease = Lease { seq, amount, limit, why, until };
            let held = told.goes_by.get(&dimension).copied();
            told.has_changed |= held.is_none_or(|held| !held.is_like(&lease));
            if held.is_some_and(|held| held.hands_over(&lease, since)) {
                told.goes_by_next.insert(dimension, lease);
            } else {
                self.go_by(&mut told, dimension, lease, since);
            }
        } else {
            let whole = |places: u64| u32::try_from(places).unwrap_or(u32::MAX);
            let own = (self.own_places, Duration::MAX);
            let (allowed, until) = amount.map_or(own, |amount| (whole(amount), until));
            self.places.lease(allowed, until);
            self.in_flight.store(limit.map_or(self.own_places, whole), Ordering::Relaxed);
            told.offered = seq;
        }
        keep(&mut told.windows, dimension, limit.map(|limit| self.window(limit)));
        keep(&mut told.firm, dimension, firm);
        told.paused_until = (!paused_for.is_zero()).then(|| now + paused_for);
        if told.resumed.replace(resumed).is_some_and(|known| known < resumed) {
            told.lifted_at = Some(now);
            // Those who were refused knew nothing of it.
            told.refused.clear();
            let name = &self.name;
            tracing::info!(limit.scope = %name, "somebody lifts what holds the calls of {name} back");
        }
        let known = told.why.get(&dimension).copied();
        if known != why {
            self.log(dimension, why);
            keep(&mut told.why, dimension, why);
        }
        told.is_crowded = told.why.values().any(|why| matches!(why, Why::Crowded { .. }));
        drop(told);
        self.changed.notify_waiters();
    }

    /// The ledger has answered all that was asked, and knows of no limit here.
    pub(super) fn is_unlimited(&self, now: Instant) {
        if self.told().has_asked {
            let since = now.saturating_duration_since(self.began);
            for rate in 0..RATES.len() {
                self.line.lease(rate, None, 0, since, since);
            }
        }
    }

    fn go_by(&self, told: &mut Told, dimension: Dimension, lease: Lease, now: Duration) {
        if let Some(rate) = RATES.into_iter().position(|rate| rate == dimension) {
            let Lease { amount, limit, until, .. } = lease;
            self.line.lease(rate, amount, self.window(limit.unwrap_or(0)), until, now);
        }
        told.goes_by.insert(dimension, lease);
    }

    /// The ledger was asked and has not answered: what it was to be told is told again.
    pub(super) fn unanswered(&self, asks: &[Ask], now: Instant) {
        let mut told = self.told();
        for ask in asks.iter().filter(|ask| ask.scope == self.name) {
            if let Some(said) = ask.said {
                told.said.entry(ask.dimension).or_insert(said);
            }
            if let Some(Refusal { pause, is_told }) = ask.refused {
                told.refused.entry(ask.dimension).or_insert((now + pause, is_told));
            }
        }
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    fn log(&self, dimension: Dimension, why: Option<Why>) {
        let name = &self.name;
        match why {
            Some(why @ (Why::Crowded { .. } | Why::Paused)) => {
                tracing::info!(limit.scope = %name, limit.dimension = %dimension, "no {dimension} of {name} for now: {why}");
            }
            Some(why) => {
                tracing::warn!(limit.scope = %name, limit.dimension = %dimension, "fewer {dimension} of {name}: {why}");
            }
            None => {
                tracing::info!(limit.scope = %name, limit.dimension = %dimension, "{dimension} of {name} as far as its limit goes");
            }
        }
    }

    fn profile(&self) -> Profile {
        let length_us = u64::try_from(self.limits.window_length().as_micros()).unwrap_or(u64::MAX);
        Profile { window: self.limits.window(), length_us }
    }

    /// What a limit a minute comes to in one window.
    pub(super) fn window(&self, limit: u64) -> u64 {
        let scaled = u128::from(limit) * self.limits.window_length().as_millis() / 60_000;
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // A panic while the lock is held leaves plain values: still sound.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a dimension, which may be nothing any more.
fn keep<T>(known: &mut BTreeMap<Dimension, T>, dimension: Dimension, new: Option<T>) {
    match new {
        Some(new) => known.insert(dimension, new),
        None => known.remove(&dimension),
    };
}

/// What a provider says of one rate.
pub(super) fn meter(meters: &Meters, dimension: Dimension) -> Meter {
    match dimension {
        Dimension::Requests => meters.requests,
        Dimension::Tokens => meters.tokens,
        Dimension::InputTokens => meters.input_tokens,
        Dimension::OutputTokens => meters.output_tokens,
        Dimension::InFlight => Meter::default(),
    }
}
