//! Which of the sorted values bound a quantile.

use super::binomial::Binomial;
use super::two_sided;

/// Two ranks of n sorted values, from 1; 0 and n + 1 are beyond the least and the greatest: no bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranks {
    /// The rank of the lower bound.
    pub low: u64,
    /// The rank of the upper bound.
    pub high: u64,
    /// The chance that the quantile lies between: at least the confidence asked for.
    pub coverage: f64,
}

/// The ranks that hold the quantile `q` of `n` independent values, whatever their distribution:
///
/// low the greatest rank l with P(Binomial(n, q) ≤ l − 1) ≤ α/2, high the least rank u with P(Binomial(n, q) ≤ u − 1) ≥ 1 − α/2
///
/// A finite upper bound at 95 % takes 36 values for a 90th percentile, 72 for a 95th and 368 for a 99th.
/// Hahn & Meeker 1991.
pub fn quantile_ranks(n: u64, q: f64, confidence: f64) -> Ranks {
    let chances = Binomial::new(n, q);
    let upper = two_sided(confidence);
    // P(X < l) ≤ 1 − upper holds up to one rank before the first whose P(X < l) exceeds it.
    let first_above = chances.least_with_below((1.0 - upper).next_up());
    let low = first_above.saturating_sub(1);
    let high = chances.least_with_below(upper).min(n + 1);
    let below = |rank: u64| if rank > n { 1.0 } else { chances.below(rank) };
    Ranks { low, high, coverage: below(high) - below(low) }
}

/// The bounds of the quantile `q` among `values`, which are left in another order; `None` on a side that too few values
/// bound.
pub fn quantile_bounds(values: &mut [f64], q: f64, confidence: f64) -> [Option<f64>; 2] {
    let ranks = quantile_ranks(values.len() as u64, q, confidence);
    [ranks.low, ranks.high].map(|rank| {
        let index = usize::try_from(rank).ok()?.checked_sub(1)?;
        (index < values.len()).then(|| *values.select_nth_unstable_by(index, f64::total_cmp).1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_values_bound_a_percentile_from_above() {
        for (q, least) in [(0.9, 36), (0.95, 72), (0.99, 368)] {
            let high = |n| quantile_ranks(n, q, 0.95).high;
            assert_eq!((high(least - 1), high(least)), (least, least), "{q}");
        }
    }

    #[test]
    fn too_few_values_bound_nothing() {
        assert_eq!(quantile_bounds(&mut [], 0.5, 0.95), [None, None]);
        assert_eq!(quantile_bounds(&mut [3.0, 1.0], 0.5, 0.95), [None, None]);
        assert_eq!(quantile_bounds(&mut [6.0, 1.0, 5.0, 2.0, 4.0, 3.0], 0.5, 0.95), [Some(1.0), Some(6.0)]);
    }
}
