//! Sums, flips and quantiles.

use assay_common::reduce::Reducer;
use assay_common::score::Millionths;
use assay_coordinator::verdict::VariantReport;

use crate::fixture::{Run, model, suite};

#[test]
fn a_report_has_the_fields_of_the_contract_in_their_order() {
    let run = Run::new(suite(1, vec![]), &["+ + - + - + + e c +"]);
    let report = &run.aggregate().variants[0];
    let json = serde_json::to_value(report).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    let contract = "prompt label version digest model cases jobs passed failed errored cancelled pass_rate \
                    interval mean_score cost_usd input_tokens output_tokens latency_ms model_label";
    assert_eq!(keys, contract.split_whitespace().collect::<Vec<_>>());
    assert_eq!(serde_json::from_value::<VariantReport>(json.clone()).unwrap(), *report);
    let expected = serde_json::json!({
        "prompt": "triage", "label": "v0", "version": 1, "digest": run.suite.prompts[0].digest,
        "model": "echo/one", "model_label": "echo/one", "cases": 8, "jobs": 10, "passed": 6, "failed": 2, "errored": 1, "cancelled": 1,
        "pass_rate": 0.75, "interval": report.interval, "mean_score": 0.625,
        "cost_usd": 38e-9, "input_tokens": 80, "output_tokens": 16,
        "latency_ms": {"p50": 0.004, "p95": 0.01, "p99": 0.01},
    });
    assert_eq!(json, expected);
    // Wilson by the printed formula for 6 of 8: centre and half width.
    let z2 = 1.959_963_984_540_054_f64.powi(2);
    let centre = (0.75 + z2 / 16.0) / (1.0 + z2 / 8.0);
    assert!((report.interval[0] + report.interval[1] - 2.0 * centre).abs() < 1e-12);
}

#[test]
fn a_case_counts_when_all_its_trials_were_scored() {
    let check = |reduce: &str, answers: &str, cases, pass_rate: Option<f64>, mean_score: Option<f64>| {
        let mut suite = suite(1, vec![]);
        (suite.repeats, suite.reduce) = (3, Reducer::parse(reduce).unwrap());
        let aggregate = Run::new(suite, &[answers]).aggregate();
        let report = &aggregate.variants[0];
        assert_eq!(report.cases, cases, "{reduce} {answers}");
        assert_eq!(report.pass_rate, pass_rate, "{reduce} {answers}");
        assert_eq!(report.mean_score, mean_score, "{reduce} {answers}");
    };
    check("mean", "++- --- +++ +e+ ++c +.+", 3, Some(5.0 / 9.0), Some(4.75 / 9.0));
    check("mean", "+--", 1, Some(1.0 / 3.0), Some(1.25 / 3.0));
    check("majority", "++- --- +++", 3, Some(2.0 / 3.0), Some(4.75 / 9.0));
    check("all", "++- --- +++", 3, Some(1.0 / 3.0), Some(4.75 / 9.0));
    check("pass@2", "+-- ---", 2, Some(1.0 / 3.0), Some(2.0 / 6.0));
    check("mean", "+e+ ..- ccc", 0, None, None);
}

#[test]
fn what_is_unknown_is_null() {
    let check = |change: fn(&mut assay_store::OutcomeRow), cost: Option<f64>, tokens: Option<u64>| {
        let run = Run::new(suite(1, vec![]), &["++e"]).with(change);
        let report = &run.aggregate().variants[0];
        assert_eq!((report.cost_usd, report.input_tokens), (cost, tokens));
    };
    check(|_| {}, Some(3e-9), Some(20));
    // An answer of unknown cost makes the sum unknown; tokens are the sum of those that were counted.
    check(|row| row.cost = row.cost.filter(|_| row.position > 0), None, Some(20));
    check(
        |row| row.usage.input_tokens = row.usage.input_tokens.filter(|_| row.position > 0),
        Some(3e-9),
        Some(10),
    );
    check(|row| (row.cost, row.usage.input_tokens) = (None, None), None, None);
    let nothing = Run::new(suite(1, vec![]), &["ee."]).aggregate();
    let report = &nothing.variants[0];
    assert_eq!((report.jobs, report.errored, report.cases), (3, 2, 0));
    assert_eq!((report.pass_rate, report.cost_usd, report.latency_ms.p50), (None, None, None));
    assert_eq!(report.interval, [0.0, 1.0]);
}

#[test]
fn flips_name_the_first_cases_and_the_jobs_to_look_at() {
    let run = Run::new(suite(2, vec![]), &["+-+-e", "+++--"]);
    let aggregate = run.aggregate();
    let [flips] = aggregate.flips.as_slice() else { panic!("one candidate") };
    assert_eq!((flips.improved, flips.regressed, flips.unchanged), (1, 0, 3));
    let flip = &flips.first_improved[0];
    assert_eq!(
        (flip.case.as_str(), flip.baseline, flip.candidate),
        ("case 1", Millionths(0), Millionths::ONE)
    );
    assert_eq!((flip.baseline_ordinal, flip.candidate_ordinal), (2, 3));

    // Of twelve regressions the first ten by position, also when they come from the end.
    let run = Run::new(suite(2, vec![]), &["++++++++++++", "------------"]);
    let aggregate = run.aggregate_rows(run.rows.iter().rev());
    let positions: Vec<_> = aggregate.flips[0].first_regressed.iter().map(|flip| flip.position).collect();
    assert_eq!(positions, (0..10).collect::<Vec<_>>());
    assert_eq!(aggregate.flips[0].regressed, 12);

    // With trials: the first of the baseline that passed, the first of the candidate that failed.
    let mut repeated = suite(2, vec![]);
    repeated.repeats = 3;
    let aggregate = Run::new(repeated, &["-++", "+--"]).aggregate();
    let flip = &aggregate.flips[0].first_regressed[0];
    assert_eq!((flip.baseline, flip.candidate), (Millionths(666_667), Millionths(333_333)));
    assert_eq!((flip.baseline_ordinal, flip.candidate_ordinal), (2, 3));
}

#[test]
fn each_candidate_meets_the_baseline_on_its_own_model() {
    let mut three = suite(3, vec![]);
    three.models.push(model("two"));
    three.prompts[1].baseline = true;
    let aggregate = Run::new(three, &["++", "--", "++", "++", "-+", "+-"]).aggregate();
    let pairs: Vec<_> = aggregate.flips.iter().map(|flips| (flips.candidate, flips.baseline)).collect();
    assert_eq!(pairs, [(0, 2), (1, 3), (4, 2), (5, 3)]);
    let regressed: Vec<_> = aggregate.flips.iter().map(|flips| flips.regressed).collect();
    assert_eq!(regressed, [0, 2, 1, 1]);
    let mut sole = suite(1, vec![]);
    sole.prompts[0].baseline = true;
    assert!(Run::new(sole, &["+"]).aggregate().flips.is_empty());
}
