//! How fast a fleet may be together so that a provider's count never exceeds its limit, by how it counts. Pure.
//!
//! Whoever leaves here evenly does not arrive evenly: each sender may begin with a burst, and the way to the provider
//! takes longer at one time than at another. With a limit of L in a window of W, bursts of B in all and delays that
//! differ by at most D, L is kept by a rate of (L − B) / (W + D).

use std::fmt;
use std::time::Duration;

use assay_common::limit::Window;
use serde::{Deserialize, Serialize};

/// By how much the time from a permit to the provider's count may differ, in microseconds: a permit is used within a fifth
/// of a second, and some is left for the way.
pub const SPREAD_US: u64 = 250_000;
/// Senders may have bursts of this part of a window together: more of them, and too little of the limit is left.
const BURSTS: u64 = 40;
/// A rate is never less than this part of what the window allows: a request of nearly a whole window leaves nothing else.
const LEAST: u128 = 10;
/// Whole things are counted in millionths.
pub(crate) const MILLION: u64 = 1_000_000;
const MINUTE_US: u128 = 60_000_000;

/// How a provider counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Profile {
    /// Over what.
    pub window: Window,
    /// How long that is, in microseconds.
    pub length_us: u64,
}

impl Default for Profile {
    fn default() -> Self {
        Self { window: Window::default(), length_us: 60 * MILLION }
    }
}

impl Profile {
    /// Whether it is what nobody need say.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What a limit a minute comes to in one window, in millionths.
    pub(crate) fn allowed(self, limit: u64) -> u128 {
        u128::from(limit) * u128::from(MILLION) * u128::from(self.length_us.max(1)) / MINUTE_US
    }

    /// What a number of a minute comes to in one window, in whole.
    pub(crate) fn of_window(self, number: u64) -> u64 {
        u64::try_from(self.allowed(number) / u128::from(MILLION)).unwrap_or(u64::MAX)
    }

    /// The rate, in millionths a second, at which senders with such `bursts` in all keep to `limit` a minute.
    pub fn rate(self, limit: u64, bursts: u64) -> u64 {
        let allowed = self.allowed(limit);
        let full = u128::from(limit) * u128::from(MILLION) / 60;
        // The first of each burst is what the rate itself pays for, once.
        let bursts = u128::from(bursts.saturating_sub(1)) * u128::from(MILLION);
        let left = allowed.saturating_sub(bursts).max(allowed / LEAST);
        let rate = match self.window {
            Window::Sliding | Window::Fixed => {
                left * u128::from(MILLION) / u128::from(self.length_us.max(1) + SPREAD_US)
            }
            // A bucket is full when nothing was asked, and what it is filled with may be taken as it comes.
            Window::Bucket => full.min(left * u128::from(MILLION) / u128::from(SPREAD_US)),
        };
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// Whether senders with such `bursts` in all leave enough of `limit` a minute to be worth it.
    pub(crate) fn bears(self, limit: u64, bursts: u64) -> bool {
        u128::from(bursts) * u128::from(MILLION * BURSTS) <= self.allowed(limit)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.window {
            Window::Sliding => "sliding",
            Window::Fixed => "fixed",
            Window::Bucket => "bucket",
        };
        write!(f, "{word} over {:?}", Duration::from_micros(self.length_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(window: Window, seconds: u64) -> Profile {
        Profile { window, length_us: seconds * MILLION }
    }

    #[test]
    fn the_rate_leaves_room_for_bursts_and_delays() {
        let check = |profile: Profile, limit, bursts, expected| {
            assert_eq!(profile.rate(limit, bursts), expected, "{profile:?} {limit} {bursts}");
        };
        // (600 − 9) / 60.25 s
        check(of(Window::Sliding, 60), 600, 10, 9_809_128);
        check(of(Window::Fixed, 60), 600, 10, 9_809_128);
        check(of(Window::Bucket, 60), 600, 10, 10_000_000);
        // A window of six seconds holds sixty.
        check(of(Window::Sliding, 6), 600, 10, 51 * MILLION * 100 / 625);
        // A bucket of one: whoever comes must find it full.
        check(of(Window::Bucket, 1), 60, 1, 1_000_000);
        check(of(Window::Sliding, 60), 1, 1, MILLION * 100 / 6_025);
        // A request of a whole window still goes, slowly.
        check(of(Window::Sliding, 60), 1_000, 1_000, 100 * MILLION * 100 / 6_025);
        check(of(Window::Sliding, 60), 1_000_000_000, 1, 16_597_510_373_443);
    }

    #[test]
    fn a_small_limit_bears_few_senders() {
        let minute = Profile::default();
        assert!(minute.bears(600, 15) && !minute.bears(600, 16));
        assert!(minute.bears(40, 1) && !minute.bears(39, 1));
    }
}
