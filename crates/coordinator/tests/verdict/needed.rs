//! What it would take to decide: with as many more cases like those seen a rule does decide, and with half as many it does not.

use assay_common::gate::{Bound, Estimand, Rule};
use assay_common::money::NanoUsd;
use assay_common::verdict::Decision::{self, Inconclusive, Pass};
use assay_common::verdict::RuleVerdict;

use crate::fixture::{Run, rule, suite};

fn expected(metric: &str, bound: fn(assay_common::gate::Amount) -> Bound, amount: f64) -> Rule {
    Rule { estimand: Estimand::Population, ..rule(metric, bound, amount) }
}

/// Holds `judged`, by the number of cases, to what it says of so few.
fn check(judged: impl Fn(u64) -> RuleVerdict, few: u64, expected: Decision) {
    let verdict = judged(few);
    assert_eq!(verdict.outcome, Inconclusive, "{}", verdict.reason);
    let more = verdict.needed.unwrap();
    assert!(verdict.reason.contains(" like these would decide"), "{}", verdict.reason);
    // As many as make the same mean as before.
    let even = |more: u64| few + more / 30 * 30;
    let enough = judged(even(more + 30));
    assert_eq!(enough.outcome, expected, "{more} more: {}", enough.reason);
    assert_eq!(judged(even(more / 2)).outcome, Inconclusive, "{more} more");
}

#[test]
fn a_rate_to_be_expected_says_what_it_takes() {
    // Every tenth case fails.
    let judged = |bound, amount| {
        move |cases: u64| {
            let answers: String = (0..cases).map(|case| if case % 10 == 9 { '-' } else { '+' }).collect();
            Run::new(suite(1, vec![expected("pass_rate", bound, amount)]), &[&answers]).first_rule()
        }
    };
    check(judged(Bound::Min, 0.85), 100, Pass);
    check(judged(Bound::Max, 0.93), 100, Pass);
    check(judged(Bound::Min, 0.92), 100, Decision::Fail);
    assert_eq!(judged(Bound::Min, 0.9)(100).needed, None, "the truth is at the bound");
    assert_eq!(judged(Bound::Min, 0.5)(100).needed, None, "it is decided");
    // All of so few passed: the bound comes nearer much faster than as a root.
    let judged = |cases: u64| {
        let answers = "+".repeat(usize::try_from(cases).unwrap());
        Run::new(suite(1, vec![expected("pass_rate", Bound::Min, 0.95)]), &[&answers]).first_rule()
    };
    assert_eq!(judged(20).needed, Some(32));
}

#[test]
fn latency_and_cost_say_what_they_take() {
    // Costs and latencies of 80, 100 and 120.
    let judged = |metric: &'static str, amount| {
        move |cases: u64| {
            let answers = "+".repeat(usize::try_from(cases).unwrap());
            let run = Run::new(suite(1, vec![expected(metric, Bound::Max, amount)]), &[&answers]);
            let run = run.with(|row| {
                let size = [80, 100, 120][usize::try_from(row.position % 3).unwrap()];
                (row.cost, row.latency_us) = (Some(NanoUsd(size * 1_000_000)), Some(size * 1_000));
            });
            run.first_rule()
        }
    };
    check(judged("cost_per_case_usd", 0.102), 60, Pass);
    assert_eq!(judged("cost_per_case_usd", 0.102)(1).needed, Some(1), "two that differ show how it varies");
    assert_eq!(judged("latency_p50_ms", 130.0)(40).needed, Some(10), "50 stretches are drawn from");
    // 0.05 = 0.99²⁹⁹.
    let tail = judged("latency_p99_ms", 130.0);
    assert_eq!(tail(200).needed, Some(99));
    assert!(
        tail(200).reason.ends_with("; some 99 more cases like these would decide"),
        "{}",
        tail(200).reason
    );
    assert_eq!(tail(299).outcome, Pass, "{}", tail(299).reason);
}

#[test]
fn too_few_cases_say_how_many_are_missing() {
    let mut demanding = suite(1, vec![rule("pass_rate", Bound::Min, 0.9)]);
    demanding.gate.as_mut().unwrap().min_cases = Some(50);
    let verdict = Run::new(demanding, &[&"+".repeat(30)]).first_rule();
    assert_eq!((verdict.outcome, verdict.needed), (Inconclusive, Some(20)), "{}", verdict.reason);
}

/// Of several rules it takes more to fail one.
#[test]
fn a_failure_that_chance_explains_says_what_would_show_it() {
    let judged = |cases: u64| {
        let answers: String = (0..cases).map(|case| if case % 10 == 9 { '-' } else { '+' }).collect();
        let rules: Vec<_> = (0..10)
            .map(|n| {
                let bound = if n == 0 { 0.95 } else { 0.5 };
                Rule { name: format!("rule {n}"), ..expected("pass_rate", Bound::Min, bound) }
            })
            .collect();
        Run::new(suite(1, rules), &[&answers]).first_rule()
    };
    assert!(judged(100).reason.contains("by chance one of 10 rules may do so"), "{}", judged(100).reason);
    check(judged, 100, Decision::Fail);
}
