//! One dimension of a limit that is counted over time: governor on a leased clock, and the balance of tokens that were
//! taken and not used. Pure: moments come in, as the time since the worker began.

use std::num::NonZeroU32;
use std::time::Duration;

use assay_store::ledger::ALL;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::clock::{Hand, Slope, TOKEN};
use super::largest::Largest;
use super::tokens::{Balance, Bounds};

/// By how much a permit may be later than its moment: timers are late, and what they are late by is not lost. It is part of
/// what the ledger allows for between a permit and its arrival.
const LATE: Duration = Duration::from_millis(50);
/// Tokens are taken in pieces of this part of a minute's.
const PIECES: u64 = 10_000;
const MOST_AT_ONCE: u64 = 4_096;
/// What an estimate of the rate in use is worth beside the newest, of ten.
const STEADY: u64 = 7;

type Limiter = RateLimiter<NotKeyed, InMemoryState, Hand, NoOpMiddleware<Nanos>>;

/// A rate, as far as it is leased.
pub(super) struct Rate {
    /// `None`: nothing limits it.
    limited: Option<Limited>,
    /// What calls took more or less than they were counted as.
    balance: Balance,
    /// What who stands at the head still lacks of it, and what he needs in all.
    lacks: u64,
    needs: u64,
    /// What he goes without: no wait is longer than for what two windows allow, his own need and a debt.
    beyond: u64,
    /// What was taken since this began.
    used: u64,
    /// The same when a lease was last asked for, and the rate in use since, in millionths a second.
    asked: u64,
    in_use: u64,
    /// What was asked for at once.
    largest: Largest,
}

struct Limited {
    slope: Slope,
    hand: Hand,
    limiter: Limiter,
    /// The most that is taken at once.
    burst: NonZeroU32,
    /// What a window allows.
    window: u64,
}

/// When something can be taken that cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotYet {
    /// At this moment.
    At(Duration),
    /// Not under this lease.
    Standing,
}

/// What is to be asked of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Millionths a second, or all there is.
    pub(crate) want: u64,
    /// The most that is used in one moment, or was in the last window: the provider counts it still.
    pub(crate) burst: u64,
    /// What was used since this began.
    pub(crate) used: u64,
    /// What who stands at the head still lacks; `None`: nobody lacks any.
    pub(crate) lacks: Option<u64>,
    /// What he needs in all.
    pub(crate) needs: Option<u64>,
}

impl Rate {
    /// Unlimited, until a lease says otherwise; of a provider that counts over such a window.
    pub(super) fn new(window: Duration) -> Self {
        Self {
            limited: None,
            balance: Balance::default(),
            lacks: 0,
            needs: 0,
            beyond: 0,
            used: 0,
            asked: 0,
            in_use: 0,
            largest: Largest::new(window),
        }
    }

    /// Whether nothing limits it.
    pub(super) fn is_open(&self) -> bool {
        self.limited.is_none()
    }

    /// From `now` on so many millionths a second may be taken, until `until`; `None`: as many as anybody likes. `window`: what
    /// the limit is in one window.
    pub(super) fn lease(&mut self, rate: Option<u64>, window: u64, until: Duration, now: Duration) {
        let Some(rate) = rate else {
            self.limited = None;
            return;
        };
        let limited = self.limited.get_or_insert_with(|| Limited::new(window, now));
        let begins = !limited.slope.runs(now) && rate > 0;
        limited.slope.lease(rate, until, now);
        limited.window = window;
        if begins {
            // What is left of an earlier lease is not added to what others have sent meanwhile.
            limited.drain(now);
        }
    }

    /// So many were taken while nothing limited them.
    pub(super) fn count(&mut self, taken: u64) {
        self.used += taken;
    }

    /// What the call of so many must take that has come to the head, with the debt of those before it and less their credit. Who
    /// takes less settles.
    pub(super) fn charge(&mut self, tokens: u64) -> u64 {
        self.largest.comes(tokens);
        (self.needs, self.beyond) = (tokens, 0);
        if self.is_open() { tokens } else { self.balance.charge(tokens) }
    }

    /// A call that took so many was counted as so many.
    pub(super) fn settle(&mut self, taken: u64, counted: u64) {
        if let Some(limited) = &self.limited {
            let bounds = Bounds { credit: limited.burst.get().into(), debt: limited.window };
            self.balance.settle(taken, counted, bounds);
        }
    }

    /// Takes what is `left`, or as much of it as there is now.
    pub(super) fn take(&mut self, left: &mut u64, now: Duration) -> Result<(), NotYet> {
        let longest = self.limited.as_ref().map(|limited| limited.window.saturating_mul(2));
        if let Some(longest) = longest.filter(|longest| (1..*left).contains(longest)) {
            self.beyond += *left - longest;
            *left = longest;
        }
        let before = *left;
        let taken = match &mut self.limited {
            Some(limited) => limited.take(left, now),
            None => {
                *left = 0;
                Ok(())
            }
        };
        self.used += before - *left;
        self.lacks = *left;
        taken
    }

    /// Who stood at the head has what he goes with: those behind him pay for what he went without.
    pub(super) fn pass(&mut self) {
        let beyond = std::mem::take(&mut self.beyond);
        self.settle(0, beyond);
    }

    /// Who stood at the head and needed so much gives up, with so much `left` to gather.
    pub(super) fn give_up(&mut self, need: u64, left: u64) {
        let beyond = std::mem::take(&mut self.beyond);
        self.settle(need, left + beyond);
    }

    /// Who stood at the head has left: nobody waits for any of it.
    pub(super) fn leave(&mut self) {
        self.lacks = 0;
        self.largest.leaves();
    }

    /// Whether what was taken may be used at `now`: the lease is not over.
    pub(super) fn holds(&self, now: Duration) -> bool {
        self.limited.as_ref().is_none_or(|limited| limited.slope.runs(now))
    }

    /// What to ask for at `now`, `beat` after the last time. `is_pressed`: who stood in line had to wait for most of it, or
    /// waits and gets nothing.
    pub(super) fn demand(&mut self, is_pressed: bool, beat: Duration, now: Duration) -> Demand {
        let since = u128::from(self.used - self.asked) * 1_000_000_000_000_000 / beat.as_nanos().max(1);
        let newest = u64::try_from(since).unwrap_or(ALL).min(ALL / 16);
        self.in_use = (self.in_use * STEADY + newest * (10 - STEADY)) / 10;
        self.asked = self.used;
        let largest = self.largest.at(now).max(1);
        // What no window has room for says nothing of how many can send beside it.
        let is_beyond = self.limited.as_ref().is_some_and(|limited| largest > limited.window);
        let largest = if is_beyond { 1 } else { largest };
        let burst = self.limited.as_ref().map_or(1, |limited| limited.burst.get().into());
        // Room to grow by the half from beat to beat.
        let want = if is_pressed { ALL } else { self.in_use.max(newest) * 3 / 2 };
        let is_waited_for = self.lacks > 0;
        let [lacks, needs] = [self.lacks, self.needs].map(|tokens| is_waited_for.then_some(tokens));
        Demand { want, burst: largest + burst - 1, used: self.used, lacks, needs }
    }

    /// Whether it is limited to nothing.
    pub(super) fn has_nothing(&self) -> bool {
        self.limited.as_ref().is_some_and(|limited| limited.slope.rate() == 0)
    }
}

impl Limited {
    fn new(window: u64, now: Duration) -> Self {
        let at_once = (window / PIECES).clamp(1, MOST_AT_ONCE);
        let burst = u32::try_from(at_once).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::with_period(Duration::from_nanos(TOKEN)).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let hand = Hand::new();
        let limiter = RateLimiter::direct_with_clock(quota.allow_burst(burst), hand.clone());
        let limited = Self { slope: Slope::new(), hand, limiter, burst, window };
        // A full bucket is a burst that nobody has leased.
        limited.drain(now);
        limited
    }

    fn drain(&self, now: Duration) {
        self.hand.put(self.slope.at(now));
        let mut piece = self.burst.get();
        while let Some(some) = NonZeroU32::new(piece) {
            while matches!(self.limiter.check_n(some), Ok(Ok(()))) {}
            piece /= 2;
        }
    }

    fn take(&self, left: &mut u64, now: Duration) -> Result<(), NotYet> {
        if !self.slope.runs(now) {
            // Whoever was frozen finds moments that have passed long ago: others have them by now.
            return Err(NotYet::Standing);
        }
        self.hand.put(self.slope.at(now.saturating_sub(LATE)));
        while *left > 0 {
            let piece = u32::try_from(*left)
                .ok()
                .and_then(NonZeroU32::new)
                .map_or(self.burst, |left| left.min(self.burst));
            match self.limiter.check_n(piece) {
                Ok(Ok(())) => *left -= u64::from(piece.get()),
                Ok(Err(not_until)) => {
                    let due = not_until.earliest_possible().as_u64();
                    if due <= self.slope.at(now) {
                        // Its moment has passed already: it counts as of then.
                        self.hand.put(due);
                        continue;
                    }
                    return Err(self.slope.when(due).map_or(NotYet::Standing, NotYet::At));
                }
                // A piece is never more than the burst.
                Err(_) => return Err(NotYet::Standing),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// The moments at which `each` can be taken, for five minutes of a lease of `rate` tokens a minute; timers are late.
    fn taken(rate: u64, each: u64) -> Vec<Duration> {
        let mut limited = Rate::new(MINUTE);
        limited.lease(Some(rate * 1_000_000 / 60), rate, Duration::MAX, Duration::ZERO);
        let (mut now, mut left, mut moments) = (Duration::ZERO, each, Vec::new());
        while now < 5 * MINUTE {
            match limited.take(&mut left, now) {
                Ok(()) => {
                    moments.push(now);
                    left = each;
                }
                Err(NotYet::At(due)) => now = due + Duration::from_micros(1_300),
                Err(NotYet::Standing) => unreachable!("the lease is for ever"),
            }
        }
        moments
    }

    #[test]
    fn no_minute_holds_more_than_the_rate_and_a_burst_and_late_timers_lose_nothing() {
        for (rate, each) in [(1, 1), (60, 1), (600, 1), (60_000, 1), (2_000_000, 1_700), (100_000, 90_000)] {
            let moments = taken(rate, each);
            let in_minute = |from: &Duration| {
                let within = moments.iter().filter(|moment| *moment >= from && **moment < *from + MINUTE);
                within.count() as u64 * each
            };
            let late = rate * 50 / 60_000;
            let most = moments.iter().step_by(moments.len() / 200 + 1).map(in_minute).max().unwrap();
            let burst = each + rate / 10_000;
            assert!(most <= rate + burst + late, "{most} of {rate}");
            let total = moments.len() as u64 * each;
            assert!(total + burst + late >= 5 * rate, "{total} of 5 × {rate}");
        }
    }

    #[test]
    fn a_lease_begins_with_nothing_and_leaves_nothing_to_the_next() {
        let second = Duration::from_secs;
        let mut rate = Rate::new(MINUTE);
        let one = |rate: &mut Rate, now| rate.take(&mut 1, now);
        assert!(rate.is_open() && one(&mut rate, second(0)).is_ok() && rate.holds(second(9)));
        rate.lease(Some(1_000_000), 60, second(14), second(10));
        assert_eq!(one(&mut rate, second(10)), Err(NotYet::At(second(11))));
        assert_eq!(one(&mut rate, second(11)), Ok(()));
        assert!(rate.holds(second(13)) && !rate.holds(second(14)));
        assert_eq!(one(&mut rate, second(20)), Err(NotYet::Standing), "what was not taken in time is gone");
        rate.lease(Some(1_000_000), 60, second(26), second(22));
        assert_eq!(one(&mut rate, second(22)), Err(NotYet::At(second(23))));
        rate.lease(Some(0), 60, second(30), second(22));
        assert_eq!((one(&mut rate, second(24)), rate.has_nothing()), (Err(NotYet::Standing), true));
        rate.lease(None, 0, second(30), second(24));
        assert_eq!(one(&mut rate, second(24)), Ok(()));
    }

    #[test]
    fn asks_for_what_it_uses_and_for_all_when_pressed() {
        let second = Duration::from_secs;
        let mut rate = Rate::new(MINUTE);
        (0..4).for_each(|_| rate.take(&mut 10, second(0)).unwrap());
        rate.charge(10);
        let demand = rate.demand(false, second(1), second(1));
        assert_eq!((demand.used, demand.burst, demand.want), (40, 10, 60_000_000));
        assert_eq!(rate.demand(true, second(1), second(2)).want, ALL);
        for beat in 3..40 {
            rate.demand(false, second(1), second(beat));
        }
        assert!(rate.demand(false, second(1), second(40)).want < 1_000);
    }
}
