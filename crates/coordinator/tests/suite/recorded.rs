//! Recorded answers that are wrong, or look so.

use insta::assert_snapshot;

use super::{suite_with, told_of};

const RECORDED: &str = "models:\n  - {provider: recorded, model: gpt, file: answers.jsonl}\n";

#[test]
fn recorded_answers() {
    let suite = suite_with("models", RECORDED);
    let answers = "{\"case\": \"a\", \"output\": \"2\"}\n{\"case\": \"a\", \"output\": \"3\"}\n\
                   {\"case\": \"b\", \"outptu\": \"4\"}\n{\"case\": \"b\", \"prompt\": \"aks\", \"output\": \"4\"}\n\
                   {\"case\": \"b\"}\noops\n{\"case\": \"b\", \"trial\": 0, \"output\": \"4\"}\n\
                   {\"case\": \"b\", \"output\": \"4\", \"usage\": {\"tokens\": 1}}\n{\"case\": \"b\", \"output\": \"\\u0000\"}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("answers.jsonl", answers)]), @r#"
error: the same case, prompt and trial as line 1
 --> answers.jsonl:2:10
  |
2 | {"case": "a", "output": "3"}
  |          ^^^
  |
  = help: keep one of the answers

error: unknown key `outptu` in a recorded answer
 --> answers.jsonl:3:15
  |
3 | {"case": "b", "outptu": "4"}
  |               ^^^^^^^^
  |
  = help: did you mean `output`?

error: no prompt of the suite has the label `aks`
 --> answers.jsonl:4:25
  |
4 | {"case": "b", "prompt": "aks", "output": "4"}
  |                         ^^^^^
  |
  = help: did you mean `ask`?

error: a recorded answer lacks `output`
 --> answers.jsonl:5:1
  |
5 | {"case": "b"}
  | ^^^^^^^^^^^^^
  |
  = help: `output` is a text

error: the row does not parse: expected value
 --> answers.jsonl:6:1
  |
6 | oops
  | ^
  |
  = help: a row is one JSON object on one line

error: `trial` is not a whole number from 1
 --> answers.jsonl:7:24
  |
7 | {"case": "b", "trial": 0, "output": "4"}
  |                        ^
  |
  = help: such as {"case": "c-1", "output": "billing", "trial": 1}

error: unknown key `tokens` in `usage`
 --> answers.jsonl:8:40
  |
8 | {"case": "b", "output": "4", "usage": {"tokens": 1}}
  |                                        ^^^^^^^^
  |
  = help: there is `input_tokens`, `output_tokens`, `prompt_tokens` and `completion_tokens`

error: `output` holds the character NUL
 --> answers.jsonl:9:25
  |
9 | {"case": "b", "output": "\u0000"}
  |                         ^^^^^^^^
  |
  = help: take it out: databases hold no text with a NUL

8 errors: nothing was run
"#);
    assert_snapshot!(told_of(&[("suite.yaml", &suite)]), @r#"
error: cannot read answers.jsonl: there is no such file
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: paths begin at the suite's folder

1 error: nothing was run
"#);
}

#[test]
fn recorded_answers_that_look_wrong() {
    let suite = suite_with("models", RECORDED);
    let answers = "{\"case\": \"a\", \"output\": \"2\", \"trial\": 2}\n{\"case\": \"z\", \"output\": \"3\"}\n{\"case\": 7, \"output\": \"\"}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("answers.jsonl", answers)]), @r#"
warning: answers.jsonl: 2 lines for cases that the suite does not have: `z`, `7`
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: they are not played back

warning: answers.jsonl: 1 line for trials beyond the suite's 1 trial
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: they are not played back; `repeats` says how many are

warning: 1 case has no answer in answers.jsonl
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: their jobs end as errored(no_recording)
"#);
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("answers.jsonl", "")]), @r#"
error: answers.jsonl holds no answer
 --> suite.yaml:5:44
  |
5 |   - {provider: recorded, model: gpt, file: answers.jsonl}
  |                                            ^^^^^^^^^^^^^
  |
  = help: a line is an answer: {"case": "c-1", "output": "billing"}

1 error: nothing was run
"#);
}

/// Further rounds of trials that a gate may add are played back too.
#[test]
fn recorded_answers_of_further_rounds_of_trials() {
    let trials = |count: u32| {
        let line = |trial| format!("{{\"case\": \"a\", \"output\": \"2\", \"trial\": {trial}}}\n");
        (1..=count).map(line).collect::<String>()
    };
    let check = |repeats: u32, max_repeats: &str, recorded: u32, expected: Option<&str>| {
        let gate = format!(
            "repeats: {repeats}\n{RECORDED}gate:\n  {max_repeats}\n  rules: [{{metric: pass_rate, max_drop: 0.9, tier: supporting}}]\n"
        );
        let told =
            told_of(&[("suite.yaml", &suite_with("models", &gate)), ("answers.jsonl", &trials(recorded))]);
        match expected {
            Some(part) => assert!(told.contains(part), "{told}"),
            None => assert!(!told.contains("beyond"), "{told}"),
        }
    };
    check(2, "max_repeats: 6", 6, None);
    check(2, "max_repeats: 6", 7, Some("1 line for trials beyond the suite's 6 trials"));
    check(2, "max_repeats: 6", 7, Some("`repeats` and the gate's `max_repeats` say how many are"));
    // Whole rounds only.
    check(2, "max_repeats: 7", 7, Some("1 line for trials beyond the suite's 6 trials"));
    check(2, "max_repeats: 1", 3, Some("1 line for trials beyond the suite's 2 trials"));
    check(2, "stop_early: true", 6, Some("4 lines for trials beyond the suite's 2 trials"));
}
