//! Rules on latency and cost.

use assay_common::gate::{Bound, Estimand};
use assay_common::verdict::Decision::{Fail, Inconclusive, Pass};

use crate::fixture::{Run, rule, suite};

#[test]
fn latency_and_cost_are_the_runs_own_numbers() {
    // Ten cases of 1 to 10 units under the baseline, twice that under the candidate.
    let check =
        |metric: &str, bound: (fn(_) -> Bound, f64), expected, observed: Option<f64>, reason: &str| {
            let mut own = rule(metric, bound.0, bound.1);
            own.estimand = Estimand::Suite;
            let run = Run::new(suite(2, vec![own]), &["++++++++++", "+-+-+-+-+-"]);
            let verdict = run.with(|row| {
                row.latency_us = row.latency_us.map(|micros| micros * 1_000);
                row.cost = row.cost.map(|cost| assay_common::money::NanoUsd(cost.0 * 1_000_000));
            });
            let verdict = verdict.first_rule();
            assert_eq!((verdict.outcome, verdict.observed), (expected, observed), "{}", verdict.reason);
            assert_eq!((verdict.reason.as_str(), verdict.n), (reason, 10));
        };
    let max = |amount| (Bound::Max as fn(_) -> _, amount);
    let increase = |amount| (Bound::MaxIncrease as fn(_) -> _, amount);
    check("latency_p95_ms", max(20.0), Pass, Some(20.0), "20 ms is at most 20 ms");
    check("latency_p50_ms", max(9.5), Fail, Some(10.0), "10 ms is above 9.5 ms");
    check(
        "latency_p95_ms",
        increase(1.0),
        Pass,
        Some(1.0),
        "20 ms is 100 % above the baseline's 10 ms; 100 % more is allowed",
    );
    check(
        "latency_p95_ms",
        increase(0.1),
        Fail,
        Some(1.0),
        "20 ms is 100 % above the baseline's 10 ms; 10 % more is allowed",
    );
    check("cost_per_case_usd", max(0.011), Pass, Some(0.011), "0.011 US dollars is at most 0.011 US dollars");
    check("cost_per_case_usd", max(0.01), Fail, Some(0.011), "0.011 US dollars is above 0.01 US dollars");
    check(
        "cost_per_case_usd",
        increase(0.999),
        Fail,
        Some(1.0),
        "0.011 US dollars is 100 % above the baseline's 0.0055 US dollars; 99.9 % more is allowed",
    );
    let unknown = |metric: &str, bound: fn(_) -> Bound, variant: u32, reason: &str| {
        let run = Run::new(suite(2, vec![rule(metric, bound, 1.0)]), &["++", "++"]).with(|row| {
            if row.variant == variant {
                (row.cost, row.latency_us) = (None, None);
            }
        });
        let verdict = run.first_rule();
        assert_eq!((verdict.outcome, verdict.reason.as_str()), (Inconclusive, reason));
    };
    unknown("cost_per_case_usd", Bound::Max, 1, "the cost is not known");
    unknown("latency_p50_ms", Bound::MaxIncrease, 1, "the latency is not known");
    unknown("latency_p50_ms", Bound::MaxIncrease, 0, "the baseline's latency is not known");
    unknown("cost_per_case_usd", Bound::MaxDrop, 0, "`max_drop` is not defined for cost");
}

#[test]
fn latency_and_cost_to_be_expected_are_bounded_by_what_they_vary() {
    // Under the candidate every call takes and costs twice as much, give or take a tenth from case to case.
    let judged = |metric: &str, bound: (fn(_) -> Bound, f64), cases: usize| {
        let mut expected = rule(metric, bound.0, bound.1);
        expected.estimand = Estimand::Population;
        let answers = "+".repeat(cases);
        let run = Run::new(suite(2, vec![expected]), &[&answers, &answers]).with(|row| {
            let wavers = [90, 100, 110][usize::try_from(row.position % 3).unwrap()];
            let size = if row.variant == 0 { 100 } else { 2 * wavers };
            row.latency_us = Some(size * 1_000);
            row.cost = Some(assay_common::money::NanoUsd(size * 1_000_000));
        });
        run.first_rule()
    };
    let check = |metric: &str, bound, cases, expected, part: &str| {
        let verdict = judged(metric, bound, cases);
        assert_eq!(verdict.outcome, expected, "{}", verdict.reason);
        assert!(verdict.reason.contains(part), "{}", verdict.reason);
    };
    let max = |amount| (Bound::Max as fn(_) -> _, amount);
    let increase = |amount| (Bound::MaxIncrease as fn(_) -> _, amount);
    check(
        "cost_per_case_usd",
        increase(1.02),
        300,
        Pass,
        "at most 101.6 % with 95 % confidence, within the 102 % allowed",
    );
    check("cost_per_case_usd", increase(0.5), 300, Fail, "beyond the 50 % allowed");
    check("cost_per_case_usd", increase(1.0), 300, Inconclusive, "too wide for the 100 % allowed");
    check("cost_per_case_usd", max(0.21), 300, Pass, "within the 0.21 US dollars allowed");
    check("cost_per_case_usd", increase(1.0), 1, Inconclusive, "1 case is too few to show how cost varies");
    let [low, high] = judged("cost_per_case_usd", increase(1.0), 300).interval.unwrap();
    assert!(low < 1.0 && high > 1.0 && high - low < 0.05, "{low} {high}");
    check("latency_p50_ms", increase(1.3), 300, Pass, "within the 130 % allowed");
    check("latency_p50_ms", increase(0.5), 300, Fail, "beyond the 50 % allowed");
    check("latency_p95_ms", max(230.0), 300, Pass, "within the 230 ms allowed");
    check("latency_p50_ms", increase(1.3), 40, Inconclusive, "fewer than 50 cases");
    check("latency_p99_ms", max(1e3), 200, Inconclusive, "200 calls have no upper bound of their p99");
}

#[test]
fn what_costs_nothing_costs_no_more_than_nothing() {
    let free = |paid: i64| {
        let run = Run::new(suite(2, vec![rule("cost_per_case_usd", Bound::MaxIncrease, 0.1)]), &["+", "+"]);
        let run =
            run.with(|row| row.cost = Some(assay_common::money::NanoUsd(paid * i64::from(row.variant))));
        let verdict = run.first_rule();
        (verdict.outcome, verdict.observed)
    };
    assert_eq!(free(0), (Pass, Some(0.0)));
    assert_eq!(free(1), (Fail, None));
}
