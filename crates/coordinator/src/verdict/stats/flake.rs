//! Is a case flaky: do repeats of one request disagree more often than rare mishaps explain?

use super::binomial::Binomial;
use super::{Interval, clopper_pearson};

/// What repeats of one case under one version and model say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Every repeat passed.
    StablePass,
    /// Every repeat failed.
    StableFail,
    /// Some disagreed, but rare mishaps could explain it: collect more.
    Suspect,
    /// More disagreed than rare mishaps explain.
    Flaky,
}

/// The class of a case and the evidence for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flake {
    /// Its class.
    pub stability: Stability,
    /// The chance of so many disagreeing repeats if mishaps were as rare as presumed.
    pub tail: f64,
    /// Clopper and Pearson's bounds of the share on the rarer side, each at 95 %.
    pub minority: Interval,
}

/// Classifies a case of which `passed` of `trials` uncached repeats passed. With m the smaller of passes and failures, it is
/// flaky where P(Binomial(n, `mishaps`) ≥ m) ≤ `level`. `mishaps` 0.02 and `level` 0.001 flag a case that is 99 % stable
/// after eight repeats five times in 100,000. Without repeats it is suspect: nothing is known.
pub fn flake(passed: u64, trials: u64, mishaps: f64, level: f64) -> Flake {
    let minority = passed.min(trials.saturating_sub(passed));
    let tail = Binomial::new(trials, mishaps).at_least(minority);
    let stability = match (minority, passed) {
        _ if trials == 0 => Stability::Suspect,
        (0, 0) => Stability::StableFail,
        (0, _) => Stability::StablePass,
        _ if tail <= level => Stability::Flaky,
        _ => Stability::Suspect,
    };
    Flake { stability, tail, minority: clopper_pearson(minority as f64, trials as f64, 0.9) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disagreements_it_takes() {
        // The least number of disagreeing repeats that make a case flaky.
        let check = |trials: u64, least: u64| {
            let stability = |minority| flake(minority, trials, 0.02, 0.001).stability;
            assert_eq!(stability(least), Stability::Flaky, "{least} of {trials}");
            assert_eq!(stability(least - 1), Stability::Suspect, "{} of {trials}", least - 1);
            assert_eq!(flake(trials - least, trials, 0.02, 0.001).stability, Stability::Flaky);
        };
        check(8, 3);
        check(10, 3);
        check(16, 4);
        check(20, 4);
        check(30, 5);
        assert_eq!(flake(0, 0, 0.02, 0.001).stability, Stability::Suspect);
    }
}
