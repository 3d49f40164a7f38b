//! The gate of a frozen suite: rules that can be judged.

use std::collections::HashSet;

use assay_common::gate::{Bound, Gate, Metric};
use assay_common::suite::Suite;
use assay_common::visible::is_one_line;

use super::super::layout::MAX_REPEATS;
use super::Objections;

pub(super) fn gate(gate: &Gate, suite: &Suite, objections: &mut Objections) {
    let confidence = gate.confidence.as_f64();
    if confidence <= 0.5 || confidence >= 1.0 {
        objections.add("gate.confidence", "a confidence lies above 0.5 and below 1");
    }
    if gate.max_error_rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate.as_f64())) {
        objections.add("gate.max_error_rate", "a rate lies between 0 and 1");
    }
    if let (Some(most), Some(least)) = (gate.max_cases, gate.min_cases)
        && most < least
    {
        objections.add("gate.max_cases", format!("{most} is fewer than the {least} of `min_cases`"));
    }
    if gate.max_cases == Some(0) || gate.max_repeats.is_some_and(|most| !(1..=MAX_REPEATS).contains(&most)) {
        objections.add("gate", format!("topping up draws at least 1 case and 1 to {MAX_REPEATS} trials"));
    }
    if gate.rules.is_empty() {
        objections.add("gate.rules", "there is no rule");
    }
    let metrics: HashSet<_> = suite.scorers.iter().filter_map(|scorer| scorer.metric.as_deref()).collect();
    let mut names = HashSet::new();
    for (index, rule) in gate.rules.iter().enumerate() {
        let place = format!("gate.rules[{index}]");
        if rule.name.is_empty() || !is_one_line(&rule.name) {
            objections.add(&place, "a rule's name is one line");
        }
        if !names.insert(&rule.name) {
            objections.add(&place, format!("the name `{}` is taken by an earlier rule", rule.name));
        }
        match &rule.metric {
            Metric::Named(name) if !metrics.contains(name.as_str()) => {
                objections.add(&place, format!("no scorer has the metric `{name}`"));
            }
            Metric::Latency(percent) if !(1..=99).contains(percent) => {
                objections.add(&place, "a quantile of latency is a percentage from 1 to 99");
            }
            _ => {}
        }
        if rule.bound.compares() && suite.prompts.len() < 2 && gate.nothing_live.is_none() {
            let key = rule.bound.key();
            objections.add(&place, format!("`{key}` compares with a baseline, and a sole prompt has none"));
        }
        let better = rule.metric.higher_is_better();
        let wrong_way = match rule.bound {
            Bound::MaxDrop(_) | Bound::Min(_) => !better,
            Bound::MaxIncrease(_) => better,
            Bound::Max(_) => false,
        };
        if wrong_way {
            let key = rule.bound.key();
            objections.add(&place, format!("`{key}` would not guard `{}`", rule.metric));
        }
        let amount = rule.bound.amount().as_f64();
        if amount < 0.0 || (better && amount > 1.0) {
            objections.add(&place, format!("{amount} is no bound of `{}`", rule.metric));
        }
    }
}
