//! Several trials of a case: what they say of the case, and of the spread between cases.

/// The chance that at least one of `k` trials passes, from `passed` of `trials`: 1 − C(n − c, k)/C(n, k), unbiased for a
/// fixed number of trials. `None` for more trials than there are.
///
/// Chen et al. 2021 (arXiv 2107.03374).
pub fn pass_at(passed: u64, trials: u64, k: u64) -> Option<f64> {
    pass_hat(trials.checked_sub(passed)?, trials, k).map(|none| 1.0 - none)
}

/// The chance that all of `k` trials pass, from `passed` of `trials`: C(c, k)/C(n, k), unbiased for a fixed number of
/// trials. `None` for more trials than there are.
///
/// Yao et al. 2024 (arXiv 2406.12045).
pub fn pass_hat(passed: u64, trials: u64, k: u64) -> Option<f64> {
    if k > trials || passed > trials {
        return None;
    }
    Some((0..k).map(|i| passed.saturating_sub(i) as f64 / (trials - i) as f64).product())
}

/// The chance that two trials of a case disagree, 2c(n − c)/(n(n − 1)): unbiased for 2π(1 − π). `None` for fewer than two.
pub fn flip_rate(passed: u64, trials: u64) -> Option<f64> {
    let (c, n) = (passed as f64, trials as f64);
    (trials >= 2 && passed <= trials).then(|| 2.0 * c * (n - c) / (n * (n - 1.0)))
}

/// Where the spread of a pass rate comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The variance of a trial about its case's own rate.
    pub within: f64,
    /// The variance of the cases' own rates.
    pub between: f64,
}

/// The moments of a one-way analysis of variance, from how many of `trials` passed in each case: with pᵢ = cᵢ/K
///
/// within = mean of K/(K − 1)·pᵢ(1 − pᵢ), between = max(0, s²ₚ − within/K)
///
/// `None` for fewer than two trials or two cases.
pub fn spread(passed: &[u64], trials: u64) -> Option<Spread> {
    if trials < 2 || passed.len() < 2 {
        return None;
    }
    let (k, cases) = (trials as f64, passed.len() as f64);
    let rates = || passed.iter().map(|passed| *passed as f64 / k);
    let within = rates().map(|p| k / (k - 1.0) * p * (1.0 - p)).sum::<f64>() / cases;
    let mean = rates().sum::<f64>() / cases;
    let variance = rates().map(|p| (p - mean).powi(2)).sum::<f64>() / (cases - 1.0);
    Some(Spread { within, between: (variance - within / k).max(0.0) })
}

impl Spread {
    /// The variance of the mean of `cases` cases with `trials` trials each: (between + within/K)/N. More cases beat more
    /// trials wherever cases can be added: trials only shrink the first part.
    pub fn of_mean(self, cases: u64, trials: u64) -> f64 {
        (self.between + self.within / trials as f64) / cases as f64
    }

    /// How many cases of one trial tell as much as `cases` cases with `trials` trials each.
    pub fn effective_cases(self, cases: u64, trials: u64) -> f64 {
        (self.between + self.within) / self.of_mean(cases, trials)
    }

    /// The correlation of two trials of a case; `None` where nothing varies.
    pub fn correlation(self) -> Option<f64> {
        let all = self.between + self.within;
        (all > 0.0).then(|| self.between / all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trial_is_the_rate_and_more_are_ordered() {
        for (passed, trials) in [(0, 1), (3, 10), (10, 10), (1, 64)] {
            let rate = passed as f64 / trials as f64;
            assert!((pass_at(passed, trials, 1).unwrap() - rate).abs() < 1e-12);
            assert!((pass_hat(passed, trials, 1).unwrap() - rate).abs() < 1e-12);
            for k in 1..trials {
                assert!(pass_at(passed, trials, k) <= pass_at(passed, trials, k + 1));
                assert!(pass_hat(passed, trials, k) >= pass_hat(passed, trials, k + 1));
            }
            assert_eq!(pass_at(passed, trials, trials + 1), None);
        }
        assert_eq!(pass_hat(2, 1, 1), None);
    }

    #[test]
    fn two_trials_that_always_agree_vary_only_between_cases() {
        let spread = spread(&[2, 0, 2, 0], 2).unwrap();
        assert_eq!((spread.within, spread.correlation()), (0.0, Some(1.0)));
        assert_eq!(spread.effective_cases(4, 2), 4.0);
        assert_eq!(flip_rate(1, 2), Some(1.0));
    }
}
