//! From the findings of all scorers to one: exact integers, so that the order of a sum never shows.

use assay_common::score::{Millionths, NamedScore};

use super::Judged;

/// The weighted mean, and whether the output passes: at `threshold` where the suite sets one, else when every scorer
/// is satisfied. A scorer of weight 0 is kept and decides nothing; when none decides, the output passes with 1.
pub(super) fn total(scores: Vec<NamedScore>, threshold: Option<Millionths>) -> Judged {
    let deciding = || scores.iter().filter(|score| score.weight > Millionths::ZERO);
    let weight: i128 = deciding().map(|score| i128::from(score.weight.0)).sum();
    let sum: i128 =
        deciding().map(|score| i128::from(score.weight.0) * i128::from(score.score.value.0)).sum();
    let score = if weight == 0 { Millionths::ONE } else { rounded_half_up(sum, weight) };
    let passed = match threshold {
        Some(threshold) => score >= threshold,
        None => deciding().all(|score| score.score.pass),
    };
    Judged { passed, score, scores }
}

fn rounded_half_up(sum: i128, weight: i128) -> Millionths {
    let rounded = (2 * sum + weight).div_euclid(2 * weight);
    // A mean of values in [0, 1] lies in [0, 1].
    Millionths(i64::try_from(rounded).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_common::score::Score;

    /// Scorers as (weight, value, pass), and what they come to.
    fn check(parts: &[(f64, f64, bool)], threshold: Option<f64>, expected: (bool, i64)) {
        let millionths = |value: f64| Millionths::from_f64(value).unwrap();
        let scores = parts.iter().map(|(weight, value, pass)| NamedScore {
            scorer: "equals".into(),
            metric: None,
            weight: millionths(*weight),
            score: Score { value: millionths(*value), pass: *pass, reason: String::new() },
        });
        let judged = total(scores.collect(), threshold.map(millionths));
        assert_eq!((judged.passed, judged.score.0), expected, "{parts:?} at {threshold:?}");
        assert_eq!(judged.scores.len(), parts.len());
    }

    #[test]
    fn all_must_pass_unless_a_threshold_says_otherwise() {
        check(&[], None, (true, 1_000_000));
        check(&[(1.0, 1.0, true), (1.0, 0.0, false)], None, (false, 500_000));
        check(&[(1.0, 1.0, true), (1.0, 0.0, false)], Some(0.5), (true, 500_000));
        check(&[(2.0, 1.0, true), (1.0, 0.0, false)], Some(0.7), (false, 666_667));
        check(&[(1.0, 1.0, true), (2.0, 0.0, false)], None, (false, 333_333));
        check(&[(1.0, 1.0, true), (1.0, 0.000_001, true)], None, (true, 500_001));
    }

    #[test]
    fn weight_zero_is_kept_and_decides_nothing() {
        check(&[(1.0, 1.0, true), (0.0, 0.0, false)], None, (true, 1_000_000));
        check(&[(0.0, 0.0, false)], None, (true, 1_000_000));
        check(&[(0.0, 0.0, false)], Some(0.9), (true, 1_000_000));
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        check(&[(8e12, 1.0, true), (8e12, 0.0, false)], None, (false, 500_000));
    }
}
