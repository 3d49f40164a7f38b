//! What happens to which worker, and when. The same each time, so that measurements can be compared. Pure.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use super::scenario::WINDOW;

/// Chance repeats with it.
const SEED: u64 = 7;

/// What a scenario does to its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trouble {
    /// Nothing.
    None,
    /// In each window one is killed and replaced.
    Kills,
    /// In each window one is frozen for 3 to 30 seconds, and another cut off from store and queue for 20 to 60.
    Freezes,
}

/// One thing that happens to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It is killed; another takes its place.
    Kill,
    Freeze,
    Thaw,
    CutOff,
    Reconnect,
}

/// When it happens, from the beginning of the first window, and to which worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Duration,
    pub(super) worker: usize,
    pub(super) event: Event,
}

impl Event {
    /// Whether it harms.
    pub(super) fn is_trouble(self) -> bool {
        !matches!(self, Self::Thaw | Self::Reconnect)
    }
}

/// All that happens in so many windows to so many workers, in the order of time.
pub(super) fn steps(trouble: Trouble, windows: u32, workers: u32) -> Vec<Step> {
    let mut chance = StdRng::seed_from_u64(SEED);
    let workers = workers as usize;
    let mut steps = Vec::new();
    for window in 0..windows {
        let start = WINDOW * window;
        let mut within =
            |seconds: std::ops::Range<f64>| Duration::from_secs_f64(chance.random_range(seconds));
        match trouble {
            Trouble::None => {}
            Trouble::Kills => {
                let at = start + within(0.0..WINDOW.as_secs_f64());
                steps.push(Step { at, worker: chance.random_range(0..workers), event: Event::Kill });
            }
            Trouble::Freezes => {
                let (frozen_at, frozen_for) = (start + within(0.0..30.0), within(3.0..30.0));
                let (cut_at, cut_for) = (start + within(0.0..30.0), within(20.0..60.0));
                let frozen = chance.random_range(0..workers);
                let cut = (frozen + chance.random_range(1..workers)) % workers;
                for (at, worker, event) in [
                    (frozen_at, frozen, Event::Freeze),
                    (frozen_at + frozen_for, frozen, Event::Thaw),
                    (cut_at, cut, Event::CutOff),
                    (cut_at + cut_for, cut, Event::Reconnect),
                ] {
                    steps.push(Step { at, worker, event });
                }
            }
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_killed_in_each_window() {
        let steps = steps(Trouble::Kills, 6, 10);
        let windows: Vec<_> = steps.iter().map(|step| step.at.as_secs() / WINDOW.as_secs()).collect();
        assert_eq!(windows, [0, 1, 2, 3, 4, 5]);
        assert!(steps.iter().all(|step| step.worker < 10 && step.event == Event::Kill));
    }

    #[test]
    fn who_is_frozen_or_cut_off_comes_back() {
        let steps = steps(Trouble::Freezes, 6, 10);
        assert!(steps.is_sorted_by_key(|step| step.at));
        let mut times = Vec::new();
        for (place, step) in steps.iter().enumerate().filter(|(_, step)| step.event.is_trouble()) {
            let back = if step.event == Event::Freeze { Event::Thaw } else { Event::Reconnect };
            let end = steps[place..].iter().find(|later| later.worker == step.worker && later.event == back);
            times.push((step.event, (end.unwrap().at - step.at).as_secs()));
        }
        assert_eq!(times.len(), 12);
        let holds = |(event, seconds): &(Event, u64)| match event {
            Event::Freeze => (3..30).contains(seconds),
            _ => *seconds < 60,
        };
        assert!(times.iter().all(holds), "{times:?}");
        assert_eq!(super::steps(Trouble::None, 6, 10), []);
    }
}
