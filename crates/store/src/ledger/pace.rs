//! How fast calls went lately, over the time in which they could: what the rate that a provider refuses is measured by. Before
//! and after a pause it is the same; the pause itself says nothing of it. Pure.

use assay_common::clock::Micros;
use serde::{Deserialize, Serialize};

use super::headroom::MILLION;

/// What was used is forgotten over so long, in microseconds.
const MEMORY_US: u64 = 10 * MILLION;
/// What was used in less time than this says nothing, in microseconds.
const LEAST_US: u64 = MILLION;

/// What was used lately, and in how much time. Both fade alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// In millionths.
    used: u64,
    /// In microseconds.
    over_us: u64,
    /// Up to when; `None`: it never was.
    at: Option<Micros>,
}

impl Pace {
    /// Adds what was used up to `now`. Before `open_since` nobody could.
    pub(super) fn add(&mut self, used: u64, open_since: Option<Micros>, now: Micros) {
        let from = self.at.max(open_since);
        let passed = from.map_or(0, |from| u64::try_from(now.0.saturating_sub(from.0)).unwrap_or(0));
        let passed = passed.min(MEMORY_US);
        let kept = |sum: u64| {
            let kept = u128::from(sum) * u128::from(MEMORY_US - passed) / u128::from(MEMORY_US);
            u64::try_from(kept).unwrap_or(u64::MAX)
        };
        self.used = kept(self.used).saturating_add(used.saturating_mul(MILLION));
        self.over_us = kept(self.over_us) + passed;
        self.at = Some(now);
    }

    /// Millionths a second.
    pub(super) fn rate(self) -> u64 {
        let rate = u128::from(self.used) * u128::from(MILLION) / u128::from(self.over_us.max(LEAST_US));
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many a second are used from one second to another, in tenths of a second.
    fn go(pace: &mut Pace, tenth: u64, from: i64, to: i64, open_since: Option<i64>) {
        for at in from * 10..to * 10 {
            pace.add(tenth, open_since.map(|second| Micros(second * 1_000_000)), Micros(at * 100_000));
        }
    }

    fn check(pace: Pace, expected: std::ops::RangeInclusive<u64>) {
        assert!(expected.contains(&(pace.rate() / MILLION)), "{pace:?} is not {expected:?} a second");
    }

    #[test]
    fn a_pause_takes_no_time() {
        let mut pace = Pace::default();
        check(pace, 0..=0);
        go(&mut pace, 10, 0, 2, None);
        check(pace, 100..=106);
        go(&mut pace, 10, 2, 60, None);
        check(pace, 99..=101);
        // Told of in the pause, and used before it.
        go(&mut pace, 0, 60, 90, Some(90));
        check(pace, 99..=101);
        go(&mut pace, 1, 90, 92, Some(90));
        check(pace, 80..=90);
        go(&mut pace, 1, 92, 150, Some(90));
        check(pace, 9..=11);
    }

    #[test]
    fn what_was_long_ago_is_forgotten_and_a_clock_that_is_set_back_does_no_harm() {
        let mut pace = Pace::default();
        go(&mut pace, 10, 0, 30, None);
        pace.add(5, None, Micros(3_600_000_000));
        check(pace, 0..=0);
        go(&mut pace, 10, 10, 90, None);
        check(pace, 99..=101);
    }
}
