//! A rate of the candidate's own against a bound: pass rate, mean score, a named metric.

use assay_common::gate::{Amount, Bound, Metric, Rule};
use assay_common::verdict::Decision;

use super::super::evidence::Rate;
use super::super::report::ratio;
use super::super::stats::{Interval, wilson};
use super::{Finding, Terms, words};

/// Holds the completed run's own rate against the bound, in whole numbers. Errored cases count at their worst for
/// each side: the rule passes or fails only when it would with any answers they could have got.
pub(super) fn judge(figures: &Rate, rule: &Rule, terms: Terms) -> Finding {
    let sample = &figures.scored;
    let n = if terms.clustered { sample.clusters() } else { sample.n() };
    let (Bound::Min(bound) | Bound::Max(bound)) = rule.bound else {
        return Finding::unknown(n, format!("`{}` needs a baseline to compare with", rule.bound.key()));
    };
    let one = i128::from(terms.scale.one());
    let cases = i128::from(sample.n() + figures.errored);
    let low = Share { sum: sample.sum(), of: one * cases };
    let high = Share { sum: sample.sum() + one * i128::from(figures.errored), of: one * cases };
    let at_least = matches!(rule.bound, Bound::Min(_));
    // The worst for a pass and the worst for a fail.
    let (worst, best) = if at_least { (low, high) } else { (high, low) };
    let holds = |share: Share| if at_least { share.reaches(bound) } else { share.stays_within(bound) };
    let decision = match (holds(worst), holds(best)) {
        (true, _) => Decision::Pass,
        (false, false) => Decision::Fail,
        (false, true) => Decision::Inconclusive,
    };
    Finding {
        decision,
        observed: sample.mean(),
        interval: interval(figures, terms),
        n,
        reason: reason(decision, worst, best, figures.errored, rule),
    }
}

/// A rate as two whole numbers.
#[derive(Clone, Copy)]
struct Share {
    sum: i128,
    of: i128,
}

impl Share {
    fn reaches(self, bound: Amount) -> bool {
        self.sum * 1_000_000_000 >= i128::from(bound.0) * self.of
    }

    fn stays_within(self, bound: Amount) -> bool {
        self.sum * 1_000_000_000 <= i128::from(bound.0) * self.of
    }

    fn number(self) -> f64 {
        ratio(self.sum, self.of).unwrap_or(0.0)
    }
}

/// Wilson's interval over scored cases; with clusters, over as many cases as tell as much.
fn interval(figures: &Rate, terms: Terms) -> Option<Interval> {
    let sample = &figures.scored;
    let mean = sample.mean()?;
    let n = if terms.clustered { sample.effective_size() } else { sample.n() as f64 };
    let successes = match terms.clustered {
        true => mean * n,
        false => sample.sum() as f64 / terms.scale.one() as f64,
    };
    Some(wilson(successes, n, terms.confidence))
}

fn reason(decision: Decision, worst: Share, best: Share, errored: u64, rule: &Rule) -> String {
    let threshold = rule.bound.amount().as_f64();
    let bound = words::number(threshold, 9);
    let shown = |share: Share| words::measured(share.number(), threshold);
    let at_least = matches!(rule.bound, Bound::Min(_));
    let errors = words::count(errored, "errored case");
    let counted = |as_one: bool| match errored {
        0 => String::new(),
        _ => format!(" with {errors} counted as {}", u8::from(as_one)),
    };
    match (decision, at_least) {
        (Decision::Pass, true) => format!("{} is at least {bound}{}", shown(worst), counted(false)),
        (Decision::Pass, false) => format!("{} is at most {bound}{}", shown(worst), counted(true)),
        (Decision::Fail, true) => format!("{} is below {bound}{}", shown(best), counted(true)),
        (Decision::Fail, false) => format!("{} is above {bound}{}", shown(best), counted(false)),
        (Decision::Inconclusive, _) => {
            let (low, high) = if at_least { (worst, best) } else { (best, worst) };
            let what = if matches!(rule.metric, Metric::PassRate) { "the rate" } else { "the mean" };
            format!(
                "{what} lies between {} and {}, depending on {errors}: too wide for {bound}",
                shown(low),
                shown(high)
            )
        }
    }
}
