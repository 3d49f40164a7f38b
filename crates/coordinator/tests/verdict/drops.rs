//! Rules on a drop against the baseline.

use assay_common::gate::Bound;
use assay_common::reduce::Reducer;
use assay_common::score::{Millionths, NamedScore};
use assay_common::scorer::Scorer;
use assay_common::verdict::Decision::{self, Fail, Inconclusive, Pass};

use crate::fixture::{Run, rule, signs, suite};

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
