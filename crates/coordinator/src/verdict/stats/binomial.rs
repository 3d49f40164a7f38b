//! The binomial distribution, by walking away from its mode.
//!
//! The probabilities are known up to a factor from the ratio of neighbours, and the factor from their sum. That needs no
//! special function, and it stays exact where the incomplete beta function loses its digits: many trials.

/// The probabilities of a binomial variable with `n` trials of chance `p`, as far as they are numbers above 0.
#[derive(Clone, Debug)]
pub struct Binomial {
    n: u64,
    /// The count that `weights` begins with.
    first: u64,
    weights: Vec<f64>,
    total: f64,
}

impl Binomial {
    /// P(X = k) = C(n, k) pᵏ (1 − p)ⁿ⁻ᵏ, with P(X = k + 1) / P(X = k) = (n − k)/(k + 1) · p/(1 − p).
    pub fn new(n: u64, p: f64) -> Self {
        if p <= 0.0 || p >= 1.0 || n == 0 {
            let first = if p >= 1.0 { n } else { 0 };
            return Self { n, first, weights: vec![1.0], total: 1.0 };
        }
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and n")]
        let mode = (((n as f64 + 1.0) * p) as u64).min(n);
        let odds = p / (1.0 - p);
        let below = std::iter::successors(Some((mode, 1.0)), |(k, weight)| {
            let weight = weight * *k as f64 / ((n - k + 1) as f64 * odds);
            (*k > 0 && weight > 0.0).then(|| (k - 1, weight))
        });
        let mut weights: Vec<f64> = below.map(|(_, weight)| weight).collect();
        let first = mode + 1 - weights.len() as u64;
        weights.reverse();
        let above = std::iter::successors(Some((mode, 1.0)), |(k, weight)| {
            let weight = weight * (n - k) as f64 / (k + 1) as f64 * odds;
            (weight > 0.0).then(|| (k + 1, weight))
        });
        weights.extend(above.skip(1).map(|(_, weight)| weight));
        let total = weights.iter().sum();
        Self { n, first, weights, total }
    }

    /// P(X = k).
    pub fn mass(&self, k: u64) -> f64 {
        let at = k.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.weights.get(at)).map_or(0.0, |weight| weight / self.total)
    }

    /// P(X < k).
    pub fn below(&self, k: u64) -> f64 {
        self.weights[..self.split(k)].iter().sum::<f64>() / self.total
    }

    /// P(X ≥ k).
    pub fn at_least(&self, k: u64) -> f64 {
        self.weights[self.split(k)..].iter().rev().sum::<f64>() / self.total
    }

    /// The least k in 0..=n + 1 with P(X < k) ≥ `chance`.
    pub fn least_with_below(&self, chance: f64) -> u64 {
        if chance <= 0.0 {
            return 0;
        }
        let mut below = 0.0;
        let enough = self.weights.iter().position(|weight| {
            below += weight / self.total;
            below >= chance
        });
        enough.map_or(self.n + 1, |at| self.first + at as u64 + 1)
    }

    fn split(&self, k: u64) -> usize {
        usize::try_from(k.saturating_sub(self.first))
            .map_or(self.weights.len(), |at| at.min(self.weights.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_binomial_coefficients() {
        let ten = Binomial::new(10, 0.5);
        let coefficients = [1, 10, 45, 120, 210, 252, 210, 120, 45, 10, 1];
        for (k, coefficient) in (0..).zip(coefficients) {
            assert!((ten.mass(k) - f64::from(coefficient) / 1024.0).abs() < 1e-15, "{k}");
        }
        assert!((ten.below(3) - 56.0 / 1024.0).abs() < 1e-15);
        assert!((ten.at_least(3) - 968.0 / 1024.0).abs() < 1e-15);
        assert_eq!((ten.mass(11), ten.below(0), ten.at_least(11)), (0.0, 0.0, 0.0));
        assert_eq!(ten.least_with_below(56.0 / 1024.0), 3);
    }

    #[test]
    fn certain_outcomes_and_many_trials() {
        assert_eq!((Binomial::new(7, 0.0).mass(0), Binomial::new(7, 1.0).mass(7)), (1.0, 1.0));
        assert_eq!((Binomial::new(0, 0.3).at_least(0), Binomial::new(0, 0.3).at_least(1)), (1.0, 0.0));
        assert_eq!(Binomial::new(5, 0.5).least_with_below(2.0), 6);
        let many = Binomial::new(1_000_001, 0.5);
        assert!((many.below(500_001) - 0.5).abs() < 1e-12, "symmetric");
    }
}
