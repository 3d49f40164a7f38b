//! Suites that load, and what they become.

use assay_common::gate::{Bound, Estimand, Tier};
use assay_common::prompt::PromptBody;
use assay_common::score::Millionths;
use assay_common::scorer::{Check, Extract};
use assay_common::suite::Priority;
use serde_json::json;

use super::documented::example;
use super::{Folder, suite_with};

fn reference() -> Folder {
    Folder::with(&[
        ("suite.yaml", example()),
        ("prompts/triage.md", "Route this: {{ message }}\n"),
        (
            "prompts/chat.yaml",
            "- {role: system, content: Be brief.}\n- role: user\n  content: |\n    {{ message }}\n",
        ),
        (
            "cases.jsonl",
            "{\"ticket\": 17, \"thread\": \"t\", \"language\": \"de\", \"tier\": 1, \"message\": \"m\", \"queue\": \"q\", \"answer\": 2}\n",
        ),
        (
            "answers.jsonl",
            "{\"case\": 17, \"output\": \"q\"}\n{\"case\": \"refund-1\", \"prompt\": \"chat\", \"trial\": 3, \"output\": \"q\", \"usage\": {\"prompt_tokens\": 1, \"completion_tokens\": 2}, \"latency_ms\": 1.5}\n",
        ),
    ])
}

#[test]
fn the_reference_loads() {
    let loaded = reference().load().unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| warning.message.as_str()).collect();
    let expected = [
        "2 cases in 2 clusters cannot see a drop below 100 points: this rule may pass only a version that is better",
        "the price of `recorded/gpt-3-175b` is unknown: this rule is always inconclusive",
        "1 answer in ",
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
    for (warning, beginning) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(beginning), "{warning}");
    }
    let suite = loaded.suite;
    assert_eq!((suite.name.as_str(), suite.owner.as_deref()), ("support-triage", Some("support-platform")));

    let [polite, chat] = &suite.prompts[..] else { panic!("two prompts") };
    assert_eq!((polite.label.as_str(), polite.owner.as_deref()), ("polite-v2", Some("triage-team")));
    assert_eq!(polite.body, PromptBody::Text("Route this: {{ message }}".into()));
    assert_eq!(
        (chat.label.as_str(), chat.baseline, chat.owner.as_deref()),
        ("chat", true, Some("support-platform"))
    );
    assert_eq!(chat.body.templates().collect::<Vec<_>>(), ["Be brief.", "{{ message }}"]);

    let names: Vec<_> = suite.models.iter().map(assay_common::model::Model::name).collect();
    assert_eq!(names, ["openai/gpt-4.1-mini", "anthropic/claude-sonnet-4-5", "recorded/gpt-3-175b"]);
    assert_eq!(suite.models[1].sampling.temperature, Some(Millionths::ZERO));
    assert_eq!(suite.models[1].sampling.max_tokens, Some(64));
    assert!(suite.models[2].recording.is_some());

    assert_eq!((suite.dataset.cases, suite.dataset.clustered), (2, true));
    assert_eq!(suite.scorers[0].weight, Millionths(2_000_000));
    assert_eq!(suite.scorers[0].metric.as_deref(), Some("routing"));
    let Check::Number { tolerance, .. } = &suite.scorers[1].check else { panic!("a number") };
    assert_eq!(tolerance, "0.5");
    assert_eq!(suite.scorers[2].check, Check::Contains { value: json!("08") });
    assert_eq!(suite.scorers[2].extract, Some(Extract::Json("$.path".into())));
    assert!(suite.scorers[2].negated);
    assert_eq!(suite.threshold, Some(Millionths(800_000)));
    assert_eq!((suite.repeats, suite.reduce.to_string().as_str()), (3, "at-least(2)"));
    assert_eq!((suite.priority, suite.deadline_seconds), (Priority::Sweep, 7_200));

    let gate = suite.gate.unwrap();
    assert_eq!((gate.confidence, gate.expires_seconds), (Millionths(950_000), Some(14 * 86_400)));
    let names: Vec<_> = gate.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "pass_rate min 0.92",
            "pass_rate max_drop 0.02",
            "routing min 0.9 [language=de]",
            "latency_p95_ms max 2000",
            "cost_per_case_usd max_increase 10%",
        ]
    );
    let estimands: Vec<_> = gate.rules.iter().map(|rule| rule.estimand).collect();
    use Estimand::{Population, Suite};
    assert_eq!(estimands, [Suite, Population, Suite, Suite, Population]);
    assert_eq!((gate.rules[0].tier, gate.rules[1].tier), (Tier::Critical, Tier::Supporting));
    let Bound::MaxIncrease(share) = gate.rules[4].bound else { panic!("an increase") };
    assert_eq!(share.as_f64(), 0.1);
}

#[test]
fn a_small_suite_has_defaults() {
    let loaded = Folder::with(&[("suite.yaml", &suite_with("", ""))]).load().unwrap();
    let suite = loaded.suite;
    assert_eq!((suite.repeats, suite.deadline_seconds, suite.priority), (1, 86_400, Priority::Normal));
    assert_eq!((suite.threshold, suite.budget, suite.gate.is_none()), (None, None, true));
    assert_eq!(suite.prompts[0].label, "ask");
    assert_eq!(suite.dataset.cases, 2);
}

#[test]
fn equal_content_is_an_equal_revision_however_it_is_written() {
    let revision = |files: &[(&str, &str)]| Folder::with(files).load().unwrap().suite.revision();
    let plain = suite_with("", "score: [{type: equals, value: '4'}]\n");
    let spread = suite_with("", "# scorers\nscore:\n  - value: \"4\"\n    type: equals\n    weight: 1.0\n");
    let json = r#"{"suite": "sums", "prompts": [{"name": "ask", "file": "prompts/ask.md"}], "models": ["echo/parrot"],
        "cases": [{"file": "cases.jsonl", "id": "id", "tags": ["lang"]}], "score": [{"type": "equals", "value": "4"}]}"#;
    let expected = revision(&[("suite.yaml", &plain)]);
    assert_eq!(revision(&[("suite.yaml", &spread)]), expected);
    assert_eq!(revision(&[("suite.yaml", json)]), expected);
    assert_eq!(
        revision(&[("suite.yaml", &plain), ("prompts/ask.md", "Answer: {{ question }}\r\n")]),
        expected
    );
    assert_ne!(revision(&[("suite.yaml", &plain), ("prompts/ask.md", "Answer {{ question }}\n")]), expected);
    assert_ne!(
        revision(&[
            ("suite.yaml", &plain),
            ("cases.jsonl", "{\"id\": \"a\", \"question\": \"\", \"lang\": \"\"}")
        ]),
        expected
    );
}

#[test]
fn anchors_and_merges_share_parts_of_a_suite() {
    let suite =
        suite_with("", "score:\n  - &base {type: equals, value: a, metric: m}\n  - {<<: *base, value: b}\n");
    let loaded = Folder::with(&[("suite.yaml", &suite)]).load().unwrap();
    assert_eq!(loaded.suite.scorers[1].check, Check::Equals { value: json!("b") });
    assert_eq!(loaded.suite.scorers[1].metric.as_deref(), Some("m"));
}

#[test]
fn two_models_may_play_back_one_file() {
    let models = "models:\n  - {provider: recorded, model: a, file: answers.jsonl}\n  - {provider: recorded, model: b, file: ./answers.jsonl}\n";
    let answers = "{\"case\": \"a\", \"output\": \"2\"}\n{\"case\": \"b\", \"output\": \"4\"}\n";
    let suite = suite_with("models", models);
    let loaded = Folder::with(&[("suite.yaml", &suite), ("answers.jsonl", answers)]).load().unwrap();
    assert_eq!(loaded.suite.models[0].recording, loaded.suite.models[1].recording);
    assert_eq!(loaded.warnings, []);
}
