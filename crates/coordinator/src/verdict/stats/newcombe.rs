//! The paired difference of two rates in closed form.

use super::{Interval, wilson};

/// The same cases under both arms, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paired {
    /// Passed under both.
    pub both: u64,
    /// Passed under the baseline alone.
    pub lost: u64,
    /// Passed under the candidate alone.
    pub gained: u64,
    /// Failed under both.
    pub neither: u64,
}

/// Newcombe's square-and-add interval of the candidate's rate less the baseline's: for display. With Wilson's intervals
/// [l₁, u₁] of the candidate's rate p₁ and [l₂, u₂] of the baseline's p₂, and φ the correlation of the arms with a
/// continuity correction where it is positive (0 where a margin is empty):
///
/// lower θ − √((p₁ − l₁)² − 2φ(p₁ − l₁)(u₂ − p₂) + (u₂ − p₂)²)
/// upper θ + √((u₁ − p₁)² − 2φ(u₁ − p₁)(p₂ − l₂) + (p₂ − l₂)²)
///
/// [−1, 1] without cases. Newcombe 1998 (Statistics in Medicine 17:2635), method 10.
pub fn newcombe(counts: Paired, confidence: f64) -> Interval {
    let [both, lost, gained, neither] =
        [counts.both, counts.lost, counts.gained, counts.neither].map(|count| count as f64);
    let n = both + lost + gained + neither;
    if n == 0.0 {
        return [-1.0, 1.0];
    }
    let (passed_candidate, passed_baseline) = (both + gained, both + lost);
    let (p1, p2) = (passed_candidate / n, passed_baseline / n);
    let [l1, u1] = wilson(passed_candidate, n, confidence);
    let [l2, u2] = wilson(passed_baseline, n, confidence);
    let margins = passed_baseline * (gained + neither) * passed_candidate * (lost + neither);
    let determinant = both * neither - lost * gained;
    let corrected = if determinant > 0.0 { (determinant - n / 2.0).max(0.0) } else { determinant };
    let phi = if margins > 0.0 { corrected / margins.sqrt() } else { 0.0 };
    let root = |a: f64, b: f64| (a * a - 2.0 * phi * a * b + b * b).max(0.0).sqrt();
    let theta = (gained - lost) / n;
    [theta - root(p1 - l1, u2 - p2), theta + root(u1 - p1, p2 - l2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapping_the_arms_mirrors_it() {
        let counts = Paired { both: 59, lost: 6, gained: 16, neither: 80 };
        let [low, high] = newcombe(counts, 0.95);
        let [back_low, back_high] = newcombe(Paired { lost: 16, gained: 6, ..counts }, 0.95);
        assert!((low + back_high).abs() < 1e-12 && (high + back_low).abs() < 1e-12);
        assert_eq!(newcombe(Paired::default(), 0.95), [-1.0, 1.0]);
    }
}
