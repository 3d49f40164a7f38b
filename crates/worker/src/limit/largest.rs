//! The largest request that a provider may still be counting: what a rate leaves room for. Pure.
//!
//! What was gathered for minutes counts all at once when it is sent, and for a window from then on. Room for it has to be left
//! while it is, whatever is gathered meanwhile.

use std::time::Duration;

use assay_store::ledger::SPREAD_US;

/// A window is remembered in so many steps, and the present one.
const PARTS: u32 = 8;
const STEPS: usize = PARTS as usize + 1;

/// What was asked for at once, as far as it matters.
#[derive(Debug)]
pub(super) struct Largest {
    /// Of who stands at the head now.
    at_head: u64,
    /// Of those who have left since this was last asked.
    left: u64,
    /// Of each step, the latest first.
    steps: [u64; STEPS],
    /// When the latest began, and how long each is: together as long as a window and the way to the provider.
    since: Duration,
    step: Duration,
}

impl Largest {
    /// Of a provider that counts over such a window.
    pub(super) fn new(window: Duration) -> Self {
        let step = (window + Duration::from_micros(SPREAD_US)) / PARTS;
        Self { at_head: 0, left: 0, steps: [0; STEPS], since: Duration::ZERO, step }
    }

    /// Somebody who needs so many has come to the head.
    pub(super) fn comes(&mut self, tokens: u64) {
        self.at_head = tokens;
    }

    /// Who stood at the head has left, with all that he needed or without.
    pub(super) fn leaves(&mut self) {
        self.left = self.left.max(std::mem::take(&mut self.at_head));
    }

    /// The largest there is at `now`.
    pub(super) fn at(&mut self, now: Duration) -> u64 {
        let passed = now.saturating_sub(self.since).as_nanos() / self.step.as_nanos().max(1);
        let passed = usize::try_from(passed).unwrap_or(usize::MAX);
        if passed > 0 {
            let forgotten = passed.min(STEPS);
            self.steps.rotate_right(forgotten % STEPS);
            self.steps[..forgotten].fill(0);
            self.since = now;
        }
        self.steps[0] = self.steps[0].max(std::mem::take(&mut self.left)).max(self.at_head);
        self.steps.into_iter().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_remembered_from_the_head_of_the_line_until_a_window_after_it() {
        // Asked once a second, or rarely; of a window of a minute, or of one shorter than that.
        for (window, every) in [(60, 1), (60, 2), (60, 70), (1, 1), (1, 2), (3_600, 1)] {
            for gathered in [0, 1, 29, 31, 59, 64, 200] {
                let mut largest = Largest::new(Duration::from_secs(window));
                let mut now = 100;
                let mut told = |largest: &mut Largest| {
                    now += every;
                    (now, largest.at(Duration::from_secs(now)))
                };
                largest.comes(10);
                largest.leaves();
                assert_eq!(told(&mut largest).1, 10);
                largest.comes(4_102);
                let came = told(&mut largest);
                let mut stands = came;
                while stands.0 < came.0 + gathered {
                    assert_eq!(stands.1, 4_102, "{window} {every} {gathered}: it stands at the head");
                    stands = told(&mut largest);
                }
                largest.leaves();
                largest.comes(20);
                let left = stands.0;
                let mut after = told(&mut largest);
                while after.0 - left <= window {
                    assert_eq!(after.1, 4_102, "{window} {every} {gathered}: its window is not over");
                    after = told(&mut largest);
                }
                while after.0 - left <= window + window / 4 + 2 * every {
                    after = told(&mut largest);
                }
                assert_eq!(after.1, 20, "{window} {every} {gathered}: it is over");
            }
        }
    }
}
