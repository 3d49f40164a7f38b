//! What the rules of a gate can be expected to see of so many cases, and warnings of those that can see nothing.

use assay_common::gate::{Bound, Estimand, Gate, Metric, Rule};
use assay_common::suite::Suite;

use super::super::verdict::stats::{LEAST_BLOCKS, quantile_ranks};
use super::super::verdict::{Extent, Sight, best_rate, could_pass};
use super::cases::census::Census;
use super::gate::Offer;
use super::hint::counted;
use super::load::Loader;
use super::never::asks_for_certainty;
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
        let (extent, clustered) = (census.extent(&rule.slice), census.clustered());
        let Some((sight, outlook)) = Sight::of(gate, rule, extent, census.cases(), clustered) else { return };
        let Sight { cases, clusters, allowed, .. } = sight;
        self.sights.push(sight);
        if allowed >= outlook.least {
            return;
        }
        let at = node.entry("max_drop").map_or(node.at, |entry| entry.value.at);
        let points = |share: f64| (share * 1e3).ceil() / 10.0;
        // Values between 0 and 1, and cases of clusters, may differ by less than a case that changes sides alone.
        let all_or_nothing = gate.looks_again() || (rule.metric == Metric::PassRate && offer.repeats == 1);
        let passes = if all_or_nothing && !clustered { "passes" } else { "may pass" };
        let message = format!(
            "{} cannot see a drop below {} points: this rule {passes} only a version that is better",
            within(cases, clusters),
            points(outlook.least),
        );
        let unit = if clusters.is_some() { "clusters" } else { "cases" };
        self.warning(at, message).hint = Some(match outlook.cases.is_finite() {
            true => format!(
                "{} {unit} would do where no case changes sides, {} where 7 % do; or allow more",
                outlook.least_cases, outlook.cases
            ),
            false => "no number of cases rules out a drop of 0: allow some".into(),
        });
    }

    /// Warns of a rule on what is to be expected of more cases that so few cannot decide, whatever they come to.
    fn check_expected(&mut self, node: &Node, gate: &Gate, rule: &Rule, offer: &Offer<'_>) {
        let Some(census) = offer.census.filter(|_| rule.estimand == Estimand::Population) else { return };
        let Extent { cases, units, .. } = census.extent(&rule.slice).drawn(gate, census.cases());
        let (confidence, is_rate) = (gate.confidence.as_f64(), rule.metric.higher_is_better());
        // Where all cases of all clusters are alike, each cluster tells as much as one; where they are not, all of its cases may.
        let [best, varied] = [units, cases].map(|number| best_rate(number, confidence));
        let cannot = |needs: f64| if needs > varied { "cannot" } else { "may not" };
        let once_each = if census.clustered() { "each cluster would count once, and " } else { "" };
        let some = within(cases, census.clustered().then_some(units));
        // What a gate that looks more than once takes is another matter.
        let (amount, once) = (rule.bound.amount().as_f64(), !gate.looks_again());
        let message = match (&rule.metric, rule.bound) {
            _ if cases == 0 || (is_rate && amount > 1.0) || asks_for_certainty(rule) => return,
            (_, Bound::Min(_)) if is_rate && once && amount > best => format!(
                "{some} {} show that: if all passed, {once_each}more cases like these would be known to have at least {best:.3}",
                cannot(amount)
            ),
            (_, Bound::Max(_)) if is_rate && once && 1.0 - amount > best => format!(
                "{some} {} show that: if none passed, {once_each}more cases like these would be known to have at most {:.3}",
                cannot(1.0 - amount),
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
            (Metric::CostPerCase, _) if units < 2 => {
                format!("{some} cannot show how cost varies: this rule is always inconclusive")
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

    /// Warns of rules that what their gate draws of the suite can never settle, where that depends on looking again and again.
    pub(super) fn check_best(&mut self, tree: &Node, suite: &Suite, census: &Census) {
        let nodes = tree.get("gate").and_then(|gate| gate.get("rules")).map(Node::items).unwrap_or_default();
        let rules = suite.gate.iter().flat_map(|gate| gate.rules.iter().map(move |rule| (gate, rule)));
        for (node, (gate, rule)) in nodes.iter().zip(rules) {
            // What drops may be expected has been checked, and at its best.
            let is_checked = matches!(rule.bound, Bound::MaxDrop(_)) && rule.estimand == Estimand::Population;
            let extent = census.extent(&rule.slice);
            if is_checked
                || asks_for_certainty(rule)
                || could_pass(suite, rule, extent, census.sizes(&rule.slice))
            {
                continue;
            }
            let Extent { cases, units, .. } = extent.drawn(gate, census.cases());
            let some = within(cases, census.clustered().then_some(units));
            let best = match rule.bound {
                Bound::Min(_) => "even if all passed",
                Bound::Max(_) => "even if none passed",
                Bound::MaxDrop(_) | Bound::MaxIncrease(_) => "even if none changed sides",
            };
            let (message, hint) = match rule.estimand {
                Estimand::Suite => (
                    format!(
                        "{some} of {} are drawn, which cannot settle that for all of them, {best}: this rule never passes",
                        extent.cases
                    ),
                    "draw more, or ask for what is to be expected of more cases with `estimand: population`",
                ),
                Estimand::Population => (
                    format!(
                        "{some} cannot show that to a gate that looks as results come in, {best}: this rule never passes"
                    ),
                    "demand less, add cases, or look once: without `stop_early`, `max_cases` and `max_repeats`",
                ),
            };
            let at = node.entry(rule.bound.key()).map_or(node.at, |entry| entry.value.at);
            self.warning(at, message).hint = Some(hint.into());
        }
    }
}

/// `400 cases`, and the clusters they come in.
fn within(cases: u64, clusters: Option<u64>) -> String {
    let cases = counted(cases, "case");
    clusters.map_or_else(|| cases.clone(), |clusters| format!("{cases} in {}", counted(clusters, "cluster")))
}
