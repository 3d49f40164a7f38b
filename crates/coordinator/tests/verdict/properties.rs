//! What holds of any run.

use std::collections::BTreeMap;

use assay_common::gate::Bound;
use assay_common::outcome::Outcome;
use assay_common::reduce::Reducer;
use assay_common::score::Millionths;
use assay_common::verdict::Decision;
use assay_coordinator::verdict::judge;
use assay_store::OutcomeRow;
use proptest::prelude::*;

use crate::fixture::{Run, rule, suite};

/// Two arms of `cases` × `trials`, mostly answered.
fn arms(trials: usize) -> impl Strategy<Value = [String; 2]> {
    let sign = prop_oneof![8 => Just('+'), 4 => Just('-'), 1 => Just('e'), 1 => Just('c'), 1 => Just('.')];
    (1_usize..40).prop_flat_map(move |cases| {
        let arm = proptest::collection::vec(sign.clone(), cases * trials);
        [arm.clone(), arm].prop_map(|arms| arms.map(|arm| arm.into_iter().collect()))
    })
}

/// Two arms of cases that passed, failed or errored, and what the errors could have been; the candidate is as good as
/// the baseline or much worse.
fn completed() -> impl Strategy<Value = ([String; 2], [String; 2])> {
    prop_oneof![Just(1_u32), Just(8)].prop_flat_map(|losses| {
        let answered = prop_oneof![24 => Just("++"), losses => Just("+-"), 1 => Just("-+"), 2 => Just("--")];
        let clean = answered.clone().prop_map(|pair| (pair.to_owned(), pair.to_owned()));
        let spoilt = (answered, 0_u8..3).prop_map(|(truth, which)| {
            let seen = (0..).zip(truth.chars()).map(|(arm, sign)| if arm == which { sign } else { 'e' });
            (seen.collect(), truth.to_owned())
        });
        let pair = prop_oneof![60 => clean, 1 => spoilt];
        proptest::collection::vec(pair, 1..300).prop_map(|pairs: Vec<(String, String)>| {
            let arm = |arm: usize, of: fn(&(String, String)) -> &String| -> String {
                pairs.iter().filter_map(|pair| of(pair).chars().nth(arm)).collect()
            };
            let (seen, truth) = (|arm_of| arm(arm_of, |pair| &pair.0), |arm_of| arm(arm_of, |pair| &pair.1));
            ([seen(0), seen(1)], [truth(0), truth(1)])
        })
    })
}

fn all_rules() -> Vec<assay_common::gate::Rule> {
    let mut sliced = rule("latency_p90_ms", Bound::MaxIncrease, 0.5);
    sliced.slice.insert("language".into(), "de".into());
    vec![
        rule("pass_rate", Bound::Min, 0.7),
        rule("routing", Bound::Max, 0.7),
        rule("pass_rate", Bound::MaxDrop, 0.05),
        rule("mean_score", Bound::MaxDrop, 0.05),
        rule("cost_per_case_usd", Bound::MaxIncrease, 0.05),
        sliced,
    ]
}

proptest! {
    #[test]
    fn sums_are_those_of_a_second_computation(arms in arms(2)) {
        let mut suite = suite(2, vec![]);
        (suite.repeats, suite.reduce) = (2, Reducer::Median);
        let run = Run::new(suite, &[&arms[0], &arms[1]]);
        let aggregate = run.aggregate();
        let values: Vec<_> = (0..2).map(|variant| values(&run.rows, variant)).collect();
        for (report, (values, variant)) in aggregate.variants.iter().zip(values.iter().zip(0..)) {
            prop_assert_eq!(report.cases, values.len() as u64);
            let mean = values.values().sum::<f64>() / values.len() as f64;
            prop_assert!(report.pass_rate.map_or(values.is_empty(), |rate| (rate - mean).abs() < 1e-12));
            let count = |wanted: fn(Outcome) -> bool| {
                run.rows.iter().filter(|row| row.variant == variant && wanted(row.outcome)).count() as u64
            };
            prop_assert_eq!(report.passed, count(|outcome| outcome == Outcome::Passed));
            prop_assert_eq!(report.failed, count(|outcome| outcome == Outcome::Failed));
            prop_assert_eq!(report.cancelled, count(|outcome| outcome == Outcome::Cancelled));
            prop_assert_eq!(report.errored, count(|outcome| outcome.error_kind().is_some()));
            prop_assert_eq!(report.jobs, run.suite.dataset.cases * 2);
        }
        let both = values[0].iter().filter_map(|(case, old)| Some((case, *old, *values[1].get(case)?)));
        let both: Vec<_> = both.collect();
        let flips = &aggregate.flips[0];
        let count = |wanted: fn(f64, f64) -> bool| both.iter().filter(|(_, a, b)| wanted(*a, *b)).count() as u64;
        prop_assert_eq!(flips.improved, count(|old, new| new > old));
        prop_assert_eq!(flips.regressed, count(|old, new| new < old));
        prop_assert_eq!(flips.compared(), both.len() as u64);
        let named: Vec<_> = flips.first_regressed.iter().map(|flip| flip.position).collect();
        let fell = both.iter().filter(|(_, old, new)| new < old).map(|(case, ..)| **case);
        prop_assert_eq!(named, fell.take(10).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_of_units_and_of_jobs_in_a_case_does_not_matter(
        arms in arms(2),
        size in 1_u64..4,
        keys in proptest::collection::vec(any::<u32>(), 40),
    ) {
        let mut suite = suite(2, all_rules());
        suite.repeats = 2;
        let run = Run::new(suite, &[&arms[0], &arms[1]]).clustered(size);
        let mut shuffled: Vec<&OutcomeRow> = run.rows.iter().collect();
        let key = |index: u64| keys[usize::try_from(index).unwrap() % keys.len()];
        // By cluster in any order, then by case in any order, then backwards.
        shuffled.sort_by_key(|row| {
            let cluster = row.position / size;
            (key(cluster), cluster, key(row.position), row.position, u64::MAX - row.ordinal)
        });
        let (one, other) = (run.aggregate(), run.aggregate_rows(shuffled));
        prop_assert_eq!((&one.variants, &one.flips), (&other.variants, &other.flips));
        let judged = |aggregate| judge(&run.suite, aggregate, true, &[]);
        prop_assert_eq!(judged(&one), judged(&other));
    }

    #[test]
    fn what_errors_could_have_been_never_changes_a_decision((seen, truth) in completed(), index in 0_usize..4) {
        let judged = [
            rule("pass_rate", Bound::Min, 0.85),
            rule("routing", Bound::Max, 0.85),
            rule("pass_rate", Bound::MaxDrop, 0.02),
            rule("pass_rate", Bound::MaxDrop, 0.1),
        ][index].clone();
        let outcome = |arms: &[String; 2]| Run::new(suite(2, vec![judged.clone()]), &[&arms[0], &arms[1]]).outcome();
        match outcome(&seen) {
            Decision::Inconclusive => {}
            decided => prop_assert_eq!(outcome(&truth), decided),
        }
    }
}

/// The median of two trials by case, of cases whose trials were all scored.
fn values(rows: &[OutcomeRow], variant: u32) -> BTreeMap<u64, f64> {
    let mut trials: BTreeMap<u64, Vec<Outcome>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.variant == variant) {
        trials.entry(row.position).or_default().push(row.outcome);
    }
    let scored = |outcome: &Outcome| matches!(outcome, Outcome::Passed | Outcome::Failed);
    trials
        .into_iter()
        .filter(|(_, trials)| trials.len() == 2 && trials.iter().all(scored))
        .map(|(case, trials)| {
            let passed = trials.iter().filter(|outcome| **outcome == Outcome::Passed).count();
            (case, Millionths::from_f64(passed as f64 / 2.0).unwrap().as_f64())
        })
        .collect()
}
