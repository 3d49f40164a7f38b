//! Rules, and what they come to.

use assay_common::gate::{Bound, Estimand, Tier};
use assay_common::reduce::Reducer;
use assay_common::score::{Millionths, NamedScore};
use assay_common::scorer::Scorer;
use assay_common::verdict::Decision::{self, Fail, Inconclusive, Pass};
use assay_coordinator::verdict::judge;

use crate::fixture::{Run, model, rule, suite};

fn signs(parts: &[(&str, usize)]) -> String {
    parts.iter().map(|(sign, times)| sign.repeat(*times)).collect()
}

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
        "more cases like these would have from 0.864 to 0.954, each end with 95 % confidence: too wide for 0.9; observed 0.92 on 100 cases",
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
        "more cases like these would have from 0.741 to 1, each end with 95 % confidence: too wide for 0.9; observed 1 on 10 cases",
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
fn an_inconclusive_drop_says_what_it_would_take() {
    let judged = |cases: usize, lost: usize| {
        let candidate = signs(&[("-", lost), ("+", cases - lost)]);
        Run::new(suite(2, vec![rule("pass_rate", Bound::MaxDrop, 0.02)]), &[&"+".repeat(cases), &candidate])
            .first_rule()
    };
    // With one loss in a hundred it takes as many more as it says, and not half of them.
    let verdict = judged(100, 1);
    let more = usize::try_from(verdict.needed.unwrap()).unwrap();
    assert_eq!(verdict.outcome, Inconclusive);
    assert_eq!(judged(100 + more, (100 + more) / 100).outcome, Pass, "{more} more");
    assert_eq!(judged(100 + more / 2, (100 + more / 2) / 100).outcome, Inconclusive, "{more} more");
    assert!(verdict.detectable.unwrap() > 0.02, "{:?}", verdict.detectable);
    // Just at the margin no number helps, and what is decided needs none.
    assert_eq!(judged(1_000, 20).needed, None);
    assert_eq!((judged(400, 0).outcome, judged(400, 0).needed), (Pass, None));
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
fn a_drop_of_binary_cases_is_tested_by_tango() {
    let check =
        |baseline: &[(&str, usize)], candidate: &[(&str, usize)], expected: Decision, reason: &str| {
            let rules = vec![rule("pass_rate", Bound::MaxDrop, 0.02)];
            let run = Run::new(suite(2, rules), &[&signs(baseline), &signs(candidate)]);
            let verdict = run.first_rule();
            assert_eq!(verdict.outcome, expected, "{}", verdict.reason);
            assert_eq!(verdict.reason, reason);
        };
    check(
        &[("+", 133)],
        &[("+", 133)],
        Pass,
        "a drop of more than 2 points is ruled out: observed 0 points, at least −1.99 points with 95 % confidence on 133 cases",
    );
    check(
        &[("+", 132)],
        &[("+", 132)],
        Inconclusive,
        "a drop of more than 2 points cannot be ruled out: observed 0 points, from −2.01 to 2.01 points, each end with 95 % confidence, on 132 cases; 1 more case like these would decide",
    );
    check(
        &[("+", 100)],
        &[("+", 80), ("-", 20)],
        Fail,
        "a drop of more than 2 points is shown: observed −20 points, at most −14.3 points with 95 % confidence on 100 cases",
    );
    // Five losses in a hundred are just enough to show it; an error is a gain until it is known to be none.
    let five = "a drop of more than 2 points is shown: observed −5 points, at most −2.23 points with 95 % confidence on 100 cases";
    check(&[("+", 100)], &[("+", 95), ("-", 5)], Fail, five);
    check(
        &[("+", 101)],
        &[("+", 95), ("-", 5), ("e", 1)],
        Inconclusive,
        "a drop of more than 2 points cannot be ruled out: observed −5 points, from −11.1 to 0.0365 points, each end with 95 % confidence, on 100 cases, with 1 errored case counted as the worst for either side; some 270 more cases like these would decide",
    );
    // 133 pairs are just enough; an error in either arm is a loss until it is known to be none.
    check(
        &[("+", 133)],
        &[("+", 132), ("e", 1)],
        Inconclusive,
        "a drop of more than 2 points cannot be ruled out: observed 0 points, from −3.3 to 3.3 points, each end with 95 % confidence, on 132 cases, with 1 errored case counted as the worst for either side; some 210 more cases like these would decide",
    );
    check(
        &[("e", 1), ("+", 500)],
        &[("+", 501)],
        Pass,
        "a drop of more than 2 points is ruled out: observed 0 points, at least −0.89 points with 95 % confidence on 500 cases, with 1 errored case counted as the worst for either side",
    );
}

#[test]
fn a_drop_in_clusters_counts_clusters() {
    let check = |answers: [&str; 2], size, expected: Decision, n, reason: &str| {
        let rules = vec![rule("pass_rate", Bound::MaxDrop, 0.02)];
        let verdict = Run::new(suite(2, rules), &answers).clustered(size).first_rule();
        assert_eq!((verdict.outcome, verdict.n), (expected, n), "{}", verdict.reason);
        assert!(verdict.reason.contains(reason), "{}", verdict.reason);
    };
    let all = "+".repeat(1_340);
    check(
        [&all, &all],
        10,
        Pass,
        134,
        "is ruled out: observed 0 points, at least −1.98 points with 95 % confidence on 134 clusters",
    );
    check([&all, &all], 20, Inconclusive, 67, "cannot be ruled out");
    check([&all, &"-".repeat(1_340)], 20, Fail, 67, "is shown: observed −100 points");
    // Every cluster gains one and loses one: no spread between them, and yet not alike.
    let (one, other) = ("+-".repeat(50), "-+".repeat(50));
    check([&one, &other], 2, Inconclusive, 50, "all 50 clusters differ by the same");
    check(["++", "+-"], 2, Inconclusive, 1, "a single cluster shows no spread");
    // An errored case spoils its whole cluster: 221 clean ones beside it are enough, 220 are not.
    let (enough, less) = ("+".repeat(444), "+".repeat(442));
    let spoilt = |clean: &str| format!("e{}", &clean[1..]);
    check([&enough, &spoilt(&enough)], 2, Pass, 222, "with 1 errored case counted as the worst");
    check([&less, &spoilt(&less)], 2, Inconclusive, 221, "with 1 errored case counted as the worst");
}

#[test]
fn a_drop_of_means_is_tested_by_student_t() {
    // 60 cases of three trials; a fifth of the candidate's lose one trial, a tenth gain one.
    let baseline = signs(&[("++-", 60)]);
    let candidate = signs(&[("+--", 12), ("+++", 6), ("++-", 42)]);
    let judged = |margin, errors: usize| {
        let mut thrice = suite(2, vec![rule("pass_rate", Bound::MaxDrop, margin)]);
        thrice.repeats = 3;
        let arms = [&baseline, &candidate].map(|arm| format!("{arm}{}", "+e+".repeat(errors)));
        Run::new(thrice, &[&arms[0], &arms[1]]).first_rule()
    };
    let verdict = |margin| judged(margin, 0);
    // By hand: d is −⅓ twelve times, +⅓ six times, 0 else.
    let (n, mean) = (60.0_f64, -6.0 / 3.0 / 60.0);
    let variance = (18.0 / 9.0 - n * mean * mean) / (n - 1.0);
    let error = (variance / n).sqrt();
    let (t95, t975) = (1.671_093, 2.000_995); // Student's t with 59 degrees of freedom
    let near = verdict(0.05);
    assert!((near.observed.unwrap() - mean).abs() < 1e-12);
    let [low, high] = near.interval.unwrap();
    assert!((low - (mean - t975 * error)).abs() < 1e-6 && (high - (mean + t975 * error)).abs() < 1e-6);
    let edge = t95 * error - mean;
    assert_eq!(verdict(edge + 1e-5).outcome, Pass);
    assert_eq!(verdict(edge - 1e-5).outcome, Inconclusive);
    assert_eq!(near.outcome, Inconclusive);
    assert_eq!(judged(edge + 1e-5, 1).outcome, Inconclusive, "one error could be a loss");
    // A drop of more than nothing at all is shown when the same ratio holds for more cases, unless as many more
    // errors could make up for it.
    let mut many = suite(2, vec![rule("mean_score", Bound::MaxDrop, 0.0)]);
    many.repeats = 3;
    let arms = [baseline.repeat(10), candidate.repeat(10)];
    assert_eq!(Run::new(many.clone(), &[&arms[0], &arms[1]]).outcome(), Fail);
    let arms = arms.map(|arm| arm + &"e++".repeat(20));
    assert_eq!(Run::new(many, &[&arms[0], &arms[1]]).outcome(), Inconclusive);
    // Identical answers: no spread, but 2.5 says how far to trust that.
    let mut same = suite(2, vec![rule("pass_rate", Bound::MaxDrop, 0.02)]);
    same.repeats = 3;
    let long = signs(&[("++-", 133)]);
    assert_eq!(Run::new(same.clone(), &[&long, &long]).outcome(), Pass);
    assert_eq!(Run::new(same.clone(), &[&baseline, &baseline]).outcome(), Inconclusive);
    // All lower by the same third: certain it may be, measured it is not.
    let lower = signs(&[("+--", 60)]);
    let verdict = Run::new(same, &[&baseline, &lower]).first_rule();
    assert_eq!((verdict.outcome, verdict.interval), (Inconclusive, None));
    assert_eq!(verdict.reason, "all 60 cases differ by the same, which shows no spread to judge by");
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

#[test]
fn a_metric_of_one_binary_scorer_is_tested_like_a_pass_rate() {
    let answers = ["+".repeat(100), signs(&[("+", 95), ("-", 5)])];
    let verdict_of = |metric: &str, change: fn(&mut Scorer), change_score: fn(&mut NamedScore)| {
        let mut suite = suite(2, vec![rule(metric, Bound::MaxDrop, 0.02)]);
        change(&mut suite.scorers[1]);
        let run = Run::new(suite, &[&answers[0], &answers[1]]);
        run.with(|row| change_score(&mut row.scores[1])).first_rule()
    };
    let tango = verdict_of("pass_rate", |_| {}, |_| {});
    let routing = verdict_of("routing", |_| {}, |_| {});
    assert_eq!((routing.outcome, &routing.reason), (Fail, &tango.reason));
    assert_eq!(routing.interval, tango.interval);
    // Two scorers under one name have a mean between, and so has the score of both.
    let named = verdict_of("routing", |scorer| scorer.metric = Some("routing".into()), |_| {});
    assert_ne!(named.interval, tango.interval);
    assert_ne!(verdict_of("mean_score", |_| {}, |_| {}).interval, tango.interval);
    let weightless = verdict_of(
        "mean_score",
        |scorer| scorer.weight = Millionths::ZERO,
        |score| score.weight = Millionths::ZERO,
    );
    assert_eq!(weightless.reason, tango.reason);
}

#[test]
fn means_are_not_rounded_before_they_are_compared() {
    let outcome = |suite, answers: &[&str]| Run::new(suite, answers).outcome();
    let bounds = |metric, bound| vec![rule(metric, Bound::Min, bound)];
    // pass@2 of one in three is 2/3: above 0.666666666, below 0.666666667.
    let chance = |bound| {
        let mut suite = suite(1, bounds("pass_rate", bound));
        (suite.repeats, suite.reduce) = (3, Reducer::PassAt(2));
        outcome(suite, &["+--"])
    };
    assert_eq!((chance(0.666_666_666), chance(0.666_666_667)), (Pass, Fail));
    // Weights of 2 and 1: a score of (2 × 1 + 0.5)/3 is 5/6.
    let weighted = |bound| {
        let mut suite = suite(1, bounds("mean_score", bound));
        suite.scorers[0].weight = Millionths(2_000_000);
        let run = Run::new(suite, &["+"]);
        run.with(|row| {
            row.scores[0].weight = Millionths(2_000_000);
            row.score = Some(Millionths(833_333));
        })
        .outcome()
    };
    assert_eq!((weighted(0.833_333_333), weighted(0.833_333_334)), (Pass, Fail));
    // More ways to draw than 64 bits: as near as values go.
    let mut vast = suite(1, bounds("pass_rate", 1.0));
    (vast.repeats, vast.reduce) = (200, Reducer::PassHat(100));
    assert_eq!(outcome(vast, &[&"+".repeat(200)]), Pass);
}

#[test]
fn binary_reducers_of_trials_are_binary_cases() {
    let mut majority = suite(2, vec![rule("pass_rate", Bound::MaxDrop, 0.02)]);
    (majority.repeats, majority.reduce) = (3, Reducer::Majority);
    let run = Run::new(majority, &[&"+++".repeat(133), &"++-".repeat(133)]);
    assert_eq!(run.outcome(), Pass);
}

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
fn one_of_many_rules_that_fails_by_chance_does_not_fail_a_version() {
    // Seven losses in a hundred show a drop of more than 3 points at 5 %, and not at a tenth of it.
    let judged = |rules: usize, lost: usize| {
        let rules = (0..rules).map(|_| rule("pass_rate", Bound::MaxDrop, 0.03)).collect::<Vec<_>>();
        let mut several = suite(2, rules);
        for (index, rule) in several.gate.as_mut().unwrap().rules.iter_mut().enumerate().skip(1) {
            // The others hold: nothing is lost on their metric.
            rule.metric = assay_common::gate::Metric::parse("tone");
            rule.name = format!("tone {index}");
        }
        let candidate = signs(&[("-", lost), ("+", 100 - lost)]);
        Run::new(several, &[&"+".repeat(100), &candidate]).first_rule()
    };
    assert_eq!(judged(1, 7).outcome, Fail);
    let doubted = judged(10, 7);
    assert_eq!(doubted.outcome, Inconclusive);
    assert!(
        doubted.reason.ends_with("by chance one of 10 rules may do so: this is not enough to fail it"),
        "{}",
        doubted.reason
    );
    assert_eq!(judged(10, 20).outcome, Fail, "what is plain stays plain");
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

#[test]
fn a_run_that_is_not_fit_to_be_judged_is_inconclusive() {
    let check = |answers: [&str; 2], change: fn(&mut assay_common::gate::Gate), reason: &str| {
        let mut rules = vec![rule("pass_rate", Bound::Min, 0.1), rule("pass_rate", Bound::MaxDrop, 0.9)];
        rules[0].tier = Tier::Supporting;
        let mut suite = suite(2, rules);
        change(suite.gate.as_mut().unwrap());
        let verdict = Run::new(suite, &answers).verdict();
        assert_eq!(verdict.outcome, Inconclusive);
        let reasons: Vec<_> = verdict.versions[0].rules.iter().map(|rule| rule.reason.as_str()).collect();
        assert!(reasons.contains(&reason), "{reasons:?}");
    };
    check(["++++", "+++c"], |_| {}, "the run is not complete: 1 of 4 jobs have no result");
    check(["++++", "++.."], |_| {}, "the run is not complete: 2 of 4 jobs have no result");
    let strict = |gate: &mut assay_common::gate::Gate| gate.max_error_rate = Some(Millionths(200_000));
    check(["++++", "+++e"], strict, "1 of 4 jobs errored, more than the 20 % allowed");
    check(["ee++", "++++"], strict, "2 of 8 jobs errored, more than the 20 % allowed");
    let many = |gate: &mut assay_common::gate::Gate| gate.min_cases = Some(4);
    check(["++++", "+++e"], many, "3 cases scored, fewer than the 4 demanded");
    check(["e+++", "++++"], many, "3 cases scored, fewer than the 4 demanded");

    let within = |gate: &mut assay_common::gate::Gate| {
        gate.max_error_rate = Some(Millionths(250_000));
        gate.min_cases = Some(3);
    };
    let mut fit = suite(1, vec![rule("pass_rate", Bound::Min, 0.5)]);
    within(fit.gate.as_mut().unwrap());
    let run = Run::new(fit, &["+++e"]);
    assert_eq!(run.outcome(), Pass, "exactly what is allowed is allowed");
    let cut_off = judge(&run.suite, &run.aggregate(), false, &[None]).unwrap();
    assert_eq!(cut_off.outcome, Inconclusive);
    assert_eq!(cut_off.versions[0].rules[0].reason, "the run is not complete");
    let nothing_decides = Run::new(suite(1, vec![]), &["++c"]);
    assert_eq!(nothing_decides.outcome(), Inconclusive);
}

#[test]
fn tiers_weigh_rules() {
    let check = |tier: Tier, decision: Decision, expected: Decision| {
        let (metric, amount) = match decision {
            Pass => ("pass_rate", 0.5),
            Fail => ("pass_rate", 1.0),
            Inconclusive => ("latency_p50_ms", 1.0),
        };
        let mut judged = rule(metric, Bound::Min, amount);
        judged.tier = tier;
        let run = Run::new(suite(1, vec![judged]), &["+-"]).with(|row| row.latency_us = None);
        assert_eq!(run.first_rule().outcome, decision);
        assert_eq!(run.outcome(), expected, "{tier:?} {decision:?}");
    };
    check(Tier::Critical, Pass, Pass);
    check(Tier::Critical, Fail, Fail);
    check(Tier::Critical, Inconclusive, Inconclusive);
    check(Tier::Supporting, Pass, Pass);
    check(Tier::Supporting, Fail, Fail);
    check(Tier::Supporting, Inconclusive, Pass);
    check(Tier::Advisory, Pass, Pass);
    check(Tier::Advisory, Fail, Pass);
    check(Tier::Advisory, Inconclusive, Pass);
}

#[test]
fn a_version_is_as_good_as_its_worst_model_and_a_run_as_its_worst_version() {
    let mut three = suite(3, vec![rule("pass_rate", Bound::Min, 0.5), rule("routing", Bound::Min, 0.1)]);
    three.models.push(model("two"));
    let run = Run::new(three, &["--", "--", "++", "++", "+-", "--"]);
    let verdict = run.verdict();
    let labels: Vec<_> = verdict.versions.iter().map(|version| version.label.as_str()).collect();
    assert_eq!(labels, ["v1", "v2"], "the baseline is no candidate");
    let outcomes: Vec<_> = verdict.versions.iter().map(|version| version.outcome).collect();
    assert_eq!((outcomes.as_slice(), verdict.outcome), ([Pass, Fail].as_slice(), Fail));
    let rules: Vec<_> = verdict.versions[1]
        .rules
        .iter()
        .map(|rule| (rule.model.as_str(), rule.metric.as_str(), rule.outcome))
        .collect();
    assert_eq!(
        rules,
        [
            ("echo/one", "pass_rate", Pass),
            ("echo/one", "routing", Pass),
            ("echo/two", "pass_rate", Fail),
            ("echo/two", "routing", Fail),
        ]
    );
    assert_eq!(verdict.versions[1].version, Some(3));
    let mut ungated = run.suite;
    ungated.gate = None;
    let ungated = Run::new(ungated, &["--", "--", "++", "++", "+-", "--"]);
    assert_eq!(judge(&ungated.suite, &ungated.aggregate(), true, &[]), None);
}
