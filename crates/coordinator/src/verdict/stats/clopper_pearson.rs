//! The exact interval of a rate.

use statrs::distribution::{Beta, ContinuousCDF};

use super::{Interval, two_sided};

/// Probabilities closer to 0 or 1 than this are taken as this: beyond it the inverse of the incomplete beta function is
/// not reliable.
const EXTREME: f64 = 1e-12;

/// Clopper and Pearson's interval for `k` successes in `n` trials: it never covers less than it says, and so it is wider
/// than Wilson's. For claims such as "at most 1 % harmful", and for fewer than 30 trials. With B⁻¹ the quantile of the
/// beta distribution and α = 1 − confidence:
///
/// lower B⁻¹(α/2; k, n − k + 1), upper B⁻¹(1 − α/2; k + 1, n − k)
///
/// exactly 0 for no success and exactly 1 for no failure. Both counts may be real: with an effective number of trials it
/// is Korn and Graubard's interval for clustered data.
///
/// Clopper & Pearson 1934; Korn & Graubard 1998.
pub fn clopper_pearson(k: f64, n: f64, confidence: f64) -> Interval {
    if n <= 0.0 {
        return [0.0, 1.0];
    }
    let upper = two_sided(confidence);
    let low = if k <= 0.0 { 0.0 } else { beta(1.0 - upper, k, n - k + 1.0) };
    let high = if k >= n { 1.0 } else { beta(upper, k + 1.0, n - k) };
    [low, high]
}

fn beta(p: f64, a: f64, b: f64) -> f64 {
    Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(p.clamp(EXTREME, 1.0 - EXTREME)))
}

#[cfg(test)]
mod tests {
    use super::super::wilson;
    use super::*;

    #[test]
    fn no_failure_has_the_closed_form() {
        for n in [1.0, 10.0, 299.0] {
            let [low, high] = clopper_pearson(n, n, 0.95);
            assert!((low - 0.025_f64.powf(1.0 / n)).abs() < 1e-9, "{n}: {low}");
            assert_eq!(high, 1.0);
        }
        assert_eq!(clopper_pearson(0.0, 0.0, 0.95), [0.0, 1.0]);
    }

    #[test]
    fn holds_wilsons_centre_and_mirrors() {
        for (k, n) in [(3.0, 10.0), (47.0, 50.0), (1.0, 400.0), (0.0, 30.0)] {
            let [low, high] = clopper_pearson(k, n, 0.95);
            let [mirrored_low, mirrored_high] = clopper_pearson(n - k, n, 0.95);
            assert!((low - (1.0 - mirrored_high)).abs() < 1e-9 && (high - (1.0 - mirrored_low)).abs() < 1e-9);
            let [wilson_low, wilson_high] = wilson(k, n, 0.95);
            assert!(high - low > wilson_high - wilson_low, "{k}/{n} is the wider");
        }
    }
}
