//! How many hints a pool's queue should hold, and the pace of a run that this follows. Pure: moments come in.
//!
//! Enough that no worker runs dry between two looks, and no more: a hint that is out cannot be overtaken, so what waits
//! in the queue is what an urgent run has to wait for.

use std::time::Duration;

use tokio::time::Instant;

/// Seconds of a pool's work that wait in its queue.
const SECONDS_AHEAD: f64 = 5.0;
/// The smallest window: where nobody serves the pool yet, and nothing is known.
const LEAST: u64 = 128;
/// The largest window: half of what a queue holds, so that doubled hints find room too.
const MOST: u64 = assay_queue::MAX_DEPTH as u64 / 2;
/// How long completions are counted for one measurement.
const MEASURE_FOR: Duration = Duration::from_millis(500);

/// The most hints in a pool's queue: what its workers take in advance, and five seconds of its work.
pub(crate) fn size(prefetch: u64, jobs_per_second: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "never negative, and it saturates where it is absurd"
    )]
    let ahead = (jobs_per_second * SECONDS_AHEAD).ceil() as u64;
    prefetch.saturating_add(ahead).clamp(LEAST, MOST)
}

/// The fewest open jobs that keep workers busy: what they take in advance, and a second of their work.
pub(crate) fn least(prefetch: u64, jobs_per_second: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "never negative, and it saturates where it is absurd"
    )]
    let ahead = jobs_per_second.ceil() as u64;
    prefetch.saturating_add(ahead).clamp(LEAST, MOST)
}

/// How many jobs of a run end in a second. With several pools each of them is credited with all: a window that is too
/// wide by that much delays little, one that is too narrow leaves workers idle.
#[derive(Debug)]
pub(crate) struct Pace {
    done: u64,
    measured: Instant,
    jobs_per_second: f64,
}

impl Pace {
    /// The pace of a run of which `done` jobs are done `now`.
    pub(crate) fn new(done: u64, now: Instant) -> Self {
        Self { done, measured: now, jobs_per_second: 0.0 }
    }

    /// Takes in how many jobs are done `now`.
    pub(crate) fn observe(&mut self, done: u64, now: Instant) {
        let passed = now.duration_since(self.measured);
        if passed < MEASURE_FOR {
            return;
        }
        let latest = done.saturating_sub(self.done) as f64 / passed.as_secs_f64();
        // Half of what was known: a pause of a second does not empty the window, and a start fills it in two.
        self.jobs_per_second = (self.jobs_per_second + latest) / 2.0;
        (self.done, self.measured) = (done, now);
    }

    /// The pace as last measured.
    pub(crate) fn jobs_per_second(&self) -> f64 {
        self.jobs_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_prefetch_and_five_seconds() {
        assert_eq!(size(0, 0.0), LEAST);
        assert_eq!(size(600, 0.0), 600);
        assert_eq!(size(600, 100.0), 1_100);
        assert_eq!(size(u64::MAX, f64::INFINITY), MOST);
    }

    #[test]
    fn a_pace_is_measured_over_time() {
        let start = Instant::now();
        let mut pace = Pace::new(100, start);
        let mut observe = |done, millis| {
            pace.observe(done, start + Duration::from_millis(millis));
            pace.jobs_per_second()
        };
        assert_eq!(observe(150, 100), 0.0);
        assert_eq!(observe(200, 1_000), 50.0);
        assert_eq!(observe(300, 2_000), 75.0);
        // A recount may correct the number downwards.
        assert_eq!(observe(250, 3_000), 37.5);
    }
}
