//! Night after night against a frozen baseline: has quality drifted?

use serde::{Deserialize, Serialize};

use super::sequential::Grid;

/// A detector that may look every night for years: e-Shiryaev–Roberts and its CUSUM form.
///
/// While the expected difference stays above −`slack`, the mean number of nights to an alarm at threshold A is at least A:
/// with A = 365 · 5 that is one false alarm in five years. Each night's factor is a product of bets on its cases, valid for
/// fixed and unequal cases, since the mean of the factors bounds their product. For each bet c
///
/// ln L = Σ ln(1 + c·((1 − x)/(1 − μ) − 1)), x = (d + 1)/2, μ = (1 − slack)/2; S ← (S + 1)·L; alarm when the mean of S ≥ A
///
/// The baseline's own error is shared by all nights: choose slack = max(0.01, twice the standard deviation of the baseline's
/// mean), from at least five trials a case. Shin, Ramdas & Rinaldo 2024; Page 1954 for the CUSUM.
/// Between two nights it can be written down and read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    slack: f64,
    bets: u32,
    roberts: Vec<f64>,
    cusum: Vec<f64>,
}

impl Drift {
    /// Before the first night. `slack` in [0, 1); `bets` 20 unless there is a reason.
    pub fn new(slack: f64, bets: u32) -> Self {
        let none = vec![0.0; bets as usize];
        Self { slack, bets, roberts: none.clone(), cusum: none }
    }

    /// Adds a night: the differences of its cases from the baseline, in [−1, 1]. A case without a result is left at +1,
    /// which raises no alarm.
    pub fn push(&mut self, differences: impl IntoIterator<Item = Option<f64>>) {
        let mut night = Grid::new(self.bets);
        for difference in differences {
            // (1 − x)/(1 − μ) − 1 = −(d + slack)/(1 + slack)
            night.push(-(difference.unwrap_or(1.0) + self.slack) / (1.0 + self.slack));
        }
        for ((roberts, cusum), ln) in self.roberts.iter_mut().zip(&mut self.cusum).zip(night.ln_factors()) {
            let factor = ln.exp();
            *roberts = (*roberts + 1.0) * factor;
            *cusum = cusum.max(1.0) * factor;
        }
    }

    /// The detector's value: alarm when it reaches the threshold.
    pub fn roberts(&self) -> f64 {
        mean(&self.roberts)
    }

    /// The value of the CUSUM form, equivalent in practice.
    pub fn cusum(&self) -> f64 {
        mean(&self.cusum)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_raise_it_and_gaps_do_not() {
        let after = |night: &[Option<f64>]| {
            let mut drift = Drift::new(0.01, 20);
            drift.push(night.iter().copied());
            drift.roberts()
        };
        let quiet = after(&[Some(0.0); 50]);
        assert!(after(&[Some(-1.0); 50]) > 1e6 && quiet < 1.0);
        let mut gap = [Some(0.0); 50];
        gap[7] = None;
        assert!(after(&gap) < quiet);
    }
}
