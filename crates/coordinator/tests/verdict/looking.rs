//! Gates that look at a run again and again: what they decide, when, and how often they are wrong.

use assay_common::gate::{Amount, Bound, Estimand, Tier};
use assay_common::id::Digest;
use assay_common::outcome::Outcome;
use assay_common::suite::Suite;
use assay_common::verdict::Decision::{self, Fail, Inconclusive, Pass};
use assay_coordinator::order::committed;
use assay_coordinator::verdict::{Aggregation, Quantiles, Ruling, judge};

use crate::first_look::first_look;
use crate::fixture::{Run, aggregation, outcome, row, rule, suite};

/// A rule's metric, its bound, and how much that allows.
type Asked<'a> = (&'a str, fn(Amount) -> Bound, f64);

/// Two prompts under a gate that stops early, with so many cases.
fn looking(bounds: &[Asked<'_>], cases: u64) -> Suite {
    let rules = bounds.iter().map(|(metric, bound, amount)| rule(metric, *bound, *amount)).collect();
    let mut suite = suite(2, rules);
    suite.dataset.cases = cases;
    suite.gate.as_mut().unwrap().stop_early = true;
    suite
}

/// Adds the next case: how it ended under the baseline and under the candidate.
fn push(aggregation: &mut Aggregation<'_>, case: u64, arms: [Outcome; 2]) {
    for (variant, outcome) in (0..).zip(arms) {
        aggregation.push(&row(2 * case + u64::from(variant), case, variant, 1, outcome));
    }
}

fn passed(yes: bool) -> Outcome {
    if yes { Outcome::Passed } else { Outcome::Failed }
}

/// What the gate comes to on cases in this order, and after how many.
fn decided(suite: &Suite, cases: impl IntoIterator<Item = [char; 2]>) -> Option<(Decision, u64)> {
    let mut aggregation = aggregation(suite);
    for (case, arms) in (0..).zip(cases) {
        push(&mut aggregation, case, arms.map(|sign| outcome(sign).unwrap()));
        // As at the end of what was planned: no further job is waited for.
        aggregation.catch_up();
        let ruling = Ruling::of(&aggregation).unwrap();
        if let Some(decision) = ruling.settled {
            assert!(ruling.units <= case + 1);
            return Some((decision, case + 1));
        }
    }
    None
}

#[test]
fn it_decides_as_soon_as_every_rule_has_or_one_has_failed() {
    let drop = ("pass_rate", Bound::MaxDrop as fn(_) -> _, 0.05);
    let least = ("pass_rate", Bound::Min as fn(_) -> _, 0.5);
    let check = |rules: &[_], cases: Vec<[char; 2]>, expected: Option<Decision>, between: [u64; 2]| {
        let found = decided(&looking(rules, 300), cases);
        assert_eq!(found.map(|(decision, _)| decision), expected);
        let after = found.map_or(0, |(_, after)| after);
        assert!(between[0] <= after && after <= between[1], "after {after}");
    };
    check(&[drop], vec![['+', '+']; 300], Some(Pass), [90, 110]);
    check(&[drop], vec![['+', '-']; 300], Some(Fail), [4, 12]);
    check(&[drop, least], vec![['-', '-']; 300], Some(Fail), [4, 40]);
    check(&[drop, least], vec![['+', '+']; 300], Some(Pass), [90, 110]);
    // What never got a result counts at its worst: it neither passes nor fails anything.
    check(&[drop], vec![['+', 'e']; 300], None, [0, 0]);
    check(&[("latency_p50_ms", Bound::Max, 1.0)], vec![['+', '+']; 300], None, [0, 0]);
}

#[test]
fn demands_on_the_run_come_first() {
    let drop = [("pass_rate", Bound::MaxDrop as fn(_) -> _, 0.05)];
    let mut demanding = looking(&drop, 300);
    demanding.gate.as_mut().unwrap().min_cases = Some(200);
    assert_eq!(decided(&demanding, vec![['+', '+']; 300]), Some((Pass, 200)));
    demanding.gate.as_mut().unwrap().max_error_rate = Some(assay_common::score::Millionths(10_000));
    let mostly = (0..300).map(|case| if case % 20 == 0 { ['+', 'e'] } else { ['+', '+'] });
    assert_eq!(decided(&demanding, mostly), None);
}

#[test]
fn a_suites_own_number_is_decided_before_its_end_and_exactly_at_it() {
    let mut own = looking(&[("pass_rate", Bound::Min, 0.9)], 200);
    own.prompts.truncate(1);
    let run = |passes: &dyn Fn(u64) -> bool| {
        let mut aggregation = aggregation(&own);
        for case in 0..200 {
            aggregation.push(&row(case, case, 0, 1, passed(passes(case))));
            aggregation.catch_up();
            if let Some(decision) = Ruling::of(&aggregation).unwrap().settled {
                return (decision, case + 1);
            }
        }
        panic!("a complete suite's own number is known")
    };
    let (decision, after) = run(&|_| true);
    assert!(decision == Pass && after < 100, "{after}");
    let (decision, after) = run(&|case| case % 2 == 0);
    assert!(decision == Fail && after < 40, "{after}");
    // 180 of 200 pass, the failures evenly spread: hardly anything is certain before the end.
    assert_eq!(run(&|case| case % 10 != 9).0, Pass);
}

#[test]
fn only_the_prefix_without_a_gap_counts() {
    let suite = looking(&[("pass_rate", Bound::MaxDrop, 0.05)], 300);
    let mut aggregation = aggregation(&suite);
    for case in (0..300).filter(|case| *case != 50) {
        push(&mut aggregation, case, [Outcome::Passed; 2]);
    }
    let ruling = Ruling::of(&aggregation).unwrap();
    assert_eq!((ruling.settled, ruling.units), (None, 50));
}

/// What is under quarantine is passed over in its place: what comes after it is looked at, and decides a case later.
#[test]
fn what_is_left_out_is_no_gap_and_no_evidence() {
    let suite = looking(&[("pass_rate", Bound::MaxDrop, 0.05)], 300);
    let decided_after = |left_out: &[u64]| {
        let mut aggregation = aggregation(&suite);
        for case in 0..300 {
            for variant in 0..2 {
                let job =
                    row(2 * case + u64::from(variant), case, variant, 1, passed(!left_out.contains(&case)));
                if left_out.contains(&case) { aggregation.leave_out(&job) } else { aggregation.push(&job) }
            }
            if let Some(decision) = Ruling::of(&aggregation).unwrap().settled {
                return (decision, case, Ruling::of(&aggregation).unwrap().units);
            }
        }
        panic!("nothing changes sides in 300 cases")
    };
    let (decision, case, units) = decided_after(&[]);
    assert_eq!(decided_after(&[3, 7, 8]), (decision, case + 3, units));
}

/// What came in with the same look and was not needed is no part of what it took.
#[test]
fn it_says_after_how_many_cases_the_rule_that_settled_it_had_decided() {
    let drop = ("pass_rate", Bound::MaxDrop as fn(_) -> _, 0.05);
    let units = |rules: &[_], min_cases, after: [char; 2]| {
        let mut suite = looking(rules, 300);
        suite.gate.as_mut().unwrap().min_cases = min_cases;
        let mut aggregation = aggregation(&suite);
        for case in 0..200 {
            push(
                &mut aggregation,
                case,
                ['+', after[usize::from(case % 2 == 1)]].map(|sign| outcome(sign).unwrap()),
            );
        }
        let ruling = Ruling::of(&aggregation).unwrap();
        let mut aggregate = aggregation.finish(&Quantiles::default(), &[], 600);
        aggregate.stopped_early = true;
        let verdict = judge(&suite, &aggregate, true, &[]).unwrap();
        let decided = verdict.versions[0].rules.iter().filter(|rule| rule.outcome != Inconclusive);
        (ruling.settled.unwrap(), ruling.units, decided.map(|rule| rule.n).collect::<Vec<_>>())
    };
    // Of the second rule, on half of the cases, nothing is known before the last of them.
    let open = ("pass_rate", Bound::Min as fn(_) -> _, 0.5);
    let (decision, after, decided) = units(&[drop, open], None, ['+', '-']);
    assert_eq!((decision, vec![after]), (Fail, decided));
    assert!(after < 200, "{after}");
    let (decision, after, decided) = units(&[drop], None, ['+', '+']);
    assert_eq!((decision, vec![after]), (Pass, decided));
    let (decision, after, _) = units(&[drop], Some(150), ['+', '+']);
    assert_eq!((decision, after), (Pass, 150));
}

#[test]
fn an_advisory_rule_holds_nothing_up() {
    let mut suite = looking(&[("pass_rate", Bound::MaxDrop, 0.05), ("latency_p50_ms", Bound::Max, 1.0)], 300);
    suite.gate.as_mut().unwrap().rules[1].tier = Tier::Advisory;
    assert_eq!(decided(&suite, vec![['+', '+']; 300]).map(|(decision, _)| decision), Some(Pass));
}

#[test]
fn a_gate_without_a_rule_that_decides_never_stops_early() {
    let mut shown = looking(&[("pass_rate", Bound::MaxDrop, 0.05)], 300);
    shown.gate.as_mut().unwrap().rules[0].tier = Tier::Advisory;
    assert_eq!(decided(&shown, vec![['+', '+']; 300]), None);
    let nothing = Ruling::of(&aggregation(&shown)).unwrap();
    assert_eq!((nothing.settled, nothing.wants_more), (None, false));
}

#[test]
fn what_was_decided_stands_in_the_verdict_of_a_run_that_was_stopped() {
    let suite = looking(&[("pass_rate", Bound::MaxDrop, 0.05)], 300);
    let mut aggregation = aggregation(&suite);
    (0..120).for_each(|case| push(&mut aggregation, case, [Outcome::Passed; 2]));
    let mut aggregate = aggregation.finish(&Quantiles::default(), &[None, None], 600);
    assert_eq!(judge(&suite, &aggregate, true, &[]).unwrap().outcome, Inconclusive, "180 cases are missing");
    aggregate.stopped_early = true;
    let verdict = judge(&suite, &aggregate, true, &[]).unwrap();
    assert_eq!(verdict.outcome, Pass);
    let rule = &verdict.versions[0].rules[0];
    let [low, high] = rule.interval.unwrap();
    assert!((-0.05..0.0).contains(&low) && high > 0.0 && rule.n < 120, "{rule:?}");
    assert!(rule.reason.starts_with("a drop of more than 5 points is ruled out after "), "{}", rule.reason);
}

/// Like a rule that is judged once: its `n` counts what was scored, and its reason names the rest.
#[test]
fn errored_cases_are_named_where_a_gate_looks_again() {
    let check = |bound: fn(Amount) -> Bound, amount, cluster: Option<u64>, n: u64, said: &str| {
        let mut suite = looking(&[("pass_rate", bound, amount)], 100);
        suite.gate.as_mut().unwrap().rules[0].estimand = Estimand::Population;
        suite.dataset.clustered = cluster.is_some();
        let answers = "+++++++eee".repeat(10);
        let run = Run::new(suite, &[&"+".repeat(100), &answers]);
        let run = cluster.into_iter().fold(run, Run::clustered);
        let mut count = assay_coordinator::verdict::Count::new(&run.suite);
        for row in run.rows.iter().step_by(2) {
            let unit = row.cluster.clone().unwrap_or_else(|| row.position.to_string());
            count.add(assay_store::TaggedUnit { position: row.position, unit, tags: row.tags.clone() });
        }
        let mut aggregation = Aggregation::counted(&run.suite, &count.finish());
        run.rows.iter().for_each(|row| aggregation.push(row));
        aggregation.catch_up();
        let mut aggregate = aggregation.finish(&Quantiles::default(), &[], 200);
        aggregate.stopped_early = true;
        let rule = judge(&run.suite, &aggregate, true, &[]).unwrap().versions[0].rules[0].clone();
        assert_eq!((rule.n, rule.outcome), (n, Inconclusive), "{rule:?}");
        assert!(rule.reason.contains(said), "{}", rule.reason);
    };
    let by_case = "after 100 cases, with 30 errored cases among them counted as the worst for either side";
    check(Bound::MaxDrop, 0.1, None, 70, by_case);
    check(Bound::Min, 0.7, None, 70, by_case);
    let by_cluster = "after 50 clusters, with 30 errored cases among them counted as the worst";
    // One of each five clusters holds nothing that was scored.
    check(Bound::MaxDrop, 0.1, Some(2), 40, by_cluster);
}

/// The answers of examples/first-look: thinking aloud is right 36 points more often.
#[test]
fn thinking_aloud_is_told_from_answering_at_once_by_a_tenth_of_the_questions() {
    let arms = first_look();
    let suite = looking(&[("pass_rate", Bound::MaxDrop, 0.02)], 500);
    let mut shares = Vec::new();
    for seed in 0_u8..40 {
        let ids: Vec<String> = (0..500).map(|case| format!("case {case}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let order = committed(&[seed; 32], &ids);
        let found = decided(&suite, order.into_iter().map(|case| arms[case]));
        let (decision, after) = found.unwrap();
        assert_eq!(decision, Pass);
        shares.push(after as f64 / 500.0);
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    println!("mean share of the questions: {mean:.3}");
    assert!(mean < 0.1, "{mean}");
}

#[test]
fn further_rounds_of_trials_are_no_further_cases() {
    let (cases, rounds) = (40_u64, 3_u32);
    let mut suite = looking(&[("pass_rate", Bound::MaxDrop, 0.1)], cases);
    suite.gate.as_mut().unwrap().max_repeats = Some(rounds);
    let mut aggregation = aggregation(&suite);
    for trial in 1..=rounds {
        for case in 0..cases {
            for (variant, yes) in (0_u32..).zip([case % 4 != 0, case % 4 != 1]) {
                let ordinal = u64::from(trial - 1) * 2 * cases + 2 * case + u64::from(variant);
                aggregation.push(&row(ordinal, case, variant, trial, passed(yes)));
            }
        }
    }
    aggregation.catch_up();
    assert_eq!(Ruling::of(&aggregation).unwrap().units, cases);
    let planned = u64::from(rounds) * 2 * cases;
    let aggregate = aggregation.finish(&Quantiles::default(), &[], planned);
    let verdict = judge(&suite, &aggregate, true, &[]).unwrap();
    let rule = &verdict.versions[0].rules[0];
    assert_eq!((rule.outcome, rule.n, rule.interval), (Inconclusive, cases, None));
    for part in ["after 40 cases in 3 rounds of trials", "which gives no interval"] {
        assert!(rule.reason.contains(part), "{}", rule.reason);
    }
}

/// A version just at the margin, whose cases differ in how hard they are, looked at after every case of up to three rounds
/// of trials: passed, and failed, by mistake at most as often as the gate's confidence allows.
#[test]
fn further_rounds_of_trials_do_not_make_mistakes_more_frequent() {
    const RUNS: u64 = 200;
    let (cases, margin) = (60_u64, 0.1);
    let mut rounds = looking(&[("pass_rate", Bound::MaxDrop, margin)], cases);
    rounds.gate.as_mut().unwrap().max_repeats = Some(3);
    rounds.dataset.digest = Digest::of(b"rounds");
    let [mut wrongly_passed, mut wrongly_failed] = [0_u64; 2];
    let mut chance = 1_u64;
    for _ in 0..RUNS {
        let mut aggregation = aggregation(&rounds);
        // One case in five changes: it is lost three times in four, for good.
        let kinds: Vec<f64> = (0..cases).map(|_| next(&mut chance)).collect();
        let mut settled = None;
        for trial in 1..=3 {
            for case in 0..cases {
                let kind = kinds[usize::try_from(case).unwrap()];
                let arms = match kind {
                    kind if kind < 0.15 => [true, next(&mut chance) < 0.02],
                    kind if kind < 0.2 => [next(&mut chance) < 0.06, true],
                    _ => [true, true],
                };
                for (variant, yes) in (0_u32..).zip(arms) {
                    let ordinal = u64::from(trial - 1) * 2 * cases + 2 * case + u64::from(variant);
                    aggregation.push(&row(ordinal, case, variant, trial, passed(yes)));
                }
                settled = settled.or_else(|| Ruling::of(&aggregation).unwrap().settled);
            }
        }
        // The true difference is −0.15·0.98 + 0.05·0.94 = −0.1.
        wrongly_passed += u64::from(settled == Some(Pass));
        wrongly_failed += u64::from(settled == Some(Fail));
    }
    let (runs, alpha) = (RUNS as f64, 0.05);
    let most = runs * alpha + 4.0 * (runs * alpha * (1.0 - alpha)).sqrt();
    println!("of {RUNS} runs {wrongly_passed} passed and {wrongly_failed} failed");
    assert!(
        (wrongly_passed as f64) < most && (wrongly_failed as f64) < most,
        "{wrongly_passed}, {wrongly_failed}"
    );
}

/// SplitMix64 (Steele, Lea & Flood 2014), evenly in [0, 1).
fn next(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[test]
fn clusters_are_looked_at_whole() {
    let mut suite = looking(&[("pass_rate", Bound::MaxDrop, 0.1)], 400);
    suite.dataset.clustered = true;
    let arms = "+".repeat(400);
    let run = Run::new(suite, &[&arms, &arms]).clustered(4);
    let mut count = assay_coordinator::verdict::Count::new(&run.suite);
    for row in run.rows.iter().step_by(2) {
        let unit = row.cluster.clone().unwrap();
        count.add(assay_store::TaggedUnit { position: row.position, unit, tags: row.tags.clone() });
    }
    let mut aggregation = Aggregation::counted(&run.suite, &count.finish());
    let settled = run.rows.iter().position(|row| {
        aggregation.push(row);
        Ruling::of(&aggregation).unwrap().settled == Some(Pass)
    });
    // Known with the first job after a cluster that was whole.
    let at = settled.unwrap();
    assert!(at.is_multiple_of(8) && at > 0 && at < 800, "{at}");
}

#[test]
fn a_population_rate_is_bet_on_too() {
    let mut expected = looking(&[("pass_rate", Bound::Max, 0.5)], 300);
    expected.gate.as_mut().unwrap().rules[0].estimand = Estimand::Population;
    let check = |sign, decision| {
        let (found, after) = decided(&expected, vec![['+', sign]; 300]).unwrap();
        assert!(found == decision && after < 40, "{after}");
    };
    check('-', Pass);
    check('+', Fail);
}

/// What is shown of this suite's own number that was decided early lies on the side it was decided for.
#[test]
fn bounds_of_a_suites_own_number_agree_with_what_was_decided() {
    let check = |bound: fn(Amount) -> Bound, amount: f64, sign: char, expected: Decision, part: &str| {
        let mut own = looking(&[("pass_rate", bound, amount)], 500);
        own.gate.as_mut().unwrap().rules[0].estimand = Estimand::Suite;
        let mut aggregation = aggregation(&own);
        for case in 0..120 {
            // One in twenty goes the other way.
            let other = if sign == '+' { '-' } else { '+' };
            let sign = if case % 20 == 19 { other } else { sign };
            push(&mut aggregation, case, ['+', sign].map(|sign| outcome(sign).unwrap()));
        }
        let mut aggregate = aggregation.finish(&Quantiles::default(), &[None, None], 1_000);
        aggregate.stopped_early = true;
        let rule = judge(&own, &aggregate, true, &[]).unwrap().versions[0].rules[0].clone();
        assert_eq!(rule.outcome, expected, "{rule:?}");
        let ([low, high], threshold) = (rule.interval.unwrap(), amount);
        match (expected, own.gate.unwrap().rules[0].bound) {
            (Pass, Bound::MaxDrop(_)) => assert!(low >= -threshold && high > low, "{low} {high}"),
            (Fail, Bound::MaxDrop(_)) => assert!(high <= -threshold && high > low, "{low} {high}"),
            (Pass, Bound::Min(_)) | (Fail, Bound::Max(_)) => assert!(low >= threshold, "{low} {high}"),
            _ => assert!(high <= threshold, "{low} {high}"),
        }
        assert!(
            rule.reason.contains(part) && rule.reason.ends_with("% confidence at every look"),
            "{}",
            rule.reason
        );
    };
    check(Bound::Min, 0.8, '+', Pass, "at least 0.8");
    check(Bound::Min, 0.8, '-', Fail, "at most 0.");
    check(Bound::Max, 0.2, '-', Pass, "at most 0.");
    check(Bound::Max, 0.2, '+', Fail, "at least 0.");
    check(Bound::MaxDrop, 0.2, '+', Pass, "at least −");
    check(Bound::MaxDrop, 0.2, '-', Fail, "at most −");
}
