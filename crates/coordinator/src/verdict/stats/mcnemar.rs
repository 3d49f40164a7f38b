//! Do two versions differ at all? McNemar's test on the cases that only one of them passed.
//!
//! For display beside a comparison. It conditions on the discordant cases, so it cannot test a margin: gates do not use it.

use super::Discordance;
use super::binomial::Binomial;
use super::quantile;

/// P-values of McNemar's test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// Two-sided and exact: for claims.
    pub exact: f64,
    /// Two-sided, with half the probability of what was seen: for display.
    pub mid_p: f64,
    /// Of "the candidate is no worse", exact.
    pub exact_worse: f64,
    /// Of "the candidate is no worse", with half the probability of what was seen.
    pub mid_p_worse: f64,
}

/// With n = lost + gained discordant cases and k the smaller of the two:
///
/// exact min(1, 2·Σ_{i ≤ k} C(n, i)/2ⁿ); mid-p the same less C(n, k)/2ⁿ, or 1 − C(n, k)/2ⁿ⁺¹ where both are equal;
/// one-sided Σ_{i ≥ lost} C(n, i)/2ⁿ, for mid-p less half its first term. Without discordant cases all are 1.
///
/// McNemar 1947. Fagerland, Lydersen & Laake 2013 (BMC Medical Research Methodology 13:91): the mid-p test never exceeded
/// its level in 9,595 scenarios, the exact one is too careful.
pub fn mcnemar(counts: Discordance) -> McNemar {
    let n = counts.lost + counts.gained;
    if n == 0 {
        return McNemar { exact: 1.0, mid_p: 1.0, exact_worse: 1.0, mid_p_worse: 1.0 };
    }
    let chances = Binomial::new(n, 0.5);
    let exact_worse = chances.at_least(counts.lost);
    let mid_p_worse = exact_worse - chances.mass(counts.lost) / 2.0;
    let (exact, mid_p) = two_sided(&chances, counts.lost.min(counts.gained), n);
    McNemar { exact, mid_p, exact_worse, mid_p_worse }
}

/// Exact and mid-p, with `fewer` of `n` on the rarer side.
fn two_sided(chances: &Binomial, fewer: u64, n: u64) -> (f64, f64) {
    let seen = chances.mass(fewer);
    let exact = (2.0 * chances.below(fewer + 1)).min(1.0);
    let mid_p = if 2 * fewer == n { 1.0 - seen / 2.0 } else { 2.0 * chances.below(fewer + 1) - seen };
    (exact, mid_p)
}

/// The chance that McNemar's exact test, and the mid-p test, find a difference at level `alpha`, two-sided, on `n` cases
/// of which each is lost with chance `lost` and gained with chance `gained`: by enumeration of what can happen.
pub fn mcnemar_power(n: u64, lost: f64, gained: f64, alpha: f64) -> [f64; 2] {
    let discordant = Binomial::new(n, lost + gained);
    let share = if lost + gained > 0.0 { lost / (lost + gained) } else { 0.0 };
    let mut power = [0.0; 2];
    for total in 0..=n {
        let weight = discordant.mass(total);
        if total == 0 || weight == 0.0 {
            continue;
        }
        let (null, truth) = (Binomial::new(total, 0.5), Binomial::new(total, share));
        for k in 0..=total {
            let (exact, mid_p) = two_sided(&null, k.min(total - k), total);
            let chance = weight * truth.mass(k);
            for (power, p) in power.iter_mut().zip([exact, mid_p]) {
                *power += if p <= alpha { chance } else { 0.0 };
            }
        }
    }
    power
}

/// How many cases McNemar's test needs to find a difference with this `power` at level `alpha`, two-sided, with ψ = lost +
/// gained and θ = gained − lost; `None` without a difference to find:
///
/// n = (z_{1−α/2}·√ψ + z_power·√(ψ − θ²))² / θ²
///
/// Miettinen 1968, Connor 1987.
pub fn mcnemar_cases(lost: f64, gained: f64, alpha: f64, power: f64) -> Option<f64> {
    let (psi, theta) = (lost + gained, gained - lost);
    let z = quantile::normal(1.0 - alpha / 2.0) * psi.sqrt();
    let spread = z + quantile::normal(power) * (psi - theta * theta).max(0.0).sqrt();
    (theta != 0.0).then(|| (spread / theta).powi(2).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapping_the_arms_changes_only_the_side() {
        for (lost, gained) in [(0, 0), (0, 5), (7, 1), (6, 6), (300, 280)] {
            let there = mcnemar(Discordance { lost, gained, n: 1_000 });
            let back = mcnemar(Discordance { lost: gained, gained: lost, n: 1_000 });
            assert_eq!((there.exact, there.mid_p), (back.exact, back.mid_p));
            assert!(there.mid_p <= there.exact && there.mid_p_worse <= there.exact_worse);
            // Half of what was seen counts for either side.
            let both = there.mid_p_worse + back.mid_p_worse;
            assert!(lost + gained == 0 || (both - 1.0).abs() < 1e-12, "{both}");
        }
    }
}
