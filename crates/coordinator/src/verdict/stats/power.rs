//! What a number of cases can be expected to show, before a run.

use super::binomial::Binomial;
use super::{Discordance, quantile, tango_z};

/// The share of cases on which two arms disagree, from their rates and the correlation φ of their outcomes over cases:
///
/// ψ = p_A + p_B − 2·(p_A·p_B + φ·√(p_A·q_A·p_B·q_B)), and not below |p_A − p_B|
pub fn discordance(baseline: f64, candidate: f64, correlation: f64) -> f64 {
    let spread = (baseline * (1.0 - baseline) * candidate * (1.0 - candidate)).max(0.0).sqrt();
    let both = baseline * candidate + correlation * spread;
    (baseline + candidate - 2.0 * both).max((baseline - candidate).abs())
}

/// A comparison that is planned: how much the arms disagree, what is true, and what has to be ruled out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// ψ: the share of cases on which the arms disagree.
    pub discordance: f64,
    /// θ: the candidate's true rate less the baseline's.
    pub difference: f64,
    /// The drop that has to be ruled out, above 0.
    pub margin: f64,
    /// One-sided level of the test.
    pub alpha: f64,
}

impl Plan {
    /// The chance that a completed run of `cases` rules the drop out: Φ((θ + m)·√(N/(ψ − θ²)) − z_{1−α}).
    ///
    /// Within 0.025 of the exact power of Tango's test where twenty discordant cases are expected, too hopeful below.
    pub fn power(&self, cases: f64) -> f64 {
        let gap = self.difference + self.margin;
        let drift = gap * (cases / self.variance()).sqrt();
        quantile::normal_below(drift - quantile::normal(1.0 - self.alpha))
    }

    /// How many cases rule the drop out with this chance: (z_{1−α} + z_power)²·(ψ − θ²)/(θ + m)², rounded up. `None` where
    /// the truth is no better than the drop.
    pub fn cases(&self, power: f64) -> Option<f64> {
        let gap = self.difference + self.margin;
        let z = quantile::normal(1.0 - self.alpha) + quantile::normal(power);
        (gap > 0.0).then(|| (z * z * self.variance() / (gap * gap)).ceil())
    }

    fn variance(&self) -> f64 {
        self.discordance - self.difference * self.difference
    }
}

/// The least gap between the truth and the margin that `cases` decide with this chance: (z_{1−α} + z_power)·√(ψ/N).
pub fn detectable(cases: f64, discordance: f64, alpha: f64, power: f64) -> f64 {
    let z = quantile::normal(1.0 - alpha) + quantile::normal(power);
    z * (discordance / cases).sqrt()
}

/// The least drop that Tango's test rules out on `cases` of which none changed sides: z²/(n + z²), with z = z_{1−α}. Nothing
/// below can be ruled out by cases that stay as they are.
pub fn least_margin(cases: f64, alpha: f64) -> f64 {
    let z = quantile::normal(1.0 - alpha);
    z * z / (cases + z * z)
}

/// How many cases of which none changed sides rule a drop of `margin` out: the inverse of [`least_margin`], rounded up.
/// Infinite for a margin of 0.
pub fn least_cases(margin: f64, alpha: f64) -> f64 {
    let z = quantile::normal(1.0 - alpha);
    (z * z * (1.0 - margin) / margin).ceil()
}

/// The chance that Tango's test rules out a drop of `margin` at one-sided level `alpha` on `cases` of which each is lost
/// with chance `lost` and gained with chance `gained`: by enumeration of what can happen, in time n².
pub fn exact_power(cases: u64, lost: f64, gained: f64, margin: f64, alpha: f64) -> f64 {
    let z = quantile::normal(1.0 - alpha);
    let discordant = Binomial::new(cases, lost + gained);
    let share = if lost + gained > 0.0 { lost / (lost + gained) } else { 0.0 };
    let of_total = |total: u64| -> f64 {
        let truth = Binomial::new(total, share);
        let passes = |lost: u64| tango_z(Discordance { lost, gained: total - lost, n: cases }, -margin) >= z;
        (0..=total).filter(|lost| passes(*lost)).map(|lost| truth.mass(lost)).sum()
    };
    (0..=cases).map(|total| discordant.mass(total) * of_total(total)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_and_power_are_inverse_and_monotone() {
        let plan = Plan { discordance: 0.07, difference: 0.0, margin: 0.02, alpha: 0.05 };
        for power in [0.5, 0.8, 0.95] {
            let cases = plan.cases(power).unwrap();
            assert!(plan.power(cases) >= power && plan.power(cases - 1.0) < power, "{power}");
            let gap = detectable(cases, 0.07, 0.05, power);
            assert!((0.0199..=0.02).contains(&gap), "{gap}");
        }
        assert_eq!(Plan { difference: -0.02, ..plan }.cases(0.8), None);
    }

    #[test]
    fn nothing_that_changes_sides_takes_133_cases_for_two_points() {
        assert_eq!(least_cases(0.02, 0.05), 133.0);
        assert!(least_margin(133.0, 0.05) <= 0.02 && least_margin(132.0, 0.05) > 0.02);
        assert_eq!(least_cases(0.0, 0.05), f64::INFINITY);
    }

    #[test]
    fn arms_that_always_agree_or_never() {
        assert_eq!(discordance(0.9, 0.9, 1.0), 0.0);
        assert!((discordance(0.9, 0.9, 0.0) - 0.18).abs() < 1e-12);
        assert!((discordance(0.9, 0.5, 1.0) - 0.4).abs() < 1e-12, "no less than the difference");
    }
}
