//! What a rule comes to that was looked at again and again: what was decided first stands.

use assay_common::gate::{Bound, Estimand, Rule};
use assay_common::verdict::Decision;

use super::super::looks::Looks;
use super::super::stats::Interval;
use super::{Finding, Terms, needed, words};

/// What the looks so far say.
pub(super) fn judge(looks: &Looks, rule: &Rule, terms: Terms) -> Finding {
    let (n, decision) = (looks.looked_at(), looks.decision().unwrap_or(Decision::Inconclusive));
    let unit = terms.unit();
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
    if looks.errored() > 0 {
        let errors = words::count(looks.errored(), "errored case");
        reason += &format!(", with {errors} among them counted as the worst for either side");
    }
    if let Some(observed) = observed {
        // What was in flight when it was decided is looked at as well: it only narrows the bounds.
        let later = looks.units() - n;
        let on = if later > 0 { format!(" with {later} more that were under way") } else { String::new() };
        reason += &format!(": observed {}{on}", shown(observed));
    }
    if let Some(bounds) = looks.bounds() {
        let sure = match looks.is_certain() {
            true => "whatever the rest will be".to_owned(),
            false => {
                format!("with {} % confidence at every look", words::number(terms.confidence * 100.0, 4))
            }
        };
        reason += &format!(", {} {sure}", between(bounds, decision, rule, shown));
    } else if looks.rounds() > 1 {
        reason += "; rounds of trials are averaged as evidence, which gives no interval";
    }
    let needed = match (decision, rule.estimand) {
        (Decision::Inconclusive, Estimand::Population) => more(looks, n),
        // At its end a suite's own number is known.
        (Decision::Inconclusive, Estimand::Suite) => {
            let left = looks.units_left();
            Some(more(looks, n).map_or(left, |more| more.min(left))).filter(|more| *more > 0)
        }
        _ => None,
    };
    if decision == Decision::Inconclusive {
        reason +=
            if looks.is_futile() { "; more cases of this suite are not expected to decide it" } else { "" };
        reason += &words::needed(needed, unit);
    }
    Finding { interval: looks.bounds(), needed, ..Finding::found(decision, observed, looks.scored(), reason) }
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

/// The end of the bounds that decided; both where nothing is decided.
fn between([low, high]: Interval, decision: Decision, rule: &Rule, shown: impl Fn(f64) -> String) -> String {
    let up = !matches!(rule.bound, Bound::Max(_));
    match decision {
        Decision::Inconclusive => format!("from {} to {}", shown(low), shown(high)),
        Decision::Pass if up => format!("at least {}", shown(low)),
        Decision::Fail if !up => format!("at least {}", shown(low)),
        _ => format!("at most {}", shown(high)),
    }
}

/// How many more units like these bring the wealth to its target: its logarithm grows with their number. `None` where it cannot be
/// told: where both sides have lost by now, as they do of many errored cases, more like these would lose still more.
fn more(looks: &Looks, n: u64) -> Option<u64> {
    let (wealth, target) = looks.progress();
    if wealth > 0.0 { needed::times(target / wealth, n) } else { None }
}
