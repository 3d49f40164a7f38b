//! One dimension of an account, counted: what may still be admitted now, and what was used in each window. Moments come in, in
//! microseconds since the provider started, and never go back.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::Window;

/// What was used of one dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// What a window allows now.
    pub limit: u64,
    /// What was used in each window since the provider started, one after the other; the last one is not over.
    pub windows: Vec<u64>,
    /// The most that was used in any window of that length, wherever it begins.
    pub peak: u64,
    /// Calls that were refused for it.
    pub refused: u64,
}

/// A dimension as it is counted.
pub(crate) struct Gauge {
    window: Window,
    window_us: u64,
    limit: u64,
    /// What was used in the last window's time: when, and how much.
    recent: VecDeque<(u64, u64)>,
    in_recent: u64,
    /// What the bucket lacks, in units times the microseconds of a window: it fills by the limit each microsecond.
    lack: u128,
    /// When that was so.
    at_us: u64,
    used: Used,
}

impl Gauge {
    /// Nothing used, and so much allowed in each window of so many microseconds.
    pub(crate) fn new(window: Window, window_us: u64, limit: u64) -> Self {
        let used = Used { limit, windows: Vec::new(), peak: 0, refused: 0 };
        let recent = VecDeque::new();
        Self { window, window_us: window_us.max(1), limit, recent, in_recent: 0, lack: 0, at_us: 0, used }
    }

    /// How long until so much may be admitted, in microseconds; `None`: now. What no window holds may never be.
    pub(crate) fn wait_us(&mut self, now_us: u64, amount: u64) -> Option<u64> {
        self.pass(now_us);
        if amount > self.limit {
            return Some(self.window_us);
        }
        match self.window {
            Window::Sliding => {
                let mut excess =
                    (self.in_recent + amount).checked_sub(self.limit).filter(|more| *more > 0)?;
                let frees = |(at, used): &(u64, u64)| {
                    excess = excess.saturating_sub(*used);
                    (excess == 0).then_some(at + self.window_us - now_us)
                };
                self.recent.iter().find_map(frees)
            }
            Window::Fixed => {
                let fits = self.in_fixed(now_us) + amount <= self.limit;
                (!fits).then(|| self.window_us - now_us % self.window_us)
            }
            Window::Bucket => {
                let excess = (self.lack + self.scaled(amount)).saturating_sub(self.scaled(self.limit));
                let wait = excess.div_ceil(u128::from(self.limit.max(1)));
                (wait > 0).then(|| u64::try_from(wait).unwrap_or(u64::MAX))
            }
        }
    }

    /// Uses so much, whether it was left or not.
    pub(crate) fn add(&mut self, now_us: u64, amount: u64) {
        self.pass(now_us);
        if amount == 0 {
            return;
        }
        self.recent.push_back((now_us, amount));
        self.in_recent += amount;
        self.lack += self.scaled(amount);
        let window = self.number(now_us);
        self.used.windows.resize(window + 1, 0);
        self.used.windows[window] += amount;
        self.used.peak = self.used.peak.max(self.in_recent);
    }

    /// A call was refused for it.
    pub(crate) fn refuse(&mut self) {
        self.used.refused += 1;
    }

    /// What is left now.
    pub(crate) fn left(&mut self, now_us: u64) -> u64 {
        self.pass(now_us);
        let used = match self.window {
            Window::Sliding => self.in_recent,
            Window::Fixed => self.in_fixed(now_us),
            Window::Bucket => {
                u64::try_from(self.lack.div_ceil(u128::from(self.window_us))).unwrap_or(u64::MAX)
            }
        };
        self.limit.saturating_sub(used)
    }

    /// How long until all of it is there again if nothing more is used, in microseconds.
    pub(crate) fn whole_in_us(&mut self, now_us: u64) -> u64 {
        self.pass(now_us);
        match self.window {
            Window::Sliding => self.recent.back().map_or(0, |(at, _)| at + self.window_us - now_us),
            Window::Fixed => self.window_us - now_us % self.window_us,
            Window::Bucket => {
                u64::try_from(self.lack.div_ceil(u128::from(self.limit.max(1)))).unwrap_or(u64::MAX)
            }
        }
    }

    /// From now on a window allows so much. What was used stays used.
    pub(crate) fn set_limit(&mut self, now_us: u64, limit: u64) {
        self.pass(now_us);
        self.limit = limit;
        self.used.limit = limit;
    }

    /// What was used up to now.
    pub(crate) fn used(&self, now_us: u64) -> Used {
        let mut used = self.used.clone();
        used.windows.resize(self.number(now_us) + 1, 0);
        used
    }

    /// Time passes: what is older than a window counts no more, and the bucket fills.
    fn pass(&mut self, now_us: u64) {
        while let Some((_, used)) = self.recent.pop_front_if(|(at, _)| *at + self.window_us <= now_us) {
            self.in_recent -= used;
        }
        let filled = u128::from(self.limit) * u128::from(now_us.saturating_sub(self.at_us));
        self.lack = self.lack.saturating_sub(filled);
        self.at_us = self.at_us.max(now_us);
    }

    /// What was used in the window that goes on.
    fn in_fixed(&self, now_us: u64) -> u64 {
        self.used.windows.get(self.number(now_us)).copied().unwrap_or_default()
    }

    fn number(&self, now_us: u64) -> usize {
        usize::try_from(now_us / self.window_us).unwrap_or(usize::MAX)
    }

    fn scaled(&self, amount: u64) -> u128 {
        u128::from(amount) * u128::from(self.window_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit of 10 in each second: at each moment in milliseconds somebody asks for so much and is admitted, or told to wait
    /// so many milliseconds.
    fn check(window: Window, asked: &[(u64, u64, Option<u64>)]) -> Used {
        let mut gauge = Gauge::new(window, 1_000_000, 10);
        for (at_ms, amount, expected) in asked {
            let wait = gauge.wait_us(at_ms * 1_000, *amount).map(|us| us / 1_000);
            assert_eq!(wait, *expected, "{window:?} at {at_ms} ms");
            if wait.is_none() {
                gauge.add(at_ms * 1_000, *amount);
            }
        }
        let last = asked.last().map_or(0, |(at_ms, ..)| at_ms * 1_000);
        gauge.used(last)
    }

    #[test]
    fn a_sliding_window_forgets_each_use_after_its_length() {
        let used = check(
            Window::Sliding,
            &[
                (400, 6, None),
                (900, 4, None),
                (950, 1, Some(450)),
                (950, 7, Some(950)),
                (1_399, 1, Some(1)),
                (1_400, 6, None),
                (1_400, 11, Some(1_000)),
            ],
        );
        assert_eq!((used.windows, used.peak), (vec![10, 6], 10));
    }

    #[test]
    fn a_fixed_window_forgets_all_at_its_end() {
        let used = check(
            Window::Fixed,
            &[
                (900, 10, None),
                (950, 1, Some(50)),
                (1_000, 10, None),
                (1_001, 1, Some(999)),
                (3_500, 1, None),
            ],
        );
        assert_eq!((used.windows, used.peak), (vec![10, 10, 0, 1], 20));
    }

    #[test]
    fn a_bucket_is_full_at_first_and_fills_evenly() {
        let used = check(
            Window::Bucket,
            &[
                (0, 10, None),
                (0, 1, Some(100)),
                (99, 1, Some(1)),
                (100, 1, None),
                (5_000, 10, None),
                (5_000, 1, Some(100)),
            ],
        );
        assert_eq!((used.windows, used.peak), (vec![11, 0, 0, 0, 0, 10], 11));
    }

    #[test]
    fn says_what_is_left_and_when_it_is_whole() {
        let check = |window, at_ms: u64, left, whole_ms| {
            let mut gauge = Gauge::new(window, 1_000_000, 10);
            gauge.add(500_000, 4);
            let at_us = at_ms * 1_000;
            assert_eq!((gauge.left(at_us), gauge.whole_in_us(at_us) / 1_000), (left, whole_ms), "{window:?}");
        };
        check(Window::Sliding, 600, 6, 900);
        check(Window::Sliding, 1_500, 10, 0);
        check(Window::Fixed, 600, 6, 400);
        check(Window::Fixed, 1_000, 10, 1_000);
        check(Window::Bucket, 600, 7, 300);
        check(Window::Bucket, 650, 7, 250);
        check(Window::Bucket, 900, 10, 0);
    }

    #[test]
    fn a_lower_limit_holds_at_once_and_what_came_late_is_counted() {
        let mut gauge = Gauge::new(Window::Sliding, 1_000_000, 10);
        gauge.add(0, 8);
        gauge.set_limit(1, 5);
        assert_eq!((gauge.left(2), gauge.wait_us(2, 1)), (0, Some(999_998)));
        gauge.add(3, 100);
        assert_eq!(gauge.used(3).peak, 108);
    }
}
