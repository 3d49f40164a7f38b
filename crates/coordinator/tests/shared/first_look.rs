//! The answers of examples/first-look: thinking aloud is right 36 points more often than answering at once.

/// Each question of examples/first-look: whether it was right at once, and after thinking aloud.
pub(crate) fn first_look() -> Vec<[char; 2]> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/first-look");
    let lines = |file: &str| {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let answers = lines("answers.jsonl");
    let right = |case: &serde_json::Value, prompt: &str| {
        let answer = answers.iter().find(|answer| answer["case"] == case["id"] && answer["prompt"] == prompt);
        let output = answer.unwrap()["output"].as_str().unwrap();
        let said = output.rsplit("the answer is ").next().unwrap().trim().trim_end_matches('.');
        if said == case["answer"].as_str().unwrap() { '+' } else { '-' }
    };
    lines("cases.jsonl")
        .iter()
        .map(|case| [right(case, "answer-only"), right(case, "chain-of-thought")])
        .collect()
}
