//! What the rules of a gate can be expected to see of so many cases, and warnings of those that can see nothing.

use assay_common::gate::{Bound, Estimand, Gate, Metric, Rule};

use super::super::verdict::stats::{LEAST_BLOCKS, quantile_ranks};
use super::super::verdict::{Sight, best_rate};
use super::gate::Offer;
use super::hint::counted;
use super::load::Loader;
use super::yaml::Node;

impl Loader<'_> {
    /// What a rule of a gate can be expected to see, noted and, where that is nothing, warned of.
    pub(super) fn check_prospect(&mut self, node: &Node, gate: &Gate, rule: &Rule, offer: &Offer<'_>) {
        self.check_drop(node, gate, rule, offer);
        self.check_expected(node, gate, rule, offer);
    }

    /// Notes what a rule on a drop can be expected to see, and warns of one that so few cases could rule out only for a version
    /// that is better.
    fn check_drop(&mut self, node: &Node, gate: &Gate, rule: &Rule, offer: &Offer<'_>) {
        let Some(census) = offer.census.filter(|_| offer.prompts > 1) else { return };
        let in_slice = if rule.slice.is_empty() { census.cases() } else { census.cases_in(&rule.slice) };
        let Some((sight, outlook)) = Sight::of(gate, rule, in_slice, census.cases()) else { return };
        let Sight { cases, allowed, .. } = sight;
        self.sights.push(sight);
        if allowed >= outlook.least {
            return;
        }
        let at = node.entry("max_drop").map_or(node.at, |entry| entry.value.at);
        let points = |share: f64| (share * 1e3).ceil() / 10.0;
        let message = format!(
            "{} cannot see a drop below {} points: this rule passes only a version that is better",
            counted(cases, "case"),
            points(outlook.least),
        );
        self.warning(at, message).hint = Some(match outlook.cases.is_finite() {
            true => format!(
                "{} cases would do where no case changes sides, {} where 7 % do; or allow more",
                outlook.least_cases, outlook.cases
            ),
            false => "no number of cases rules out a drop of 0: allow some".into(),
        });
    }

    /// Warns of a rule on what is to be expected of more cases that so few cannot decide, whatever they come to.
    fn check_expected(&mut self, node: &Node, gate: &Gate, rule: &Rule, offer: &Offer<'_>) {
        let Some(census) = offer.census.filter(|_| rule.estimand == Estimand::Population) else { return };
        let cases = if rule.slice.is_empty() { census.cases() } else { census.cases_in(&rule.slice) };
        let cases = gate.max_cases.map_or(cases, |most| most.min(cases));
        let (confidence, is_rate) = (gate.confidence.as_f64(), rule.metric.higher_is_better());
        let best = best_rate(cases, confidence);
        let amount = rule.bound.amount().as_f64();
        let message = match (&rule.metric, rule.bound) {
            _ if cases == 0 || (is_rate && amount > 1.0) => return,
            (_, Bound::Min(_)) if is_rate && amount > best => format!(
                "{} cannot show that: if all passed, more cases like these would be known to have at least {best:.3}",
                counted(cases, "case")
            ),
            (_, Bound::Max(_)) if is_rate && 1.0 - amount > best => format!(
                "{} cannot show that: if none passed, more cases like these would be known to have at most {:.3}",
                counted(cases, "case"),
                1.0 - best
            ),
            (Metric::Latency(_), Bound::Max(_) | Bound::MaxIncrease(_)) if cases < LEAST_BLOCKS => format!(
                "{} show too little of how latency varies over time: this rule is always inconclusive",
                counted(cases, "case")
            ),
            (Metric::Latency(percent), Bound::Max(_) | Bound::MaxIncrease(_)) => {
                let calls = cases * u64::from(offer.repeats);
                let share = f64::from(*percent) / 100.0;
                if quantile_ranks(calls, share, 2.0 * confidence - 1.0).high <= calls {
                    return;
                }
                format!(
                    "{calls} calls have no upper bound of their p{percent}: this rule is always inconclusive"
                )
            }
            _ => return,
        };
        let at = node.entry(rule.bound.key()).map_or(node.at, |entry| entry.value.at);
        self.warning(at, message).hint = Some(match rule.bound.compares() {
            true => "add cases".into(),
            false => {
                "demand less, add cases, or ask for this suite's own number with `estimand: suite`".into()
            }
        });
    }
}
