//! Wealth against one hypothesis: half on the grid, half on a bet that knows how many units there will be.

use super::grid::{Grid, average};

/// How the wealth is divided and bet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixture {
    /// How many gamblers make the grid.
    pub bets: u32,
    /// The share of the wealth that is on the grid, in (0, 1]; the rest aims at the last unit.
    pub grid_share: f64,
    /// The most that the aiming bet puts at risk of its wealth, in (0, 1).
    pub cap: f64,
}

impl Default for Mixture {
    fn default() -> Self {
        Self { bets: 20, grid_share: 0.5, cap: 0.5 }
    }
}

/// Wealth against "the mean of y is at most 0", y ≥ −`bound`, from 1. With G the grid's wealth, A that of the bet which aims,
/// w the grid's share, α the level to decide at and N the planned number of units:
///
/// need = (1/α − w·G)/((1 − w)·A), what A must still gain; v = (range²/16 + Σ y²)/t over the units before the t-th;
/// λ = min(cap/bound, √(2·ln need / ((N − t + 1)·v))) while need > 1 and t ≤ N, else 0; A ← A·(1 + λ·y)
///
/// λ depends on earlier units only, so the whole is a non-negative supermartingale: decide when it reaches 1/α. The aim at
/// the threshold is that of Voracek & Orabona 2025 (arXiv 2505.22422), the grid that of Waudby-Smith & Ramdas 2024.
#[derive(Clone, Debug, PartialEq)]
pub struct Wealth {
    grid: Grid,
    ln_aimed: f64,
    /// Σ y² and how many y.
    squares: f64,
    seen: u64,
    bound: f64,
    range: f64,
    horizon: u64,
    ln_target: f64,
    mixture: Mixture,
}

impl Wealth {
    /// Before the first unit. `y` will lie in [−`bound`, `range` − `bound`]; `horizon` units are planned; `alpha` is the
    /// level at which it decides.
    pub fn new(bound: f64, range: f64, horizon: u64, alpha: f64, mixture: Mixture) -> Self {
        Self {
            grid: Grid::new(mixture.bets),
            ln_aimed: 0.0,
            squares: 0.0,
            seen: 0,
            bound,
            range,
            horizon,
            ln_target: -alpha.ln(),
            mixture,
        }
    }

    /// Bets on the next unit of the committed order.
    pub fn push(&mut self, y: f64) {
        let lambda = self.lambda();
        self.ln_aimed += (lambda * y).ln_1p();
        self.grid.push(y / self.bound);
        self.squares += y * y;
        self.seen += 1;
    }

    /// ln of the wealth.
    pub fn ln(&self) -> f64 {
        let share = self.mixture.grid_share;
        // The mean of two halves twice as large.
        average(&[self.grid.ln_wealth() + (2.0 * share).ln(), self.ln_aimed + (2.0 - 2.0 * share).ln()])
    }

    /// Whether it has reached 1/α.
    pub fn decides(&self) -> bool {
        self.ln() >= self.ln_target
    }

    /// Whether the grid's part alone reaches 1/α once these further units are in, in any order: what may be asked where
    /// units are missing in between, each given at its worst. The bet that aims is no friend of gaps: better units earlier
    /// may make it smaller later.
    pub fn decides_with(&self, further: impl IntoIterator<Item = f64>) -> bool {
        let mut grid = self.grid.clone();
        further.into_iter().for_each(|y| grid.push(y / self.bound));
        grid.ln_wealth() + self.mixture.grid_share.ln() >= self.ln_target
    }

    fn lambda(&self) -> f64 {
        let t = self.seen + 1;
        if t > self.horizon {
            return 0.0;
        }
        let share = self.mixture.grid_share;
        let from_grid = share.ln() + self.grid.ln_wealth();
        if from_grid >= self.ln_target {
            return 0.0;
        }
        let missing = self.ln_target + (-(from_grid - self.ln_target).exp()).ln_1p();
        let ln_need = missing - (1.0 - share).ln() - self.ln_aimed;
        if ln_need <= 0.0 {
            return 0.0;
        }
        let variance = (self.range * self.range / 16.0 + self.squares) / t as f64;
        let left = (self.horizon - t + 1) as f64;
        (2.0 * ln_need / (left * variance)).sqrt().min(self.mixture.cap / self.bound)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_gains_nothing_in_the_mean_on_the_boundary(
            margin in 0.01_f64..0.3,
            before in proptest::collection::vec(-1_i8..=1, 0..60),
            aimed in prop_oneof![Just(0.5), Just(0.2), Just(1.0)],
        ) {
            // d is −1 with chance `margin`, else 0: the expected difference is just the margin.
            let mixture = Mixture { grid_share: aimed, ..Mixture::default() };
            let mut wealth = Wealth::new(1.0 - margin, 2.0, 50, 0.05, mixture);
            before.iter().for_each(|d| wealth.push(f64::from(*d) + margin));
            let next = |d: f64| { let mut next = wealth.clone(); next.push(d + margin); next.ln().exp() };
            let expected = margin * next(-1.0) + (1.0 - margin) * next(0.0);
            let now = wealth.ln().exp();
            prop_assert!((expected - now).abs() <= 1e-9 * now.max(1.0), "{expected} after {now}");
        }
    }
}
