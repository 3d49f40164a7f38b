//! The README's first command, on the recorded answers of a real model.

use assay_tests::assay::{Workplace, repository};
use serde_json::{Value, json};

fn suite() -> String {
    repository().join("examples/first-look/suite.yaml").display().to_string()
}

/// Pass rates as the authors of the data published them: examples/first-look/SOURCE.md.
#[test]
fn the_pass_rates_equal_the_published_ones() {
    let place = Workplace::default();
    let report = place.assay(&["run", &suite(), "--json"]).expect(0).json();
    let rate = |label: &str| {
        let variants = report["variants"].as_array().unwrap();
        let variant = variants.iter().find(|variant| variant["label"] == label).unwrap();
        (variant["passed"].clone(), variant["failed"].clone(), variant["pass_rate"].clone())
    };
    assert_eq!(rate("answer-only"), (json!(295), json!(205), json!(0.59)));
    assert_eq!(rate("chain-of-thought"), (json!(477), json!(23), json!(0.954)));
    assert_eq!(report["verdict"]["outcome"], "pass");
    let observed = |name: &str| {
        let rules = report["verdict"]["versions"][0]["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["slice"]["task"] == name).unwrap()["observed"].clone()
    };
    assert_eq!(observed("object_counting"), json!(0.932));
    assert_eq!(observed("sports_understanding"), json!(0.976));
}

#[test]
fn a_person_sees_rates_flips_verdict_and_where_results_are() {
    let place = Workplace::default();
    let ran = place.assay(&["run", &suite()]).expect(0);
    for part in
        ["95.4 %", "59.0 %", "chain-of-thought", "PASS", "fail → pass", "pass → fail", ".assay/assay.db"]
    {
        assert!(ran.stdout.contains(part), "{part} is missing in:\n{}", ran.stdout);
    }
    let sight =
        "this suite cannot see a drop below 3.0 points: 500 cases, `pass_rate max_drop 0.02` allows 2.0\n";
    assert_eq!(ran.stderr, sight, "no progress without a terminal");
    assert!(!ran.stdout.contains('\u{1b}'), "no colour without a terminal");
}

#[test]
fn two_runs_give_the_same_variants_to_the_byte() {
    let variants = || {
        let place = Workplace::default();
        let report = place.assay(&["run", &suite(), "--json"]).expect(0).json();
        serde_json::to_string(&report["variants"]).unwrap()
    };
    assert_eq!(variants(), variants());
}

#[test]
fn every_answer_can_be_read_again() {
    let place = Workplace::default();
    place.assay(&["run", &suite(), "--json"]).expect(0);
    let ran = place.assay(&["results"]).expect(0);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1000);
    let one = lines
        .iter()
        .find(|line| line["case"] == "object_counting-001" && line["label"] == "answer-only")
        .unwrap();
    assert_eq!(one["outcome"], "failed");
    assert_eq!(one["output"], "6");
    assert_eq!(one["scores"][0]["type"], "equals");
    let status = place.assay(&["status", "--json"]).expect(0).json();
    assert_eq!(status[0]["run"]["state"], "completed");
}
