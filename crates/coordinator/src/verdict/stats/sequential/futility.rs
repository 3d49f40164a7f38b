//! Will the rest of the suite change anything?

use super::super::quantile;

/// When to ask whether to give up, and below which chance to do so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Futility {
    /// From this share of the units on.
    pub start: f64,
    /// Again after every such share.
    pub every: f64,
    /// Give up when the chance of a pass and the chance of a fail are both below this.
    pub chance: f64,
}

impl Default for Futility {
    fn default() -> Self {
        Self { start: 0.5, every: 0.05, chance: 0.05 }
    }
}

impl Futility {
    /// Whether it is asked after `n` of `planned` units.
    pub fn is_due(&self, n: u64, planned: u64) -> bool {
        let planned = planned as f64;
        let step = self.every * planned;
        // The share that was just reached, if a look falls between n and n + 1 units.
        let looks =
            if step > 0.0 { ((n as f64 + 1.0 - self.start * planned) / step - 1e-9).floor() } else { 0.0 };
        let look = (self.start * planned + looks * step + 1e-9).floor();
        looks >= 0.0 && look == n as f64
    }

    /// Whether neither verdict can still be expected. `excess` is the mean of what was seen above the margin, `variance` that
    /// of a unit, after `n` of `planned` units; each verdict is asked of a completed run at one-sided level `alpha`, as if
    /// the rest were like what was seen:
    ///
    /// Φ((N·(d̄ + m) − z_{1−α}·s·√N)/(s·√(N − n))), and the same with −N·(d̄ + m)
    ///
    /// It is not binding: giving up never passes or fails anything, so no error can become more frequent.
    pub fn is_futile(&self, excess: f64, variance: f64, n: u64, planned: u64, alpha: f64) -> bool {
        if n >= planned {
            return false;
        }
        let (all, deviation) = (planned as f64, variance.max(0.0).sqrt());
        let needed = quantile::normal(1.0 - alpha) * deviation * all.sqrt();
        let rest = deviation * ((planned - n) as f64).sqrt();
        let chance = |drift: f64| quantile::normal_below((drift - needed) / rest);
        chance(all * excess) < self.chance && chance(-all * excess) < self.chance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_asked_from_half_of_the_suite_every_twentieth() {
        let check = |planned: u64, expected: &[u64]| {
            let due: Vec<u64> = (0..planned).filter(|n| Futility::default().is_due(*n, planned)).collect();
            assert_eq!(due, expected);
        };
        check(100, &[50, 55, 60, 65, 70, 75, 80, 85, 90, 95]);
        check(50, &[25, 27, 30, 32, 35, 37, 40, 42, 45, 47]);
        check(3, &[1, 2]);
    }

    #[test]
    fn gives_up_only_at_the_margin() {
        let futile = |excess| Futility::default().is_futile(excess, 0.08, 500, 1_000, 0.05);
        assert!(futile(0.0) && !futile(0.03) && !futile(-0.03));
        assert!(!Futility::default().is_futile(0.0, 0.08, 1_000, 1_000, 0.05));
    }
}
