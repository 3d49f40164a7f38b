//! Latency and cost: the completed run's own numbers against a bound or against the baseline's, unless the rule asks what is
//! to be expected of more cases.

use assay_common::gate::{Bound, Estimand, Rule};
use assay_common::verdict::Decision;

use super::super::evidence::{Latency, Spending};
use super::super::measure::Cost;
use super::super::report::ratio;
use super::super::stats::quantile_bounds;
use super::{Finding, Terms, expected, words};

/// Billionths in one: the grain of a rule's amounts.
const BILLION: i128 = 1_000_000_000;

/// Mean cost of a scored case.
pub(super) fn judge_cost(figures: &Spending, cases: u64, rule: &Rule, terms: Terms) -> Finding {
    let totals = figures.totals;
    let amounts = Amounts {
        candidate: totals.candidate.nanos(),
        baseline: totals.baseline.map(Cost::nanos),
        of: i128::from(cases.max(1)),
        name: "cost",
        unit: "US dollars",
    };
    let finding = amounts.judge(cases, rule.bound);
    // What is not known, and what costs nothing, is no matter of spread.
    let certain = finding.observed.is_none() || figures.totals.baseline.and_then(Cost::nanos) == Some(0);
    match rule.estimand {
        Estimand::Population if !certain => expected::judge_cost(figures, cases, rule, terms),
        _ => finding,
    }
}

/// A quantile of latency.
pub(super) fn judge_latency(figures: &Latency, cases: u64, rule: &Rule, terms: Terms) -> Finding {
    // Microseconds are 10⁶ billionths of a millisecond.
    let exact = |micros: Option<i64>| micros.map(|micros| i128::from(micros) * 1_000_000);
    let amounts = Amounts {
        candidate: exact(figures.quantile.candidate),
        baseline: figures.quantile.baseline.map(exact),
        of: 1,
        name: "latency",
        unit: "ms",
    };
    let finding = amounts.judge(cases, rule.bound);
    if finding.observed.is_none() {
        return finding;
    }
    if rule.estimand == Estimand::Population {
        return expected::judge_latency(figures, cases, rule, terms);
    }
    // For people: two of the values themselves, where there are enough.
    let mut millis: Vec<f64> = figures.held[0].iter().map(|(_, micros)| *micros as f64 / 1e3).collect();
    let share = f64::from(figures.percent) / 100.0;
    let interval = match quantile_bounds(&mut millis, share, terms.confidence) {
        [Some(low), Some(high)] if !rule.bound.compares() => Some([low, high]),
        _ => None,
    };
    Finding { interval, ..finding }
}

/// What was measured of both arms: billionths of the unit, still to be divided by `of`.
struct Amounts {
    candidate: Option<i128>,
    baseline: Option<Option<i128>>,
    of: i128,
    name: &'static str,
    unit: &'static str,
}

impl Amounts {
    fn judge(&self, n: u64, bound: Bound) -> Finding {
        let Some(candidate) = self.candidate else {
            return Finding::missing(n, format!("the {} is not known", self.name));
        };
        match (bound, self.baseline) {
            (Bound::Max(_) | Bound::Min(_), _) => self.against_bound(candidate, n, bound),
            (Bound::MaxIncrease(allowed), Some(Some(baseline))) => {
                self.against_baseline(candidate, baseline, n, i128::from(allowed.0))
            }
            (Bound::MaxIncrease(_), Some(None)) => {
                Finding::missing(n, format!("the baseline's {} is not known", self.name))
            }
            (Bound::MaxIncrease(_), None) => Finding::missing(n, "there is no baseline to compare with"),
            (Bound::MaxDrop(_), _) => {
                Finding::missing(n, format!("`max_drop` is not defined for {}", self.name))
            }
        }
    }

    fn against_bound(&self, candidate: i128, n: u64, bound: Bound) -> Finding {
        let limit = i128::from(bound.amount().0) * self.of;
        let at_least = matches!(bound, Bound::Min(_));
        let holds = if at_least { candidate >= limit } else { candidate <= limit };
        let is = match (holds, at_least) {
            (true, true) => "is at least",
            (true, false) => "is at most",
            (false, true) => "is below",
            (false, false) => "is above",
        };
        let (value, threshold) = (self.number(candidate), bound.amount().as_f64());
        let unit = self.unit;
        let reason = format!(
            "{} {unit} {is} {} {unit}",
            words::measured(value, threshold),
            words::number(threshold, 9)
        );
        Finding::found(decision(holds), Some(value), n, reason)
    }

    /// `observed` is the increase as a share of the baseline's: 0.08 is 8 % more.
    fn against_baseline(&self, candidate: i128, baseline: i128, n: u64, allowed: i128) -> Finding {
        let holds = candidate * BILLION <= baseline * (BILLION + allowed);
        let increase = if candidate == baseline { Some(0.0) } else { ratio(candidate - baseline, baseline) };
        let allowed = allowed as f64 / BILLION as f64;
        let (value, before) = (self.number(candidate), self.number(baseline));
        let change = match increase {
            Some(0.0) => "no more than".to_owned(),
            Some(increase) => {
                let side = if increase > 0.0 { "above" } else { "below" };
                format!("{} % {side}", words::measured(increase.abs() * 100.0, allowed * 100.0))
            }
            None => "above".to_owned(),
        };
        let reason = format!(
            "{} {unit} is {change} the baseline's {} {unit}; {} % more is allowed",
            words::measured(value, before),
            words::measured(before, value),
            words::number(allowed * 100.0, 7),
            unit = self.unit,
        );
        Finding::found(decision(holds), increase, n, reason)
    }

    fn number(&self, amount: i128) -> f64 {
        ratio(amount, self.of * BILLION).unwrap_or(0.0)
    }
}

fn decision(holds: bool) -> Decision {
    if holds { Decision::Pass } else { Decision::Fail }
}
