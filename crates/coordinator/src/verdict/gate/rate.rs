//! A rate of the candidate's own against a bound: pass rate, mean score, a named metric.
//!
//! Of this suite, which a completed run knows; or, where the rule says `estimand: population`, the rate to be expected of more
//! cases like these, which is known as far as its interval reaches.

use assay_common::gate::{Amount, Bound, Estimand, Metric, Rule};
use assay_common::verdict::Decision;

use super::super::evidence::Rate;
use super::super::report::ratio;
use super::super::stats::{Interval, clopper_pearson, wilson};
use super::{Finding, Terms, needed, words};

/// Below so many cases Wilson's interval may cover less than it says, and Clopper and Pearson's decides.
const FEW: f64 = 30.0;

/// Holds the completed run's own rate against the bound, in whole numbers. Errored cases count at their worst for
/// each side: the rule passes or fails only when it would with any answers they could have got.
pub(super) fn judge(figures: &Rate, rule: &Rule, terms: Terms) -> Finding {
    let sample = &figures.scored;
    let n = if terms.clustered { sample.clusters() } else { sample.n() };
    let (Bound::Min(bound) | Bound::Max(bound)) = rule.bound else {
        return Finding::unknown(n, format!("`{}` needs a baseline to compare with", rule.bound.key()));
    };
    if rule.estimand == Estimand::Population {
        return expected(figures, rule, bound, n, terms);
    }
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
    let reason = reason(decision, worst, best, figures.errored, rule);
    Finding { interval: interval(figures, terms), ..Finding::found(decision, sample.mean(), n, reason) }
}

/// The two-sided interval of a rate that decides.
pub(in crate::verdict) fn interval_of(successes: f64, cases: f64, confidence: f64) -> Interval {
    match cases < FEW {
        true => clopper_pearson(successes, cases, confidence),
        false => wilson(successes, cases, confidence),
    }
}

/// Holds the rate to be expected against the bound: one-sided at the gate's confidence each way, with errors at their worst.
fn expected(figures: &Rate, rule: &Rule, bound: Amount, n: u64, terms: Terms) -> Finding {
    let sample = &figures.scored;
    let Some(mean) = sample.mean() else { return Finding::missing(n, "no case was scored") };
    // As many independent cases as tell as much, the errored ones like the scored.
    let worth = if terms.clustered { sample.effective_size() / sample.n() as f64 } else { 1.0 };
    let [scored, errored] = [sample.n(), figures.errored].map(|cases| cases as f64 * worth);
    let one_sided = 2.0 * terms.confidence - 1.0;
    // Of so many times the cases.
    let ends = |times: f64| {
        let [scored, errored] = [scored, errored].map(|cases| cases * times);
        let cases = scored + errored;
        let low = interval_of(mean * scored, cases, one_sided)[0];
        [low, interval_of(mean * scored + errored, cases, one_sided)[1]]
    };
    let [low, high] = ends(1.0);
    let threshold = bound.as_f64();
    let at_least = matches!(rule.bound, Bound::Min(_));
    let decide = |[low, high]: Interval| match at_least {
        true if low >= threshold => Decision::Pass,
        true if high < threshold => Decision::Fail,
        false if high <= threshold => Decision::Pass,
        false if low > threshold => Decision::Fail,
        _ => Decision::Inconclusive,
    };
    let decision = decide([low, high]);
    let [shown_low, shown_high] = [low, high].map(|bound| words::measured(bound, threshold));
    let sure = format!("with {} % confidence", words::number(terms.confidence * 100.0, 4));
    let is = match (decision, at_least) {
        (Decision::Inconclusive, _) => {
            format!("from {shown_low} to {shown_high}, each end {sure}: too wide for")
        }
        (Decision::Pass, true) | (Decision::Fail, false) => {
            format!("at least {shown_low} {sure}, held against")
        }
        _ => format!("at most {shown_high} {sure}, held against"),
    };
    let unit = terms.unit();
    let mut reason = format!(
        "more cases like these would have {is} {}; observed {} on {}",
        words::number(threshold, 9),
        words::measured(mean, threshold),
        words::count(n, unit)
    );
    if figures.errored > 0 {
        let errors = words::count(figures.errored, "errored case");
        reason += &format!(", with {errors} counted as the worst for either side");
    }
    let needed = match decision {
        Decision::Inconclusive => needed::by_trial(n, |times| decide(ends(times)) != Decision::Inconclusive),
        _ => None,
    };
    reason += &words::needed(needed, unit);
    Finding { interval: interval(figures, terms), needed, ..Finding::found(decision, Some(mean), n, reason) }
}

/// A rate as two whole numbers.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) sum: i128,
    pub(super) of: i128,
}

impl Share {
    pub(super) fn reaches(self, bound: Amount) -> bool {
        self.sum * 1_000_000_000 >= i128::from(bound.0) * self.of
    }

    fn stays_within(self, bound: Amount) -> bool {
        self.sum * 1_000_000_000 <= i128::from(bound.0) * self.of
    }

    pub(super) fn number(self) -> f64 {
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
