//! What will this suite's own number be, once the run is complete? Decided with certainty at its last case, and mostly
//! long before.

use assay_common::verdict::Decision;

use super::grid::Grid;

/// Totals that differ by less than this are equal: sums of fractions carry rounding errors.
const SAME: f64 = 1e-9;

/// One bettor against "the mean of all N values is at most μ". The values that are left have the mean
///
/// μₜ = (N·μ − Σ of the values so far)/(N − t + 1)
///
/// under it, and the grid bets against that; a value that would need a negative one refutes it for good. Valid for a finite
/// suite in a random order, with no assumption about its cases. Waudby-Smith & Ramdas 2020 (NeurIPS), 2024 (JRSS-B 86:1).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Side {
    /// What is left of the null's total, and how many values are.
    left: f64,
    remaining: u64,
    grid: Grid,
    impossible: bool,
}

impl Side {
    pub(super) fn new(mean: f64, planned: u64, bets: u32) -> Self {
        Self { left: mean * planned as f64, remaining: planned, grid: Grid::new(bets), impossible: false }
    }

    pub(super) fn push(&mut self, x: f64) {
        let mean = self.left / self.remaining.max(1) as f64;
        if self.left > SAME {
            self.grid.push(x / mean - 1.0);
        }
        self.left -= x;
        self.remaining = self.remaining.saturating_sub(1);
        self.impossible |= self.left < -SAME;
    }

    pub(super) fn ln(&self) -> f64 {
        if self.impossible { f64::INFINITY } else { self.grid.ln_wealth() }
    }
}

/// Two bettors over the values in [0, 1] of the units of a suite, in committed order.
#[derive(Clone, Debug, PartialEq)]
pub struct Finite {
    pass: Side,
    fail: Side,
    ln_target: f64,
}

impl Finite {
    /// Is the suite's rate at least `threshold`? Its total is a multiple of `grain`: 1 where cases pass or fail, 1/K where they
    /// are means of K trials. The chance that a verdict before the last unit differs from that of the complete run is at
    /// most `alpha`.
    pub fn at_least(threshold: f64, planned: u64, grain: f64, alpha: f64, bets: u32) -> Self {
        let total = (threshold * planned as f64 / grain - SAME).ceil() * grain;
        Self::from_total(total, planned, grain, alpha, bets)
    }

    /// Is the suite's difference d at least −`margin`? Units are given as x = (d + 1)/2; the total of d is a multiple of
    /// `grain`. With D₁ = ⌈−m·N⌉ and D₀ = D₁ − 1 a pass refutes a total of at most D₀, a fail one of at least D₁.
    pub fn no_worse(margin: f64, planned: u64, grain: f64, alpha: f64, bets: u32) -> Self {
        let total = (-margin * planned as f64 / grain - SAME).ceil() * grain;
        Self::from_total(f64::midpoint(total, planned as f64), planned, grain / 2.0, alpha, bets)
    }

    /// A pass refutes `total` − `grain`, a fail refutes `total`.
    fn from_total(total: f64, planned: u64, grain: f64, alpha: f64, bets: u32) -> Self {
        let n = planned.max(1) as f64;
        let side = |mean: f64| Side::new(mean, planned, bets);
        Self { pass: side((total - grain) / n), fail: side(1.0 - total / n), ln_target: -alpha.ln() }
    }

    /// Looks at the next unit: its value in [0, 1], or `None` where it ended without a result, which counts at its worst for
    /// either verdict.
    pub fn push(&mut self, x: Option<f64>) {
        self.pass.push(x.unwrap_or(0.0));
        self.fail.push(1.0 - x.unwrap_or(1.0));
    }

    /// What the units so far say; once it says something, stop.
    pub fn decision(&self) -> Option<Decision> {
        self.decide(self.ln_target)
    }

    /// What is certain whatever the rest of the units will be.
    pub fn certain(&self) -> Option<Decision> {
        self.decide(f64::INFINITY)
    }

    /// ln of the wealth for a pass and for a fail: infinite where the opposite has become impossible.
    pub fn ln_wealth(&self) -> [f64; 2] {
        [self.pass.ln(), self.fail.ln()]
    }

    fn decide(&self, ln_target: f64) -> Option<Decision> {
        if self.pass.ln() >= ln_target {
            Some(Decision::Pass)
        } else if self.fail.ln() >= ln_target {
            Some(Decision::Fail)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn at_the_last_case_the_suites_own_number_decides(
            passes in proptest::collection::vec(any::<bool>(), 1..80),
            threshold in 0.0_f64..1.0,
        ) {
            let planned = passes.len() as u64;
            let mut gate = Finite::at_least(threshold, planned, 1.0, 0.05, 20);
            passes.iter().for_each(|pass| gate.push(Some(f64::from(u8::from(*pass)))));
            let rate = passes.iter().filter(|pass| **pass).count() as f64 / planned as f64;
            let expected = if rate >= threshold { Decision::Pass } else { Decision::Fail };
            prop_assert_eq!(gate.certain(), Some(expected));
        }

        #[test]
        fn a_missing_case_never_decides_what_its_result_would_not(
            differences in proptest::collection::vec(-1_i8..=1, 1..60),
            missing in 0_usize..60,
        ) {
            let planned = differences.len() as u64;
            let run = |missing: Option<usize>| {
                let mut gate = Finite::no_worse(0.1, planned, 1.0, 0.05, 20);
                for (at, d) in differences.iter().enumerate() {
                    gate.push((Some(at) != missing).then(|| f64::midpoint(f64::from(*d), 1.0)));
                }
                gate.certain()
            };
            if let Some(decision) = run(Some(missing % differences.len())) {
                prop_assert_eq!(run(None), Some(decision));
            }
        }
    }
}
