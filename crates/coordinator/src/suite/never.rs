//! Rules that can never pass, whatever a run comes to and however many cases it has. What depends on their number is for
//! [`super::prospect`].

use std::collections::HashMap;

use assay_common::gate::{Bound, Estimand, Metric, Rule, Tier};

use super::gate::Offer;
use super::load::Loader;
use super::yaml::Node;

impl Loader<'_> {
    /// Says of a rule that it can never pass, by itself or beside one of those before it, whose `lines` are known by name.
    pub(super) fn check_never(
        &mut self,
        node: &Node,
        rule: &Rule,
        before: &[Rule],
        lines: &HashMap<String, usize>,
        offer: &Offer<'_>,
    ) {
        let at = node.entry(rule.bound.key()).map_or(node.at, |entry| entry.value.at);
        if let Some(other) = before.iter().find(|other| contradicts(rule, other)) {
            let line = lines.get(&other.name).map_or_else(String::new, |line| format!(" on line {line}"));
            let message = format!("`{}`{line} demands the opposite: this gate can never pass", other.name);
            self.error(at, message).hint = Some("change one of the two bounds, or make it advisory".into());
        }
        if let Some((message, hint)) = impossible(rule, offer) {
            self.warning(at, message).hint = Some(hint.to_owned());
        }
    }
}

/// Whether no number satisfies both, and both decide.
fn contradicts(rule: &Rule, other: &Rule) -> bool {
    let ((Bound::Min(low), Bound::Max(high)) | (Bound::Max(high), Bound::Min(low))) =
        (rule.bound, other.bound)
    else {
        return false;
    };
    let both_decide = rule.tier != Tier::Advisory && other.tier != Tier::Advisory;
    low > high && both_decide && rule.metric == other.metric && rule.slice == other.slice
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
