//! What rules come to together: tiers, models, versions, and runs that are not fit to be judged.

use std::collections::BTreeMap;

use assay_common::gate::{Bound, Estimand, Rule, Tier};
use assay_common::score::Millionths;
use assay_common::verdict::Decision::{self, Fail, Inconclusive, Pass};
use assay_coordinator::verdict::judge;

use crate::fixture::{Run, model, rule, signs, suite};

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
        doubted
            .reason
            .contains("by chance one of 10 rules may do so: this is not enough to fail it; some 71 more"),
        "{}",
        doubted.reason
    );
    assert_eq!(judged(10, 20).outcome, Fail, "what is plain stays plain");
}

#[test]
fn a_rule_that_compares_with_nothing_passes_no_version() {
    for stop_early in [false, true] {
        for (tier, expected) in
            [(Tier::Critical, Inconclusive), (Tier::Supporting, Inconclusive), (Tier::Advisory, Pass)]
        {
            let rules = vec![rule("pass_rate", Bound::Min, 0.5), rule("pass_rate", Bound::MaxDrop, 0.02)];
            let mut alone = suite(1, rules);
            let gate = alone.gate.as_mut().unwrap();
            gate.rules[1].tier = tier;
            (gate.stop_early, gate.nothing_live) = (stop_early, Some("production".to_owned()));
            let verdict = Run::new(alone, &["++++++++"]).verdict();
            let [first, second] = &verdict.versions[0].rules[..] else { panic!("{verdict:?}") };
            assert_eq!((verdict.outcome, first.outcome, second.outcome), (expected, Pass, Inconclusive));
            assert_eq!(second.reason, "nothing is live on production: there is no version to compare with");
        }
    }
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

/// A rule that passes wherever a tenth of the answers does.
fn sure() -> Rule {
    Rule { name: "sure".into(), estimand: Estimand::Suite, ..rule("pass_rate", Bound::Min, 0.1) }
}

#[test]
fn tiers_weigh_rules() {
    // Beside a rule that passes, and alone.
    let check = |tier: Tier, decision: Decision, expected: [Decision; 2]| {
        let (amount, estimand) = match decision {
            Pass => (0.5, Estimand::Suite),
            Fail => (1.0, Estimand::Suite),
            Inconclusive => (0.5, Estimand::Population),
        };
        let judged = Rule { tier, estimand, ..rule("pass_rate", Bound::Min, amount) };
        for (rules, expected) in [vec![judged.clone(), sure()], vec![judged]].into_iter().zip(expected) {
            let run = Run::new(suite(1, rules), &["+-"]);
            assert_eq!(run.first_rule().outcome, decision);
            assert_eq!(run.outcome(), expected, "{tier:?} {decision:?}");
        }
    };
    check(Tier::Critical, Pass, [Pass, Pass]);
    check(Tier::Critical, Fail, [Fail, Fail]);
    check(Tier::Critical, Inconclusive, [Inconclusive, Inconclusive]);
    check(Tier::Supporting, Pass, [Pass, Pass]);
    check(Tier::Supporting, Fail, [Fail, Fail]);
    check(Tier::Supporting, Inconclusive, [Pass, Inconclusive]);
    check(Tier::Advisory, Pass, [Pass, Inconclusive]);
    check(Tier::Advisory, Fail, [Pass, Inconclusive]);
    check(Tier::Advisory, Inconclusive, [Pass, Inconclusive]);
}

/// What is not there is no uncertainty: a rule that decides tolerates none of it, one that does not shows it.
#[test]
fn what_is_missing_passes_no_rule_that_decides() {
    let check =
        |judged: &Rule, answers: &[&str], [critical, supporting, advisory]: [Decision; 3], reason: &str| {
            for (tier, expected) in
                [(Tier::Critical, critical), (Tier::Supporting, supporting), (Tier::Advisory, advisory)]
            {
                let of = suite(answers.len(), vec![Rule { tier, ..judged.clone() }, sure()]);
                let verdict = Run::new(of, answers).with(|row| row.latency_us = None).verdict();
                let rule = &verdict.versions[0].rules[0];
                assert_eq!((rule.outcome, rule.reason.as_str()), (Inconclusive, reason), "{tier:?}");
                assert_eq!(verdict.outcome, expected, "{tier:?}: {reason}");
            }
        };
    let least = rule("pass_rate", Bound::Min, 0.1);
    let drop = rule("pass_rate", Bound::MaxDrop, 0.9);
    // Of the version nothing at all was scored.
    let nothing = [Inconclusive; 3];
    check(&least, &["eee"], nothing, "no case was scored");
    check(&drop, &["+++", "eee"], nothing, "no case was scored under both versions");
    // Of what the rule asks for.
    let unseen = [Inconclusive, Inconclusive, Pass];
    check(&rule("latency_p50_ms", Bound::Max, 1.0), &["++"], unseen, "the latency is not known");
    check(&rule("tone", Bound::Min, 0.1), &["++"], unseen, "no case was scored for `tone`");
    let french = BTreeMap::from([("language".to_owned(), "fr".to_owned())]);
    let sliced = Rule { slice: french, ..least };
    check(&sliced, &["++"], unseen, "no case with language = fr was scored");
    check(&drop, &["e+", "+e"], unseen, "no case was scored under both versions");
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
