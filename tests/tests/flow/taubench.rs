//! Four trials of each task: pass^k is what the benchmark's own formula gives.

use assay_tests::assay::{Workplace, repository};

#[test]
fn pass_hat_k_equals_the_benchmarks() {
    let data = repository().join("tests/data/taubench");
    let place = Workplace::default();
    for name in ["cases.jsonl", "answers.jsonl"] {
        place.write(name, std::fs::read(data.join(name)).expect("data"));
    }
    let check = |k: u32, expected: f64| {
        place.write(
            "suite.yaml",
            format!(
                "suite: airline\n\
                 prompts:\n  - {{name: agent, text: '{{{{ task }}}}'}}\n\
                 models:\n  - {{provider: recorded, model: gpt-4o, file: answers.jsonl}}\n\
                 cases:\n  - {{file: cases.jsonl, id: task}}\n\
                 score:\n  - {{type: equals, value: reward 1}}\n\
                 repeats: 4\nreduce: pass^{k}\n"
            ),
        );
        let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
        let variant = &report["variants"][0];
        assert_eq!(variant["cases"], 25);
        assert_eq!(variant["passed"], 49, "of 100 trials");
        let rate = variant["pass_rate"].as_f64().unwrap_or_default();
        assert!((rate - expected).abs() < 5e-7, "pass^{k} is {rate}, not {expected}");
    };
    check(1, 0.49);
    check(2, 0.386_667);
    check(3, 0.34);
    check(4, 0.32);
}
