//! The score interval of a rate.

use super::{Interval, quantile, two_sided};

/// Wilson's score interval for `k` successes in `n` trials. Both may be real: a sum of values in [0, 1], an
/// effective number of trials. With z the normal quantile at (1 + confidence)/2 and p = k/n:
///
/// centre (p + z²/2n) / (1 + z²/n), half z/(1 + z²/n) · √(p(1 − p)/n + z²/4n²)
///
/// The bound is exactly 0 for no success and exactly 1 for no failure; for no trials it is [0, 1].
/// Values between 0 and 1 spread less than passes and failures with the same mean, so for them it is too wide
/// rather than too narrow.
///
/// Wilson 1927; recommended by Brown, Cai & DasGupta 2001.
pub fn wilson(k: f64, n: f64, confidence: f64) -> Interval {
    if n <= 0.0 {
        return [0.0, 1.0];
    }
    let z = quantile::normal(two_sided(confidence));
    let (p, shrink) = (k / n, 1.0 + z * z / n);
    let centre = (p + z * z / (2.0 * n)) / shrink;
    let half = z / shrink * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).max(0.0).sqrt();
    let low = if k <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if k >= n { 1.0 } else { (centre + half).min(1.0) };
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exact() {
        let check = |k: f64, n: f64, low: Option<f64>, high: Option<f64>| {
            let [below, above] = wilson(k, n, 0.95);
            assert!(0.0 <= below && below <= above && above <= 1.0, "{k}/{n}: {below}..{above}");
            low.inspect(|low| assert_eq!(below, *low, "{k}/{n}"));
            high.inspect(|high| assert_eq!(above, *high, "{k}/{n}"));
        };
        check(0.0, 0.0, Some(0.0), Some(1.0));
        check(0.0, 7.0, Some(0.0), None);
        check(7.0, 7.0, None, Some(1.0));
        check(3.5, 7.0, None, None);
        check(0.001, 1e9, None, None);
    }

    #[test]
    fn its_bounds_are_the_rates_at_which_the_score_statistic_is_z() {
        // Wilson's interval inverts the score test: at either bound |p − bound| = z · √(bound(1 − bound)/n).
        for (k, n) in [(3.0, 10.0), (47.5, 50.0), (1.0, 400.0)] {
            for bound in wilson(k, n, 0.9) {
                let z = (k / n - bound).abs() / (bound * (1.0 - bound) / n).sqrt();
                assert!((z - 1.644_853_627).abs() < 1e-8, "{k}/{n} at {bound}: {z}");
            }
        }
    }
}
