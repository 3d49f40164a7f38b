//! The difference of two rates on the same cases: score test and interval.

use super::{Interval, edge, quantile, two_sided};

/// How two arms differ on the same `n` cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discordance {
    /// Cases that the baseline passed and the candidate failed.
    pub lost: u64,
    /// Cases that the baseline failed and the candidate passed.
    pub gained: u64,
    /// All cases, the concordant ones included.
    pub n: u64,
}

impl Discordance {
    /// The candidate's rate less the baseline's.
    pub fn difference(&self) -> Option<f64> {
        (self.n > 0).then(|| (self.gained as f64 - self.lost as f64) / self.n as f64)
    }
}

/// Tango's score statistic for H0: the candidate's rate less the baseline's is `theta0`. Large values refute
/// a smaller difference, small ones a larger. With q the maximum-likelihood share of lost cases under H0:
///
/// A = 2n; B = −gained − lost + (2n − gained + lost)·θ₀; C = −lost·θ₀(1 − θ₀); q = (√(B² − 4AC) − B)/2A;
/// z = (gained − lost − n·θ₀) / √(n·(2q + θ₀(1 − θ₀)))
///
/// Where the data are exactly what H0 says and leave no variance it is 0: they refute nothing.
///
/// Tango 1998 (Statistics in Medicine 17:891); for non-inferiority Nam 1997, Liu et al. 2002.
pub fn tango_z(counts: Discordance, theta0: f64) -> f64 {
    let (lost, gained, n) = (counts.lost as f64, counts.gained as f64, counts.n as f64);
    let a = 2.0 * n;
    let b = -gained - lost + (2.0 * n - gained + lost) * theta0;
    let c = -lost * theta0 * (1.0 - theta0);
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    // Two forms of the same root: each where it does not subtract nearly equal numbers.
    let q = if b <= 0.0 { (root - b) / (2.0 * a) } else { -2.0 * c / (root + b) };
    let variance = (n * (2.0 * q + theta0 * (1.0 - theta0))).max(0.0);
    let excess = gained - lost - n * theta0;
    if excess == 0.0 || n == 0.0 { 0.0 } else { excess / variance.sqrt() }
}

/// The differences that [`tango_z`] does not refute, two-sided; [−1, 1] without cases.
pub fn tango_interval(counts: Discordance, confidence: f64) -> Interval {
    let Some(difference) = counts.difference() else { return [-1.0, 1.0] };
    let z = quantile::normal(two_sided(confidence));
    // The statistic falls as theta0 rises, so each bound is the edge of what it refutes on its side.
    let low = edge(-1.0, difference, |theta0| tango_z(counts, theta0) > z);
    let high = edge(1.0, difference, |theta0| tango_z(counts, theta0) < -z);
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lost: u64, gained: u64, n: u64) -> Discordance {
        Discordance { lost, gained, n }
    }

    #[test]
    fn falls_as_theta_rises_and_mirrors_when_the_arms_are_swapped() {
        for (lost, gained, n) in [(7, 1, 21), (0, 0, 10), (5, 5, 500), (0, 3, 3), (4, 0, 4)] {
            let steps: Vec<f64> = (-99..=99).map(|step| f64::from(step) / 100.0).collect();
            let z: Vec<f64> = steps.iter().map(|theta| tango_z(counts(lost, gained, n), *theta)).collect();
            assert!(z.windows(2).all(|pair| pair[0] >= pair[1] - 1e-9), "{lost} {gained} {n}: {z:?}");
            for (theta, z) in steps.iter().zip(z) {
                let swapped = tango_z(counts(gained, lost, n), -theta);
                assert!((swapped + z).abs() < 1e-6 * z.abs().max(1.0), "{theta}: {swapped} and {z}");
            }
        }
    }

    #[test]
    fn certain_answers_are_infinite_and_empty_ones_nothing() {
        assert_eq!(tango_z(counts(0, 0, 100), 0.0), 0.0);
        assert_eq!(tango_z(counts(4, 0, 4), -1.0), 0.0);
        assert_eq!(tango_z(counts(0, 0, 4), -1.0), f64::INFINITY);
        assert_eq!(tango_z(counts(0, 0, 0), -0.02), 0.0);
        assert_eq!(tango_interval(counts(0, 0, 0), 0.95), [-1.0, 1.0]);
        assert_eq!(tango_interval(counts(4, 0, 4), 0.95)[0], -1.0);
        assert_eq!(tango_interval(counts(0, 4, 4), 0.95)[1], 1.0);
    }

    #[test]
    fn no_discordance_needs_133_pairs_for_two_points() {
        let z = quantile::normal(0.95);
        assert!(tango_z(counts(0, 0, 132), -0.02) < z);
        assert!(tango_z(counts(0, 0, 133), -0.02) >= z);
    }
}
