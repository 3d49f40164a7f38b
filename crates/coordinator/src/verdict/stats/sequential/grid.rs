//! The grid of bets, the primitive of every sequential method here.

/// Gamblers who each bet a fixed share of their wealth on every unit, starting with 1 between them.
///
/// Against "the mean of x is at most μ", x in [0, 1], the gain of a unit is x/μ − 1; against "at least", (1 − x)/(1 − μ) − 1.
/// In either case its mean is at most 0 if that is true, so the wealth is a non-negative supermartingale. With shares
/// cⱼ = (j − ½)/J for j = 1..J:
///
/// Kⱼ ← Kⱼ·(1 + cⱼ·gain); wealth (1/J)·Σ Kⱼ
///
/// The factors are the same in any order, and each rises with x: a result that is missing may be replaced by its worst, and
/// nothing is proven by what is not known. Waudby-Smith & Ramdas 2024 (JRSS-B 86:1), diversified Kelly betting.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    ln: Vec<f64>,
}

impl Grid {
    /// Before the first unit. `bets` of at least 1; 20 unless there is a reason.
    pub fn new(bets: u32) -> Self {
        Self { ln: vec![0.0; bets.max(1) as usize] }
    }

    /// Bets on a unit with this gain, at least −1; infinite where the unit was impossible.
    pub fn push(&mut self, gain: f64) {
        self.push_times(gain, 1.0);
    }

    /// Bets on as many units with the same gain.
    pub fn push_times(&mut self, gain: f64, times: f64) {
        let count = self.ln.len() as f64;
        for (index, ln) in self.ln.iter_mut().enumerate() {
            let share = (index as f64 + 0.5) / count;
            *ln += times * (share * gain).ln_1p();
        }
    }

    /// ln Kⱼ of each gambler.
    pub fn ln_factors(&self) -> &[f64] {
        &self.ln
    }

    /// ln of the wealth between them.
    pub fn ln_wealth(&self) -> f64 {
        average(&self.ln)
    }
}

/// ln of the mean of wealths that are given as ln: how evidence of several runs about the same cases is combined. It holds
/// whatever they have to do with one another, and so for repeats of a case and for runs that share cases; a product would
/// count the same cases twice, and starting again would let chance have another try.
///
/// Vovk & Wang 2021. −∞ (no wealth) without any.
pub fn average(ln_wealths: &[f64]) -> f64 {
    let highest = ln_wealths.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if highest.is_infinite() {
        return highest;
    }
    let sum: f64 = ln_wealths.iter().map(|ln| (ln - highest).exp()).sum();
    highest + (sum / ln_wealths.len() as f64).ln()
}

/// ln of the grid's wealth against "a drop of `margin` or more" and against "a smaller one", from the counts of paired cases
/// that were lost, stayed and were gained: the order does not matter.
///
/// pass: mean over c of (1 − c)^lost · (1 + c·m/(1 − m))^stayed · (1 + c·(1 + m)/(1 − m))^gained;
/// fail: mean over c of (1 − c)^gained · (1 − c·m/(1 + m))^stayed · (1 + c·(1 − m)/(1 + m))^lost
pub fn paired_wealth(lost: u64, stayed: u64, gained: u64, margin: f64, bets: u32) -> [f64; 2] {
    let [mut pass, mut fail] = [Grid::new(bets), Grid::new(bets)];
    for (difference, times) in [(-1.0, lost), (0.0, stayed), (1.0, gained)] {
        if times > 0 {
            let excess = difference + margin;
            pass.push_times(excess / (1.0 - margin), times as f64);
            fail.push_times(-excess / (1.0 + margin), times as f64);
        }
    }
    [pass.ln_wealth(), fail.ln_wealth()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn averages_of_wealth() {
        assert!((average(&[0.0, 3.0_f64.ln()]) - 2.0_f64.ln()).abs() < 1e-15);
        assert_eq!(average(&[f64::INFINITY, 0.0]), f64::INFINITY);
        assert_eq!(average(&[]), f64::NEG_INFINITY);
        assert!((average(&[900.0, 900.0]) - 900.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn wealth_has_mean_one_on_the_boundary(mu in 0.05_f64..0.95, before in proptest::collection::vec(0.0_f64..1.0, 0..20)) {
            // x is 1 with chance μ, else 0: the next unit gains nothing in the mean, whatever came before.
            let mut grid = Grid::new(20);
            before.iter().for_each(|x| grid.push(x / mu - 1.0));
            let next = |x: f64| { let mut next = grid.clone(); next.push(x / mu - 1.0); next.ln_wealth().exp() };
            let expected = mu * next(1.0) + (1.0 - mu) * next(0.0);
            let now = grid.ln_wealth().exp();
            prop_assert!((expected - now).abs() <= 1e-9 * now.max(1.0), "{expected} after {now}");
        }

        #[test]
        fn a_better_unit_never_lowers_it(gains in proptest::collection::vec(-0.99_f64..2.0, 1..30), at in 0_usize..30, more in 0.0_f64..1.0) {
            let wealth = |gains: &[f64]| { let mut grid = Grid::new(20); gains.iter().for_each(|gain| grid.push(*gain)); grid.ln_wealth() };
            let mut better = gains.clone();
            better[at % gains.len()] += more;
            prop_assert!(wealth(&better) >= wealth(&gains) - 1e-12);
        }
    }
}
