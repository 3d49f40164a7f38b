//! Quantiles of latency. For reports they are counted as they come, in memory that does not grow with their number.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

/// Decimal digits of a counted latency that are kept: what is told of many is off by a thousandth at most.
const DIGITS: u8 = 3;

/// The latencies of each variant, counted in classes that are a thousandth wide.
#[derive(Clone, Debug, Default)]
pub struct Latencies(BTreeMap<u32, Histogram<u64>>);

impl Latencies {
    /// Counts one, in microseconds.
    pub fn push(&mut self, variant: u32, micros: i64) {
        let counts = self
            .0
            .entry(variant)
            .or_insert_with(|| Histogram::new(DIGITS).expect("a histogram keeps up to five digits"));
        counts.record(u64::try_from(micros).unwrap_or_default()).expect("a histogram grows as needed");
    }

    /// The quantiles that a report needs.
    pub fn quantiles(&self) -> Quantiles {
        let mut quantiles = Quantiles::default();
        for (variant, counts) in &self.0 {
            for percent in Quantiles::NEEDED {
                let micros = counts.value_at_percentile(f64::from(percent));
                quantiles.insert(*variant, percent, i64::try_from(micros).unwrap_or(i64::MAX));
            }
        }
        quantiles
    }
}

/// Latencies in microseconds by variant and percentage: the value of rank ⌈p·n⌉. What was never measured is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantiles(BTreeMap<(u32, u8), i64>);

impl Quantiles {
    /// The percentages that a report needs of every variant.
    pub const NEEDED: [u8; 3] = [50, 95, 99];

    /// Notes one.
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
    fn counted_latencies_are_off_by_a_thousandth_at_most() {
        let mut latencies = Latencies::default();
        for place in 0..10_007_i64 {
            // From 0.2 ms to 10 minutes, in no order.
            latencies.push(7, 200 + (place * 4_999 % 10_007).pow(2) * 6);
        }
        latencies.push(1, -5);
        let quantiles = latencies.quantiles();
        for percent in Quantiles::NEEDED {
            let rank = (10_007 * i64::from(percent) + 99) / 100;
            let exact = 200 + (rank - 1).pow(2) * 6;
            let told = quantiles.get(7, percent).unwrap();
            assert!((exact..=exact + exact / 1_000).contains(&told), "p{percent}: {told} for {exact}");
        }
        assert_eq!((quantiles.get(1, 50), quantiles.get(0, 50)), (Some(0), None));
    }

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
