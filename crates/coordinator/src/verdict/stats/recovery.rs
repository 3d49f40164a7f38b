//! Is a loss over? Sweep after sweep, evidence that it is.

use serde::{Deserialize, Serialize};

use super::sequential::{Grid, average};

/// Bets against "the expected difference is still −`slack` or less", which may be looked at after every sweep.
///
/// While that is true, the chance that the evidence ever reaches 1/α is at most α (Ville). It is the mirror image of
/// [`Drift`](super::Drift), and as valid for fixed and unequal cases; it begins with the first sweep after the last that was worse:
///
/// ln K ← ln K + Σ ln(1 + c·(x/μ − 1)), x = (d + 1)/2, μ = (1 − slack)/2; over when the mean of K ≥ 1/α
///
/// Between two sweeps it can be written down and read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    ln: Vec<f64>,
}

impl Recovery {
    /// Before the first sweep. `bets` 20 unless there is a reason.
    pub fn new(bets: u32) -> Self {
        Self { ln: vec![0.0; bets as usize] }
    }

    /// Adds a sweep: the differences of its cases from the baseline, in [−1, 1]; `slack` in [0, 1). A case without a result
    /// is left at −1: what is not known proves nothing.
    pub fn push(&mut self, differences: impl IntoIterator<Item = Option<f64>>, slack: f64) {
        let mut sweep = Grid::new(u32::try_from(self.ln.len()).unwrap_or(u32::MAX));
        for difference in differences {
            // x/μ − 1 = (d + slack)/(1 − slack)
            sweep.push((difference.unwrap_or(-1.0) + slack) / (1.0 - slack));
        }
        for (ln, factor) in self.ln.iter_mut().zip(sweep.ln_factors()) {
            *ln += factor;
        }
    }

    /// The evidence that the loss is over: 20 is reached with a chance of one in twenty at most where it is not.
    pub fn evidence(&self) -> f64 {
        average(&self.ln).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sweeps_above_the_slack_add_to_it() {
        let check = |sweeps: &[f64], expected: std::ops::Range<f64>| {
            let mut recovery = Recovery::new(20);
            for difference in sweeps {
                recovery.push([Some(*difference); 200], 0.01);
            }
            let evidence = recovery.evidence();
            assert!(expected.contains(&evidence), "{sweeps:?}: {evidence}");
        };
        check(&[], 1.0..1.0 + 1e-12);
        check(&[0.0], 2.0..8.0);
        check(&[0.0, 0.0, 0.0], 20.0..500.0);
        // Just at the slack nothing is won, and below it lost.
        check(&[-0.01], 1.0 - 1e-12..1.0 + 1e-12);
        check(&[-0.05, 0.0, 0.0, 0.0], 0.0..1.0);
    }

    #[test]
    fn what_is_missing_proves_nothing() {
        let mut recovery = Recovery::new(20);
        recovery.push((0..200).map(|case| (case >= 20).then_some(0.0)), 0.01);
        assert!(recovery.evidence() < 1.0);
    }
}
