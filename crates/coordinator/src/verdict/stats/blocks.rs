//! Quantiles of values that are correlated in time: whole stretches of time are resampled.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// The fewest blocks that a bootstrap can be made of.
pub const LEAST_BLOCKS: u64 = 50;
/// The most: beyond that, more of them say no more, and each should be long against what correlates.
const MOST_BLOCKS: u64 = 100;
/// How often blocks are drawn.
const RESAMPLES: usize = 2_000;
/// The same results give the same bounds.
const SEED: u64 = 0x626c_6f63_6b73;

/// A value with the unit it belongs to, by its place in time from 0.
pub type Timed = (u32, i64);

/// The `percent` quantile (nearest rank) of each of two arms in 2,000 resamples of blocks of consecutive units. Both arms of
/// a unit run side by side, and so the same blocks are drawn for both. `None` for fewer than 50 units, and where an arm of a
/// resample is without values.
///
/// The moving of load over time and over workers makes neighbours alike, so single values must not be drawn; Künsch 1989
/// resamples blocks.
pub fn resampled_quantiles(arms: &mut [Vec<Timed>; 2], percent: u8) -> Option<Vec<[i64; 2]>> {
    let units = arms.iter().flatten().map(|(unit, _)| u64::from(*unit) + 1).max()?;
    if units < LEAST_BLOCKS {
        return None;
    }
    let blocks = units.min(MOST_BLOCKS);
    let block = |unit: u32| usize::try_from(u64::from(unit) * blocks / units).unwrap_or(0);
    let blocks = usize::try_from(blocks).unwrap_or(0);
    let sorted = arms.each_mut().map(|arm| {
        arm.sort_unstable_by_key(|(_, value)| *value);
        arm.iter().map(|(unit, value)| (block(*unit), *value)).collect::<Vec<_>>()
    });
    let mut chance = StdRng::seed_from_u64(SEED);
    let resample = |_| {
        let mut drawn = vec![0_u64; blocks];
        (0..blocks).for_each(|_| drawn[chance.random_range(0..blocks)] += 1);
        let [first, second] = sorted.each_ref().map(|arm| weighted_quantile(arm, &drawn, percent));
        // An arm without values has no quantile in any resample.
        Some([first.or(second)?, second.or(first)?])
    };
    (0..RESAMPLES).map(resample).collect()
}

/// The nearest-rank quantile of sorted values, each as often as its block was drawn.
fn weighted_quantile(sorted: &[(usize, i64)], drawn: &[u64], percent: u8) -> Option<i64> {
    let total: u64 = sorted.iter().map(|(block, _)| drawn[*block]).sum();
    let rank = (total * u64::from(percent)).div_ceil(100).max(1);
    let mut below = 0;
    let at = sorted.iter().find(|(block, _)| {
        below += drawn[*block];
        below >= rank
    });
    at.map(|(_, value)| *value)
}

/// The bounds that hold a statistic with this two-sided confidence, from its values in resamples (percentile bootstrap).
pub fn percentile_bounds(values: &mut [f64], confidence: f64) -> [f64; 2] {
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    #[expect(clippy::cast_possible_truncation, reason = "a share of a length")]
    // What rounding has put below a whole number is that number.
    let skipped = ((values.len() as f64 * tail * (1.0 + 1e-12)).floor() as usize)
        .min(values.len().saturating_sub(1) / 2);
    match values {
        [] => [f64::NEG_INFINITY, f64::INFINITY],
        _ => [values[skipped], values[values.len() - 1 - skipped]],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_time_are_drawn_whole() {
        // In every second block of a hundred units calls take ten times as long.
        let slow = |unit: u32| if (unit / 100).is_multiple_of(2) { 10 } else { 100 };
        let arm = |factor: i64| (0..10_000).map(|unit| (unit, slow(unit) * factor)).collect::<Vec<_>>();
        let resamples = resampled_quantiles(&mut [arm(1), arm(2)], 50).unwrap();
        assert_eq!(resamples.len(), RESAMPLES);
        // Which half prevails differs from draw to draw, for both arms alike: their ratio does not.
        assert!(resamples.iter().any(|[a, _]| *a == 10) && resamples.iter().any(|[a, _]| *a == 100));
        assert!(resamples.iter().all(|[a, b]| *b == 2 * a));
    }

    #[test]
    fn few_units_are_no_sample() {
        let arm = |units: u32| (0..units).map(|unit| (unit, 1)).collect::<Vec<_>>();
        assert_eq!(resampled_quantiles(&mut [arm(49), arm(49)], 50), None);
        assert_eq!(resampled_quantiles(&mut [Vec::new(), Vec::new()], 50), None);
        assert!(resampled_quantiles(&mut [arm(50), Vec::new()], 50).is_some());
    }

    #[test]
    fn bounds_leave_out_the_tails() {
        let mut values: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!(percentile_bounds(&mut values, 0.9), [5.0, 94.0]);
        assert_eq!(percentile_bounds(&mut [3.0], 0.9), [3.0, 3.0]);
    }
}
