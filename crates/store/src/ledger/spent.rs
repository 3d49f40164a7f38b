//! What was used of a limit lately, in steps of some seconds. Pure.

use serde::{Deserialize, Serialize};

/// The length of a step, in microseconds.
const STEP_US: i64 = 5_000_000;
/// Steps that are kept: a few minutes, which is longer than windows are.
const STEPS: i64 = 48;
/// What was used longer ago than this, in microseconds, is forgotten.
pub(super) const REMEMBERED_US: u64 = (STEPS * STEP_US).unsigned_abs();

/// What was used, by step: its number, and how much. Old steps are forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spent(Vec<(i64, u64)>);

impl Spent {
    /// Adds what was used up to `now`.
    pub(crate) fn add(&mut self, used: u64, now: i64) {
        let step = now.div_euclid(STEP_US);
        // Whatever lies ahead was written before the clock was set back.
        self.0.retain(|(at, _)| (step - STEPS..=step).contains(at));
        match self.0.last_mut() {
            Some((at, sum)) if *at == step => *sum = sum.saturating_add(used),
            _ if used > 0 => self.0.push((step, used)),
            _ => {}
        }
    }

    /// What was used in the last `length_us` up to `now`; of a step that is only partly in it, that part.
    pub(crate) fn over(&self, length_us: u64, now: i64) -> u64 {
        let from = now.saturating_sub(i64::try_from(length_us).unwrap_or(i64::MAX));
        let part = |(step, used): &(i64, u64)| {
            let (begins, ends) = (step * STEP_US, ((step + 1) * STEP_US).min(now).max(step * STEP_US + 1));
            let within = (ends - from.max(begins)).clamp(0, ends - begins);
            let (within, whole) = (within.unsigned_abs(), (ends - begins).unsigned_abs());
            u128::from(*used) * u128::from(within) / u128::from(whole)
        };
        let sum: u128 = self.0.iter().filter(|(step, _)| step * STEP_US <= now).map(part).sum();
        u64::try_from(sum).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn counts_what_is_in_the_window_and_forgets_the_rest() {
        let mut spent = Spent::default();
        for second in 0..300 {
            spent.add(10, second * SECOND);
        }
        let now = 300 * SECOND;
        assert_eq!(spent.over(60_000_000, now), 600);
        assert_eq!(spent.over(7_500_000, now), 75);
        assert!(spent.0.len() <= 49);
        // Set back, the clock makes nothing of what lies ahead.
        spent.add(3, 100 * SECOND);
        assert!(spent.0.iter().all(|(step, _)| *step <= 20), "{spent:?}");
        assert_eq!(Spent::default().over(60_000_000, now), 0);
    }
}
