//! `assay compare`: what changed between two runs or two versions, by the real binary on real and on hostile answers.

use assay_tests::assay::{Workplace, repository};
use serde_json::{Value, json};

fn id_of(report: &Value) -> String {
    report["run"]["id"].as_str().unwrap().to_owned()
}

fn assert_close(found: &Value, expected: &Value, what: &str) {
    let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
    // Relative where the number is small: p-values go far down.
    let off = (found - expected).abs() / expected.abs().min(1.0);
    assert!(off < 1e-8, "{what}: {found}, not {expected}");
}

/// tests/data/gsm8k_openai/reference.py computes the same with statsmodels and scipy.
#[test]
fn four_models_compared_pairwise_equal_the_reference() {
    let data = repository().join("tests/data/gsm8k_openai");
    let place = Workplace::default();
    let suite = data.join("suite.yaml").display().to_string();
    let run = id_of(&place.assay(&["run", &suite, "--json"]).expect(0).json());
    let reference = std::fs::read_to_string(data.join("reference.json")).unwrap();
    let reference: Vec<Value> = serde_json::from_str(&reference).unwrap();
    assert_eq!(reference.len(), 6);
    for expected in reference {
        let side = |name: &str| format!("{run}:recorded/{}", expected[name].as_str().unwrap());
        let (before, after) = (side("before"), side("after"));
        let document = place.assay(&["compare", &before, &after, "--json", "--flips", "3"]).expect(0).json();
        let [pair] = document["pairs"].as_array().unwrap().as_slice() else {
            unreachable!("two variants are one pair")
        };
        for exact in ["regressed", "improved"] {
            assert_eq!(pair[exact], expected[exact], "{exact} of {before}");
        }
        let paired = &pair["paired"];
        assert_eq!(paired["cases"], expected["cases"]);
        assert_close(&paired["difference"], &expected["difference"], "the difference");
        assert_close(&paired["p"], &expected["p"], "mid-p");
        assert_close(&paired["p_exact"], &expected["p_exact"], "the exact p");
        for bound in [0, 1] {
            assert_close(
                &paired["interval"][bound],
                &expected["interval"][bound],
                "a bound of the difference",
            );
            let rates = &expected["rate_intervals"];
            assert_close(&pair["before"]["interval"][bound], &rates[0][bound], "a bound before");
            assert_close(&pair["after"]["interval"][bound], &rates[1][bound], "a bound after");
        }
        assert_eq!(pair["before"]["passed"], expected["passed"][0]);
        assert_eq!(pair["after"]["passed"], expected["passed"][1]);
        assert_eq!(pair["worse"].as_array().unwrap().len(), 3);
        assert!(pair["worse"][0]["after_output"].as_str().unwrap().contains("A:"));
    }
}

/// The first-look example with some of its prompts.
fn first_look(place: &Workplace, prompts: &[(&str, &str)]) {
    let example = repository().join("examples/first-look");
    place.write("cases.jsonl", std::fs::read(example.join("cases.jsonl")).unwrap());
    let answers = std::fs::read_to_string(example.join("answers.jsonl")).unwrap();
    let is_asked =
        |line: &&str| prompts.iter().any(|(label, _)| line.contains(&format!("\"prompt\": \"{label}\"")));
    let answers: Vec<_> = answers.lines().filter(is_asked).collect();
    place.write(
        "answers.jsonl",
        answers.join(
            "
",
        ),
    );
    let mut suite = "suite: first-look\nprompts:\n".to_owned();
    for (label, file) in prompts {
        let text = std::fs::read(example.join("prompts").join(file)).unwrap();
        place.write(&format!("prompts/{file}"), text);
        suite += &format!("  - {{name: few-shot, label: {label}, file: prompts/{file}}}\n");
    }
    suite += "models:\n  - {provider: recorded, model: code-davinci-002, file: answers.jsonl}\n\
              cases:\n  - {file: cases.jsonl, id: id, tags: [task]}\n\
              score:\n  - type: equals\n    extract: '(?s)^(?:.*the answer is )?\\s*(.*?)\\.?\\s*$'\n    value: '{{ answer }}'\n";
    place.write("suite.yaml", suite);
}

const ANSWER: (&str, &str) = ("answer-only", "answer-only.md");
const THOUGHT: (&str, &str) = ("chain-of-thought", "chain-of-thought.md");

/// Two runs have their cases in different orders; what comes out is what one run with both says of itself.
#[test]
fn two_runs_say_what_one_run_with_both_says() {
    let place = Workplace::default();
    let run = |prompts: &[_]| {
        first_look(&place, prompts);
        id_of(&place.assay(&["run", "suite.yaml", "--json"]).expect(0).json())
    };
    let compared = |before: &str, after: &str| {
        let document = place.assay(&["compare", before, after, "--json"]).expect(0).json();
        assert_eq!(document["warnings"], json!([]));
        assert_eq!(document["pairs"].as_array().unwrap().len(), 1);
        document
    };
    let both = run(&[ANSWER, THOUGHT]);
    let of_one = compared(&format!("{both}:answer-only"), &format!("{both}:chain-of-thought"));
    let (old, new) = (run(&[ANSWER]), run(&[THOUGHT]));
    let of_two = compared(&old, &new);
    assert_eq!(of_two["pairs"], of_one["pairs"]);
    let pair = &of_one["pairs"][0];
    assert_eq!(
        (&pair["paired"]["cases"], &pair["before"]["passed"], &pair["after"]["passed"]),
        (&json!(500), &json!(295), &json!(477))
    );
    let slices: Vec<_> = pair["slices"].as_array().unwrap().iter().map(|slice| &slice["value"]).collect();
    assert_eq!(slices, ["object_counting", "sports_understanding"]);
    assert!(pair["prompt_diff"].as_str().unwrap().starts_with("@@"));
    // By version: the one run that has both.
    let of_versions = compared("few-shot@1", "few-shot@2");
    assert_eq!(of_versions["pairs"], of_one["pairs"]);
    assert_eq!(of_versions["before"]["run"]["id"], both.as_str());
    let digest = pair["after"]["digest"].as_str().unwrap();
    assert_eq!(compared("few-shot@1", &format!("few-shot@{}", &digest[..8]))["pairs"], of_one["pairs"]);
    // By channel, alone where it is clear what is meant.
    for (version, channel) in [("few-shot@1", "production"), ("few-shot@2", "staging")] {
        let promote =
            ["prompt", "promote", version, "--channel", channel, "--override", "--reason", "a test"];
        place.assay(&promote).expect(0);
    }
    for (before, after) in [
        ("production", "staging"),
        ("few-shot@production", "staging"),
        ("production", "few-shot@2"),
        ("production:answer-only", "staging:chain-of-thought"),
    ] {
        assert_eq!(compared(before, after)["pairs"], of_one["pairs"], "{before} {after}");
    }
    let wrong = place.assay(&["compare", "production", "nightly"]).expect(2).stderr;
    assert!(wrong.contains("nothing was released to a channel `nightly`"), "{wrong}");
}

/// Two cases that change sides, one of which a model answers with what would steer a terminal or a page.
fn hostile(place: &Workplace) -> String {
    place
        .write("cases.jsonl", "{\"id\": \"up\"}\n{\"id\": \"down\"}\n{\"id\": \"same\"}\n")
        .write(
            "answers.jsonl",
            concat!(
                r#"{"case": "up", "prompt": "old", "output": "\u001b[31mno <img src=x> | @team ```"}"#,
                "\n",
                r#"{"case": "up", "prompt": "new", "output": "yes"}"#,
                "\n",
                r#"{"case": "down", "prompt": "old", "output": "yes"}"#,
                "\n",
                r#"{"case": "down", "prompt": "new", "output": "thinking\nno"}"#,
                "\n",
                r#"{"case": "same", "output": "yes"}"#,
                "\n"
            ),
        )
        .write(
            "suite.yaml",
            "suite: sides\n\
             prompts:\n  - {name: p, label: old, text: \"Say yes.\\n```\\u001b[2J\"}\n  - {name: p, label: new, text: \"Say yes!\\n```\\u001b[2J\"}\n\
             models:\n  - {provider: recorded, model: m, file: answers.jsonl}\n\
             cases:\n  - {file: cases.jsonl, id: id}\n\
             score:\n  - {type: equals, value: 'yes'}\n",
        );
    id_of(&place.assay(&["run", "suite.yaml", "--json"]).expect(0).json())
}

#[test]
fn a_person_sees_text_rates_difference_and_both_answers() {
    let place = Workplace::default();
    let run = hostile(&place);
    let text = place.assay(&["compare", "p@1", "p@2"]).expect(0).stdout.replace(&run, "RUN");
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    let expected = r#"before  p@1: run RUN of sides, completed
after   p@2: run RUN of sides, completed

old (p@1) → new (p@2) on recorded/m

               BEFORE          AFTER
 pass rate      66.7 %         66.7 %
 interval      20.8 % –       20.8 % –
"#;
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = squeezed(&lines.join("\n"));
    for line in expected.lines().filter(|line| !line.contains("interval")) {
        assert!(shown.contains(&squeezed(line)), "{line} is missing in:\n{text}");
    }
    for part in [
        "-Say yes. +Say yes!",
        "0.0 points on 3 cases, 95 % interval",
        "p = 0.7500 (McNemar, mid-p)",
        "1 worse, 1 better, 1 the same",
        "worse: down pass → fail",
        "better: up fail → pass",
        r"\u{1b}[31mno <img src=x>",
    ] {
        assert!(shown.contains(part), "{part} is missing in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "what a model says reaches no terminal:\n{text}");
}

#[test]
fn markdown_shows_it_and_is_steered_by_nobody() {
    let place = Workplace::default();
    hostile(&place);
    place.assay(&["compare", "p@1", "p@2", "--markdown", "report.md"]).expect(0);
    let text = std::fs::read_to_string(place.path().join("report.md")).unwrap();
    for part in [
        "### old (p@&#8203;1) → new (p@&#8203;2) on recorded/m",
        "| pass rate | 66.7 % | 66.7 % |",
        "````diff\n@@ -1,2 +1,2 @@\n-Say yes.\n+Say yes!\n",
        "up fail → pass\n\n<table><tr><th>before</th><th>after</th></tr><tr><td>\n\n````text\n",
        "\n\\u{1b}[31mno <img src=x> | @team ```\n````\n\n</td><td>\n\n```text\nyes\n```\n",
        "```text\nthinking\nno\n```\n",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    let read = outside_of_code(&text);
    assert!(!text.contains('\u{1b}') && !read.contains("@team") && !read.contains("<img"), "{text}");
}

/// What is left of a page without its blocks of code.
fn outside_of_code(text: &str) -> String {
    let mut fence = None;
    let outside = text.lines().filter(|line| match fence {
        None => {
            let ticks = line.len() - line.trim_start_matches('`').len();
            fence = (ticks > 2).then(|| "`".repeat(ticks));
            fence.is_none()
        }
        Some(_) => {
            fence = fence.take().filter(|fence| fence != line);
            false
        }
    });
    outside.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_side_that_is_not_there_is_wrong_input() {
    let place = Workplace::default();
    let run = hostile(&place);
    let absent = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let check = |before: &str, after: &str, parts: &[&str]| {
        let ran = place.assay(&["compare", before, after]).expect(2);
        assert_eq!(ran.stdout, "");
        for part in parts {
            assert!(ran.stderr.contains(part), "{part} is missing in:\n{}", ran.stderr);
        }
    };
    check(&run, absent, &["no run", absent]);
    check(&run, "production", &["`production` is neither the id of a run nor NAME@VERSION", "to a channel"]);
    check(&run, "a b", &["`a b` is neither", "NAME@VERSION nor a channel"]);
    check("q@1", &run, &["there is no prompt `q`"]);
    check("p@1", "p@7", &["no version 7 of `p`", "versions 1 to 2"]);
    check("p@1", "p@production", &["nothing was released to a channel `production`"]);
    check(&run, &run, &["the same", ":LABEL"]);
    check(&format!("{run}:old"), &format!("{run}:odl"), &["odl", "label"]);
    place.assay(&["compare", &run]).expect(2);
    place.assay(&["compare", "p@1", "p@2", "--flips", "5000"]).expect(2);
    place.assay(&["flaky", "--runs", "0"]).expect(2);
    let elsewhere = Workplace::default();
    elsewhere.assay(&["compare", "p@1", "p@2"]).expect(4);
    assert!(!elsewhere.path().join(".assay").exists(), "readers create nothing");
}

/// Other cases, another scorer: what is the same is compared, and the rest is said.
#[test]
fn runs_that_differ_are_compared_with_a_warning() {
    let place = Workplace::default();
    let before = hostile(&place);
    place.write("cases.jsonl", "{\"id\": \"same\"}\n{\"id\": \"other\"}\n{\"id\": \"up\"}\n");
    let answers = std::fs::read_to_string(place.path().join("answers.jsonl")).unwrap();
    place.write("answers.jsonl", format!("{answers}{}\n", r#"{"case": "other", "output": "yes"}"#));
    let after = id_of(&place.assay(&["run", "suite.yaml", "--json"]).expect(0).json());
    let document = place
        .assay(&["compare", &format!("{before}:old"), &format!("{after}:new"), "--json"])
        .expect(0)
        .json();
    let pair = &document["pairs"][0];
    assert_eq!(
        (&pair["paired"]["cases"], &pair["improved"], &pair["unpaired_cases"]),
        (&json!(2), &json!(1), &json!(2))
    );
    assert!(document["warnings"][0].as_str().unwrap().contains("different cases"), "{document}");
}
