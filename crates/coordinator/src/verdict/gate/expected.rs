//! Latency and cost that are to be expected of more cases like these: held against a bound as far as an interval reaches.
//!
//! Cost is bounded by Student's t, its increase by the ratio of totals, with both arms of a case (or cluster) together. What
//! latencies have to do with one another is their time, so stretches of the run are resampled.

use assay_common::gate::{Bound, Rule};
use assay_common::verdict::Decision;

use super::super::evidence::{Latency, Spending};
use super::super::stats::{Interval, LEAST_BLOCKS, percentile_bounds, quantile_ranks, resampled_quantiles};
use super::{Finding, Terms, needed, words};

/// With fewer units that all agree, that none differs proves too little.
const FEW: u64 = 20;

/// The cost of a case, or its increase over the baseline's.
pub(super) fn judge_cost(figures: &Spending, cases: u64, rule: &Rule, terms: Terms) -> Finding {
    let (clusters, error) = match rule.bound {
        Bound::MaxIncrease(_) => (figures.ratio.clusters(), figures.ratio.standard_error()),
        _ => (figures.own.clusters(), figures.own.standard_error()),
    };
    if error.is_none() || (error == Some(0.0) && clusters < FEW) {
        let unit = terms.unit();
        let reason = format!("{} too few to show how cost varies", words::count_is(clusters, unit));
        // Two that differ are enough.
        let least = if error.is_none() { 2 } else { FEW };
        return short(clusters, reason, Some(least - clusters), unit);
    }
    let interval = |confidence: f64| match rule.bound {
        Bound::MaxIncrease(_) => figures.ratio.interval(confidence).map(|bounds| bounds.map(|end| end - 1.0)),
        _ => figures.own.interval(confidence),
    };
    let observed = match rule.bound {
        Bound::MaxIncrease(_) => figures.ratio.value().map(|ratio| ratio - 1.0),
        _ => figures.own.mean(),
    };
    match (observed, interval(one_sided(terms)), interval(terms.confidence)) {
        (Some(observed), Some(bounds), Some(shown)) => held(
            rule,
            observed,
            bounds,
            shown,
            (if terms.clustered { clusters } else { cases }, terms.unit()),
            "US dollars",
            terms,
        ),
        _ => Finding::unknown(cases, "the cost is not known"),
    }
}

/// A quantile of latency in milliseconds, or its increase over the baseline's.
pub(super) fn judge_latency(figures: &Latency, cases: u64, rule: &Rule, terms: Terms) -> Finding {
    let values = figures.held.iter().map(Vec::len).filter(|n| *n > 0).min().unwrap_or(0) as u64;
    let share = f64::from(figures.percent) / 100.0;
    if quantile_ranks(values, share, one_sided(terms)).high > values {
        let reason = format!("{} calls have no upper bound of their p{}", values, figures.percent);
        // All of them have to lie below it, but for a chance of 1 − confidence.
        let calls = ((1.0 - terms.confidence).ln() / share.ln()).ceil();
        let more = needed::times(calls / values as f64, cases);
        return short(cases, reason, more, "case");
    }
    let Some(resamples) = resampled_quantiles(&mut figures.held.clone(), figures.percent) else {
        let reason =
            format!("fewer than {LEAST_BLOCKS} cases show too little of how latency varies over time");
        return short(cases, reason, LEAST_BLOCKS.checked_sub(cases).filter(|more| *more > 0), "case");
    };
    let compares = rule.bound.compares();
    let statistic = |[candidate, baseline]: [i64; 2]| match compares {
        true => candidate as f64 / (baseline as f64).max(1.0) - 1.0,
        false => candidate as f64 / 1e3,
    };
    let quantile = figures.quantile;
    let observed = quantile.candidate.zip(quantile.baseline.unwrap_or(Some(0)));
    let Some(observed) = observed.map(|(candidate, baseline)| statistic([candidate, baseline])) else {
        return Finding::missing(cases, "the latency is not known");
    };
    let mut statistics: Vec<f64> = resamples.into_iter().map(statistic).collect();
    let bounds = percentile_bounds(&mut statistics, one_sided(terms));
    let shown = percentile_bounds(&mut statistics, terms.confidence);
    held(rule, observed, bounds, shown, (cases, "case"), "ms", terms)
}

/// The bounds that an amount in `unit` is expected within, each at the gate's confidence, against what is allowed; worked out
/// from `n` of `of`.
fn held(
    rule: &Rule,
    observed: f64,
    [low, high]: Interval,
    interval: Interval,
    (n, of): (u64, &str),
    unit: &str,
    terms: Terms,
) -> Finding {
    let allowed = rule.bound.amount().as_f64();
    let decision = if high <= allowed {
        Decision::Pass
    } else if low > allowed {
        Decision::Fail
    } else {
        Decision::Inconclusive
    };
    let compares = rule.bound.compares();
    let (scale, unit) = if compares { (100.0, "%") } else { (1.0, unit) };
    let shown = |value: f64| words::measured(value * scale, allowed * scale);
    let sure = format!("with {} % confidence", words::number(terms.confidence * 100.0, 4));
    let bounds = match decision {
        Decision::Pass => format!("at most {} {unit} {sure}, within", shown(high)),
        Decision::Fail => format!("at least {} {unit} {sure}, beyond", shown(low)),
        Decision::Inconclusive => {
            format!("from {} to {} {unit}, each end {sure}: too wide for", shown(low), shown(high))
        }
    };
    let more = if compares { " more than the baseline" } else { "" };
    let mut reason = format!(
        "observed {} {unit}{more}; more cases like these would come to {bounds} the {} {unit} allowed",
        shown(observed),
        words::number(allowed * scale, 9),
    );
    let needed = needed::by_width(observed, [low, high], allowed, n);
    let needed = needed.filter(|_| decision == Decision::Inconclusive);
    reason += &words::needed(needed, of);
    Finding { interval: Some(interval), needed, ..Finding::found(decision, Some(observed), n, reason) }
}

/// Too few to say anything; so many more would do.
fn short(n: u64, mut reason: String, needed: Option<u64>, unit: &str) -> Finding {
    reason += &words::needed(needed, unit);
    Finding { needed, ..Finding::unknown(n, reason) }
}

/// The confidence of a two-sided interval each of whose ends is a one-sided bound at the gate's.
fn one_sided(terms: Terms) -> f64 {
    2.0 * terms.confidence - 1.0
}
