//! What a rule comes to that was looked at again and again: what was decided first stands.

use assay_common::gate::{Bound, Estimand, Rule};
use assay_common::verdict::Decision;

use super::super::looks::Looks;
use super::super::stats::Interval;
use super::{Finding, Terms, words};

/// Where more than so many times the units would be needed, the truth seems to lie at the bound: no number helps.
const MOST_TIMES: f64 = 100.0;

/// What the looks so far say.
pub(super) fn judge(looks: &Looks, rule: &Rule, terms: Terms) -> Finding {
    let (n, decision) = (looks.looked_at(), looks.decision().unwrap_or(Decision::Inconclusive));
    let unit = if terms.clustered { "cluster" } else { "case" };
    let drop = matches!(rule.bound, Bound::MaxDrop(_));
    let observed = looks.observed();
    let shown = |value: f64| match drop {
        true => format!("{} points", words::signed_points(value)),
        false => words::measured(value, rule.bound.amount().as_f64()),
    };
    let mut reason = format!("{} after {}", claim(rule, decision), words::count(n, unit));
    if looks.rounds() > 1 {
        reason += &format!(" in {} rounds of trials", looks.rounds());
    }
    if let Some(observed) = observed {
        // What was in flight when it was decided is looked at as well: it only narrows the bounds.
        let later = looks.units() - n;
        let on = if later > 0 { format!(" with {later} more that were under way") } else { String::new() };
        reason += &format!(": observed {}{on}", shown(observed));
    }
    if let Some(bounds) = looks.bounds() {
        reason += &format!(", {}", between(bounds, decision, rule, terms, shown));
    } else if looks.rounds() > 1 {
        reason += "; rounds of trials are averaged as evidence, which gives no interval";
    }
    let needed = (decision == Decision::Inconclusive).then(|| more(looks, n)).flatten();
    if decision == Decision::Inconclusive {
        reason +=
            if looks.is_futile() { "; more cases of this suite are not expected to decide it" } else { "" };
        reason += &words::needed(needed, unit);
    }
    Finding { interval: looks.bounds(), needed, ..Finding::found(decision, observed, n, reason) }
}

/// What is ruled out, shown, or neither.
fn claim(rule: &Rule, decision: Decision) -> String {
    let amount = rule.bound.amount().as_f64();
    let of = if rule.estimand == Estimand::Suite { " of the whole suite" } else { "" };
    let what = match rule.bound {
        Bound::MaxDrop(_) => format!("a drop{of} of more than {} points", words::number(amount * 100.0, 4)),
        Bound::Min(_) => format!("a rate{of} below {}", words::number(amount, 9)),
        Bound::Max(_) | Bound::MaxIncrease(_) => format!("a rate{of} above {}", words::number(amount, 9)),
    };
    match decision {
        Decision::Pass => format!("{what} is ruled out"),
        Decision::Fail => format!("{what} is shown"),
        Decision::Inconclusive => format!("{what} is neither ruled out nor shown"),
    }
}

fn between(
    [low, high]: Interval,
    decision: Decision,
    rule: &Rule,
    terms: Terms,
    shown: impl Fn(f64) -> String,
) -> String {
    let sure = match rule.estimand {
        Estimand::Suite => "whatever the rest will be".to_owned(),
        Estimand::Population => {
            format!("with {} % confidence at every look", words::number(terms.confidence * 100.0, 4))
        }
    };
    let up = !matches!(rule.bound, Bound::Max(_));
    // Which end matters depends on which side was decided; a suite's own number has both.
    match (decision, rule.estimand) {
        (Decision::Inconclusive, _) | (_, Estimand::Suite) => {
            format!("from {} to {} {sure}", shown(low), shown(high))
        }
        (Decision::Pass, _) if up => format!("at least {} {sure}", shown(low)),
        (Decision::Fail, _) if !up => format!("at least {} {sure}", shown(low)),
        _ => format!("at most {} {sure}", shown(high)),
    }
}

/// How many more units like these bring the wealth to its target: its logarithm grows with their number.
fn more(looks: &Looks, n: u64) -> Option<u64> {
    let (wealth, target) = looks.progress();
    let times = target / wealth;
    if wealth <= 0.0 || !times.is_finite() || times > MOST_TIMES {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most a hundred times as many as there are")]
    let more = (n as f64 * (times - 1.0)).ceil().max(1.0) as u64;
    Some(more)
}
