//! Rules that can never pass, whatever a run comes to and however many cases it has. What depends on their number is for
//! [`super::prospect`].

use std::collections::HashMap;

use assay_common::gate::{Bound, Estimand, Gate, Metric, Rule, Tier};

use super::gate::Offer;
use super::load::Loader;
use super::yaml::Node;

impl Loader<'_> {
    /// Says of a rule that it can never pass, by itself or beside one of those that the gate has already, whose `lines` are known by name.
    pub(super) fn check_never(
        &mut self,
        node: &Node,
        rule: &Rule,
        lines: &HashMap<String, usize>,
        gate: &Gate,
        offer: &Offer<'_>,
    ) {
        let at = node.entry(rule.bound.key()).map_or(node.at, |entry| entry.value.at);
        let against = |other: &Rule| match both_decide(rule, other, gate) {
            true if contradicts(rule, other, offer) => Some("demands the opposite"),
            true => leaves_no_room(rule, other, gate, offer).then_some("leaves no room for that"),
            false => None,
        };
        if let Some((other, does)) = gate.rules.iter().find_map(|other| Some((other, against(other)?))) {
            let line = lines.get(&other.name).map_or_else(String::new, |line| format!(" on line {line}"));
            let message = format!("`{}`{line} {does}: this gate can never pass", other.name);
            self.error(at, message).hint = Some("change one of the two bounds, or make it advisory".into());
        }
        if let Some((message, hint)) = impossible(rule, offer) {
            self.warning(at, message).hint = Some(hint.to_owned());
        }
    }
}

/// Whether a gate cannot pass where two rules that no number satisfies together are both in it. What is critical has to pass. Beside it
/// a supporting rule fails for certain where it is about the completed run's own number; an interval may leave it inconclusive, which
/// it may be, and so may a look before the end.
fn both_decide(rule: &Rule, other: &Rule, gate: &Gate) -> bool {
    let is_certain = |rule: &Rule| rule.estimand == Estimand::Suite && !gate.looks_again();
    match (rule.tier, other.tier) {
        (Tier::Critical, Tier::Critical) => true,
        (Tier::Critical, Tier::Supporting) => is_certain(other),
        (Tier::Supporting, Tier::Critical) => is_certain(rule),
        _ => false,
    }
}

/// Whether no number satisfies both.
fn contradicts(rule: &Rule, other: &Rule, offer: &Offer<'_>) -> bool {
    let (least, most) = match (rule.bound, other.bound) {
        (Bound::Min(_), Bound::Max(_)) => (rule, other),
        (Bound::Max(_), Bound::Min(_)) => (other, rule),
        _ => return false,
    };
    least.bound.amount() > most.bound.amount()
        && least.slice == most.slice
        && offer.judging.never_above(&least.metric, &most.metric)
}

/// Whether one of two rules is on a part of what the other is on, and too large a part for both to hold in one run: where
/// half of the cases are hardly ever right, all of them are not right nine times in ten.
fn leaves_no_room(rule: &Rule, other: &Rule, gate: &Gate, offer: &Offer<'_>) -> bool {
    // What is looked at again is decided at different times, of parts whose size is not known beforehand.
    let Some(census) = offer.census.filter(|_| !gate.looks_again()) else { return false };
    let [metric, others] = [rule, other].map(|rule| offer.judging.same_as(&rule.metric));
    if metric != others || !matches!(metric, Metric::PassRate | Metric::MeanScore) {
        return false;
    }
    let is_part = |part: &Rule, whole: &Rule| {
        part.slice.len() > whole.slice.len()
            && whole.slice.iter().all(|(tag, value)| part.slice.get(tag) == Some(value))
    };
    let (part, whole) = if is_part(rule, other) { (rule, other) } else { (other, rule) };
    if !is_part(part, whole) {
        return false;
    }
    let [some, all] = [part, whole].map(|rule| i128::from(census.extent(&rule.slice).cases));
    let amount = |rule: &Rule| i128::from(rule.bound.amount().0);
    match (part.bound, whole.bound) {
        // What the rest could add is all of it.
        (Bound::Max(_), Bound::Min(_)) => {
            amount(part) * some + 1_000_000_000 * (all - some) < amount(whole) * all
        }
        (Bound::Min(_), Bound::Max(_)) => amount(part) * some > amount(whole) * all,
        _ => false,
    }
}

/// Why a rule never passes, and what to do.
fn impossible(rule: &Rule, offer: &Offer<'_>) -> Option<(String, &'static str)> {
    if asks_for_certainty(rule) {
        let every = if matches!(rule.bound, Bound::Min(_)) { "passes" } else { "fails" };
        return Some((
            format!(
                "this says that every case there could ever be {every}, which no number of cases can show: this rule never passes"
            ),
            "demand less, or ask for this suite's own number with `estimand: suite`",
        ));
    }
    let is_zero = matches!(rule.bound, Bound::Max(amount) if amount.0 <= 0);
    match &rule.metric {
        Metric::Latency(_) if is_zero => Some((
            "every call takes some time: this rule passes only where latencies were recorded as 0".to_owned(),
            "allow some milliseconds",
        )),
        Metric::CostPerCase if is_zero => {
            let name = offer.priced.as_ref()?;
            Some((
                format!("`{name}` has a price, and no answer of it is free: this rule never passes"),
                "allow some dollars",
            ))
        }
        _ => None,
    }
}

/// Whether a rule asks for a rate of 1 or 0 of all cases there could be.
pub(super) fn asks_for_certainty(rule: &Rule) -> bool {
    let is_rate = rule.metric.higher_is_better() && rule.estimand == Estimand::Population;
    match rule.bound {
        Bound::Min(amount) => is_rate && amount.as_f64() == 1.0,
        Bound::Max(amount) => is_rate && amount.0 <= 0,
        Bound::MaxDrop(_) | Bound::MaxIncrease(_) => false,
    }
}
