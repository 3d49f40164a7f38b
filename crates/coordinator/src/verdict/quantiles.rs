//! Quantiles of latency. For reports the store looks them up, so that no latency is held in memory for them.

use std::collections::BTreeMap;

/// Latencies in microseconds by variant and percentage, exact: the value of rank ⌈p·n⌉. What was never measured
/// is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantiles(BTreeMap<(u32, u8), i64>);

impl Quantiles {
    /// The percentages that have to be looked up of every variant for a report.
    pub const NEEDED: [u8; 3] = [50, 95, 99];

    /// Notes one that was looked up.
    pub fn insert(&mut self, variant: u32, percent: u8, micros: i64) {
        self.0.insert((variant, percent), micros);
    }

    /// One that was noted.
    pub fn get(&self, variant: u32, percent: u8) -> Option<i64> {
        self.0.get(&(variant, percent)).copied()
    }
}

/// The value of rank ⌈p·n⌉ among `values`, which are left in another order; `None` without any.
pub(super) fn nearest_rank(values: &mut [i64], percent: u8) -> Option<i64> {
    let rank = (values.len() * usize::from(percent)).div_ceil(100);
    let index = rank.checked_sub(1)?;
    (index < values.len()).then(|| *values.select_nth_unstable(index).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_value_that_occurred() {
        let check = |values: &[i64], percent, expected| {
            assert_eq!(nearest_rank(&mut values.to_vec(), percent), expected, "p{percent} of {values:?}");
        };
        check(&[], 50, None);
        check(&[7], 1, Some(7));
        check(&[7], 99, Some(7));
        check(&[4, 1, 3, 2], 50, Some(2));
        check(&[4, 1, 3, 2], 51, Some(3));
        check(&(1..=100).rev().collect::<Vec<_>>(), 95, Some(95));
    }
}
