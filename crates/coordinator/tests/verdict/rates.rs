//! Rules on a rate of the candidate's own: this suite's, or the one to be expected.

use assay_common::gate::{Bound, Estimand};
use assay_common::verdict::Decision::{Fail, Inconclusive, Pass};

use crate::fixture::{Run, rule, signs, suite};

#[test]
fn a_rate_is_held_against_its_bound_exactly_with_errors_at_their_worst() {
    let check =
        |metric: &str, bound: (fn(_) -> Bound, f64), answers: &[(&str, usize)], expected, reason: &str| {
            let run = Run::new(suite(1, vec![rule(metric, bound.0, bound.1)]), &[&signs(answers)]);
            let verdict = run.first_rule();
            assert_eq!((verdict.outcome, verdict.reason.as_str()), (expected, reason));
            assert_eq!(verdict.threshold, bound.1);
        };
    let min = |amount| (Bound::Min as fn(_) -> _, amount);
    let max = |amount| (Bound::Max as fn(_) -> _, amount);
    check("pass_rate", min(0.9), &[("+", 9), ("-", 1)], Pass, "0.9 is at least 0.9");
    check("pass_rate", min(0.92), &[("+", 477), ("-", 23)], Pass, "0.954 is at least 0.92");
    check("pass_rate", min(0.9), &[("+", 8999), ("-", 1001)], Fail, "0.8999 is below 0.9");
    check(
        "pass_rate",
        min(0.9),
        &[("+", 95), ("-", 2), ("e", 3)],
        Pass,
        "0.95 is at least 0.9 with 3 errored cases counted as 0",
    );
    check(
        "pass_rate",
        min(0.9),
        &[("+", 85), ("-", 14), ("e", 1)],
        Fail,
        "0.86 is below 0.9 with 1 errored case counted as 1",
    );
    check(
        "pass_rate",
        min(0.9),
        &[("+", 89), ("-", 9), ("e", 2)],
        Inconclusive,
        "the rate lies between 0.89 and 0.91, depending on 2 errored cases: too wide for 0.9",
    );
    check("pass_rate", max(0.1), &[("+", 1), ("-", 9)], Pass, "0.1 is at most 0.1");
    check("pass_rate", max(0.1), &[("+", 2), ("-", 8)], Fail, "0.2 is above 0.1");
    check(
        "pass_rate",
        max(0.1),
        &[("+", 1), ("-", 8), ("e", 1)],
        Inconclusive,
        "the rate lies between 0.1 and 0.2, depending on 1 errored case: too wide for 0.1",
    );
    check("mean_score", min(0.5), &[("+", 1), ("-", 1)], Pass, "0.5 is at least 0.5");
    check("routing", min(0.6), &[("+", 1), ("-", 1)], Fail, "0.5 is below 0.6");
    check("tone", min(0.6), &[("+", 2)], Inconclusive, "no case was scored for `tone`");
    check("pass_rate", min(0.0), &[("e", 2)], Inconclusive, "no case was scored");
    check(
        "pass_rate",
        (Bound::MaxDrop, 0.02),
        &[("+", 2)],
        Inconclusive,
        "`max_drop` needs a baseline to compare with",
    );
}

#[test]
fn thirds_add_up_exactly() {
    // 17 + 3 · ⅓ = 18 of 20.
    let mut thrice = suite(1, vec![rule("pass_rate", Bound::Min, 0.9)]);
    thrice.repeats = 3;
    let answers = signs(&[("+++", 17), ("+--", 3)]);
    assert_eq!(Run::new(thrice, &[&answers]).outcome(), Pass);
}

#[test]
fn the_evidence_of_a_rate() {
    let rule_of = |run: Run| run.first_rule();
    let answers = signs(&[("+", 24)]);
    let whole = rule_of(Run::new(suite(1, vec![rule("pass_rate", Bound::Min, 0.5)]), &[&answers]));
    let clustered =
        rule_of(Run::new(suite(1, vec![rule("pass_rate", Bound::Min, 0.5)]), &[&answers]).clustered(4));
    assert_eq!((whole.n, whole.observed), (24, Some(1.0)));
    assert_eq!((clustered.n, clustered.observed), (6, Some(1.0)));
    // Wilson's lower bound for n of n is n / (n + z²).
    let lower = |n: f64| n / (n + 1.959_963_984_540_054_f64.powi(2));
    assert!((whole.interval.unwrap()[0] - lower(24.0)).abs() < 1e-12);
    assert!((clustered.interval.unwrap()[0] - lower(6.0)).abs() < 1e-12, "24 of 24 in 6 documents is 6 of 6");
}

/// Without a failure nothing says how much cases of a cluster have to do with one another, so each cluster counts once; failures
/// that are spread evenly say so, and validation must not call such a rule one that never passes.
#[test]
fn failures_spread_over_clusters_may_show_more_than_none() {
    let mut asked = rule("pass_rate", Bound::Min, 0.9);
    asked.estimand = Estimand::Population;
    let check = |answers: &str, expected, low: &str| {
        let verdict = Run::new(suite(1, vec![asked.clone()]), &[answers]).clustered(40).first_rule();
        assert_eq!((verdict.outcome, verdict.n), (expected, 20), "{verdict:?}");
        assert!(verdict.reason.contains(low), "{}", verdict.reason);
    };
    check(&"+".repeat(800), Inconclusive, "from 0.861 to 1");
    check(&signs(&[("+", 37), ("-", 3)]).repeat(20), Pass, "at least 0.908");
    // In whole clusters they tell no more than one case of each.
    check(&signs(&[("+", 760), ("-", 40)]), Inconclusive, "too wide for 0.9");
}

#[test]
fn the_estimand_says_what_the_number_stands_for() {
    let check =
        |metric: &str, bound: (fn(_) -> Bound, f64), estimand, arms: &[&str], expected, reason: &str| {
            let mut asked = rule(metric, bound.0, bound.1);
            asked.estimand = estimand;
            let verdict = Run::new(suite(arms.len(), vec![asked]), arms).first_rule();
            assert_eq!((verdict.outcome, verdict.reason.as_str()), (expected, reason));
        };
    let (min, max) = ((Bound::Min as fn(_) -> _, 0.9), (Bound::Max as fn(_) -> _, 0.1));
    let answers = |passed, failed, errored| signs(&[("+", passed), ("-", failed), ("e", errored)]);
    check(
        "pass_rate",
        min,
        Estimand::Population,
        &[&answers(190, 10, 0)],
        Pass,
        "more cases like these would have at least 0.918 with 95 % confidence, held against 0.9; observed 0.95 on 200 cases",
    );
    check(
        "pass_rate",
        min,
        Estimand::Population,
        &[&answers(92, 8, 0)],
        Inconclusive,
        "more cases like these would have from 0.864 to 0.954, each end with 95 % confidence: too wide for 0.9; observed 0.92 on 100 cases; some 510 more cases like these would decide",
    );
    check(
        "pass_rate",
        min,
        Estimand::Population,
        &[&answers(150, 50, 1)],
        Fail,
        "more cases like these would have at most 0.798 with 95 % confidence, held against 0.9; observed 0.75 on 200 cases, with 1 errored case counted as the worst for either side",
    );
    check(
        "pass_rate",
        max,
        Estimand::Population,
        &[&answers(1, 99, 0)],
        Pass,
        "more cases like these would have at most 0.0436 with 95 % confidence, held against 0.1; observed 0.01 on 100 cases",
    );
    // Ten of ten: not below 0.05 to the power of 1/10.
    check(
        "pass_rate",
        min,
        Estimand::Population,
        &[&answers(10, 0, 0)],
        Inconclusive,
        "more cases like these would have from 0.741 to 1, each end with 95 % confidence: too wide for 0.9; observed 1 on 10 cases; some 19 more cases like these would decide",
    );
    let drop = (Bound::MaxDrop as fn(_) -> _, 0.02);
    let baseline = "+".repeat(100);
    check(
        "pass_rate",
        drop,
        Estimand::Suite,
        &[&baseline, &answers(98, 2, 0)],
        Pass,
        "this suite's own difference of −2 points is within the 2 allowed",
    );
    check(
        "pass_rate",
        drop,
        Estimand::Suite,
        &[&baseline, &answers(97, 3, 0)],
        Fail,
        "this suite's own difference of −3 points is beyond the 2 allowed",
    );
    check(
        "pass_rate",
        drop,
        Estimand::Suite,
        &[&baseline, &answers(98, 1, 1)],
        Pass,
        "this suite's own difference of −2 points is within the 2 allowed with 1 errored case at the worst",
    );
    check(
        "pass_rate",
        drop,
        Estimand::Suite,
        &[&baseline, &answers(97, 2, 1)],
        Inconclusive,
        "this suite's own difference lies between −3 and −1 points, depending on 1 errored case: too wide for the 2 allowed",
    );
}

#[test]
fn a_slice_is_judged_by_itself() {
    let sliced = |metric: &str, bound: fn(_) -> _, amount, language: &str| {
        let mut rule = rule(metric, bound, amount);
        rule.estimand = if metric == "pass_rate" { rule.estimand } else { Estimand::Suite };
        rule.slice.insert("language".into(), language.into());
        rule
    };
    let run = |rule| Run::new(suite(2, vec![rule]), &["+-+-+-", "+-+++-"]);
    let check = |rule, expected, observed: Option<f64>, n| {
        let verdict = run(rule).first_rule();
        assert_eq!((verdict.outcome, verdict.observed, verdict.n), (expected, observed, n));
    };
    check(sliced("pass_rate", Bound::Min, 1.0, "de"), Pass, Some(1.0), 3);
    check(sliced("pass_rate", Bound::Min, 1.0, "en"), Fail, Some(1.0 / 3.0), 3);
    check(sliced("pass_rate", Bound::Min, 1.0, "fr"), Inconclusive, None, 0);
    // Positions 0, 2 and 4 take 2, 6 and 10 microseconds under the candidate, half of it under the baseline.
    check(sliced("latency_p50_ms", Bound::Max, 0.006, "de"), Pass, Some(0.006), 3);
    check(sliced("latency_p51_ms", Bound::Max, 0.006, "en"), Fail, Some(0.008), 3);
    check(sliced("latency_p50_ms", Bound::MaxIncrease, 1.0, "de"), Pass, Some(1.0), 3);
    check(sliced("cost_per_case_usd", Bound::Max, 6e-9, "de"), Pass, Some(6e-9), 3);
    let fr = run(sliced("pass_rate", Bound::MaxDrop, 0.1, "fr")).first_rule();
    assert_eq!(fr.reason, "no case with language = fr was scored under both versions");
}

#[test]
fn a_rule_has_the_keys_of_the_contract_and_null_for_what_is_not_said() {
    let rule = Run::new(suite(1, vec![rule("latency_p95_ms", Bound::Max, 1.0)]), &["e"]).first_rule();
    let json = serde_json::to_value(&rule).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let contract = "name metric model slice tier outcome observed threshold interval n reason model_label needed detectable";
    assert_eq!(keys, contract.split_whitespace().collect::<Vec<_>>());
    for unknown in ["slice", "observed", "interval", "needed", "detectable"] {
        assert!(json[unknown].is_null(), "{unknown}: {}", json[unknown]);
    }
}
