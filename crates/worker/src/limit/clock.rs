//! The leased clock: virtual time under a rate limiter, which passes as fast as the lease says and stands still without one.
//! Pure: moments come in, as the time since the worker began.
//!
//! ```text
//! virtual        ╭── another lease: another slope        a limiter with a constant quota of one token for TOKEN
//!  time        ╭─╯                                        virtual nanoseconds then allows the leased rate, without
//!           ╭──╯   ╭── renewed in time                    being built anew, and never a token that was not leased
//!        ╭──╯──────╯ the lease is over: it stands still
//!  ──────┴──────────────────► time
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::nanos::Nanos;

/// Virtual nanoseconds for one token.
pub(super) const TOKEN: u64 = 1_000;
/// Millionths of a token a second, over a nanosecond, are so small a part of a virtual nanosecond: no rounding, however often
/// the lease changes.
const PARTS: u128 = 1_000_000_000_000;

/// How virtual time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slope {
    /// Since when at this rate.
    since: Duration,
    /// What it showed then, in [`PARTS`] of a virtual nanosecond.
    shown: u128,
    /// Millionths of a token a second.
    rate: u64,
    /// Until when.
    until: Duration,
}

impl Slope {
    /// Stands still.
    pub(super) fn new() -> Self {
        Self { since: Duration::ZERO, shown: 0, rate: 0, until: Duration::ZERO }
    }

    /// From `now` on it goes at `rate` millionths of a token a second, until `until` at most.
    pub(super) fn lease(&mut self, rate: u64, until: Duration, now: Duration) {
        *self = Self { since: now.max(self.since), shown: self.parts(now), rate, until };
    }

    /// What it shows at `now`, in virtual nanoseconds.
    pub(super) fn at(&self, now: Duration) -> u64 {
        u64::try_from(self.parts(now) / PARTS).unwrap_or(u64::MAX)
    }

    /// When it will show `shown` virtual nanoseconds; `None`: not under this lease.
    pub(super) fn when(&self, shown: u64) -> Option<Duration> {
        let ahead = (u128::from(shown) * PARTS).saturating_sub(self.shown);
        if ahead == 0 {
            return Some(self.since);
        }
        let nanos = ahead.checked_next_multiple_of(u128::from(self.rate))? / u128::from(self.rate);
        let moment = self.since.checked_add(Duration::from_nanos(u64::try_from(nanos).ok()?))?;
        (moment <= self.until).then_some(moment)
    }

    /// Whether it goes on at `now`.
    pub(super) fn runs(&self, now: Duration) -> bool {
        self.rate > 0 && now < self.until
    }

    /// The leased rate, whether or not its time is over.
    pub(super) fn rate(&self) -> u64 {
        self.rate
    }

    fn parts(&self, now: Duration) -> u128 {
        let passed = now.min(self.until).saturating_sub(self.since);
        self.shown + passed.as_nanos() * u128::from(self.rate)
    }
}

/// Virtual time as a limiter reads it: it stands where whoever holds the line's lock has put it.
#[derive(Clone, Debug)]
pub(super) struct Hand(Arc<AtomicU64>);

impl Hand {
    /// At the beginning.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    /// Puts it to `shown` virtual nanoseconds, unless it has been beyond.
    pub(super) fn put(&self, shown: u64) {
        self.0.fetch_max(shown, Ordering::AcqRel);
    }
}

impl Clock for Hand {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn goes_as_fast_as_the_lease_and_stands_still_without() {
        let mut slope = Slope::new();
        assert_eq!((slope.at(at(500)), slope.when(1), slope.runs(at(0))), (0, None, false));
        slope.lease(10_000_000, at(5_000), at(1_000));
        let tokens = |slope: &Slope, millis| slope.at(at(millis)) / TOKEN;
        assert_eq!(
            [1_000, 1_100, 2_000, 5_000, 9_000].map(|millis| tokens(&slope, millis)),
            [0, 1, 10, 40, 40]
        );
        assert_eq!(slope.when(TOKEN), Some(at(1_100)));
        assert_eq!((slope.when(40 * TOKEN), slope.when(40 * TOKEN + 1)), (Some(at(5_000)), None));
        slope.lease(1_000_000, at(20_000), at(10_000));
        assert_eq!([10_000, 15_000].map(|millis| tokens(&slope, millis)), [40, 45]);
        slope.lease(0, at(30_000), at(15_000));
        assert_eq!((tokens(&slope, 29_000), slope.when(46 * TOKEN)), (45, None));
    }

    proptest! {
        /// However often and whenever a lease changes, no token is lost or made: what has passed is the sum of rate × time.
        #[test]
        fn nothing_is_rounded_away(leases in prop::collection::vec((1..50_000_000_u64, 1..3_000_u64, 1..5_000_u64), 1..60)) {
            let (mut slope, mut now, mut parts) = (Slope::new(), Duration::ZERO, 0_u128);
            for (rate, ttl, passes) in leases {
                let before = slope.at(now);
                slope.lease(rate, now + at(ttl), now);
                prop_assert_eq!(slope.at(now), before);
                let due = slope.at(now) + 1;
                if let Some(moment) = slope.when(due) {
                    prop_assert!(slope.at(moment) >= due && slope.at(moment - Duration::from_nanos(1)) < due);
                }
                now += at(passes);
                parts += at(ttl.min(passes)).as_nanos() * u128::from(rate);
                prop_assert_eq!(u128::from(slope.at(now)), parts / PARTS);
            }
        }
    }
}
