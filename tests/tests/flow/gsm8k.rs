//! Four models on the same problems: what passes here is what their publishers call correct.

use std::collections::HashMap;

use assay_tests::assay::{Workplace, repository};
use serde_json::Value;

#[test]
fn the_passes_of_all_four_models_equal_the_publishers_labels() {
    let data = repository().join("tests/data/gsm8k_openai");
    let place = Workplace::default();
    let suite = data.join("suite.yaml").display().to_string();
    let report = place.assay(&["run", &suite, "--json"]).expect(0).json();
    let passed: Vec<_> = report["variants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variant| variant["passed"].as_u64().unwrap())
        .collect();
    assert_eq!(passed, [145, 257, 211, 373]);

    let labels = std::fs::read_to_string(data.join("labels.jsonl")).unwrap();
    let labels: HashMap<String, Value> = labels
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|label| (label["case"].as_str().unwrap().to_owned(), label))
        .collect();
    let results = place.assay(&["results"]).expect(0).stdout;
    assert_eq!(results.lines().count(), 660 * 4);
    for line in results.lines() {
        let result: Value = serde_json::from_str(line).unwrap();
        let case = result["case"].as_str().unwrap();
        let model = result["model"].as_str().unwrap().strip_prefix("recorded/").unwrap();
        let correct = labels[case][model].as_bool().unwrap();
        assert_eq!(result["outcome"] == "passed", correct, "{case} by {model}");
    }
}
