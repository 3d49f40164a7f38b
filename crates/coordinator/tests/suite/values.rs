//! Values of the wrong kind, and keys that are misspelt.

use insta::assert_snapshot;

use super::told;

#[test]
fn values_of_the_wrong_kind() {
    assert_snapshot!(told("
suite: [a]
owner: yes
description: true
prompts: prompts/ask.md
models: {openai: gpt}
cases: []
threshold: high
repeats: 1.5
priority: urgent
budget_usd: 0
deadline: soon
gate:
"), @r#"
error: `suite` is a list, but a text is wanted
 --> suite.yaml:2:8
  |
2 | suite: [a]
  |        ^
  |
  = help: The suite's name.

error: `description` is a truth value, but a text is wanted
 --> suite.yaml:4:14
  |
4 | description: true
  |              ^^^^
  |
  = help: quote it if it is a text

error: `prompts` is a text, but a list is wanted
 --> suite.yaml:5:10
  |
5 | prompts: prompts/ask.md
  |          ^^^^^^^^^^^^^^
  |
  = help: Versions of prompts; each is run on every model and case.

error: `models` is a map, but a list is wanted
 --> suite.yaml:6:9
  |
6 | models: {openai: gpt}
  |         ^
  |
  = help: What answers: `provider/model`, or a map with sampling parameters.

error: `cases` is an empty list
 --> suite.yaml:7:8
  |
7 | cases: []
  |        ^
  |
  = help: What is asked: files of cases, or single cases.

error: `threshold` is a text, but a number or a percentage such as 10% is wanted
 --> suite.yaml:8:12
  |
8 | threshold: high
  |            ^^^^
  |
  = help: A case passes at this weighted score, instead of when all scorers pass.

error: `repeats` is a number, but a whole number is wanted
 --> suite.yaml:9:10
  |
9 | repeats: 1.5
  |          ^^^
  |
  = help: Trials of each case. Default: 1.

error: `priority` cannot be `urgent`
  --> suite.yaml:10:11
   |
10 | priority: urgent
   |           ^^^^^^
   |
   = help: there is `interactive`, `normal` and `sweep`

error: `budget_usd` is 0, but must be above 0
  --> suite.yaml:11:13
   |
11 | budget_usd: 0
   |             ^
   |
   = help: The most a run may cost, in US dollars.

error: `deadline`: `soon` is no length of time; write 500ms, 90s, 15m, 2h, 14d or 1h30m
  --> suite.yaml:12:11
   |
12 | deadline: soon
   |           ^^^^
   |
   = help: The longest a run may take, such as `2h`. Default: 24h.

error: `gate` has no value: a map is wanted
  --> suite.yaml:13:5
   |
13 | gate:
   |     ^
   |
   = help: give it a value or delete the key

warning: nothing is scored: every answer passes
 --> suite.yaml:2:1
  |
2 | suite: [a]
  | ^
  |
  = help: add `score:` to judge answers

11 errors: nothing was run
"#);
}

#[test]
fn a_misspelt_key_is_told_once() {
    let text =
        "suite: x\nprompts:\n  - name: p\n    txt: hello\nmodles:\n  - echo/echo\ncases:\n  - vars: {}\n";
    assert_snapshot!(told(text), @r#"
error: unknown key `txt` in a prompt
 --> suite.yaml:4:5
  |
4 |     txt: hello
  |     ^^^
  |
  = help: did you mean `text`?

error: unknown key `modles` in the suite
 --> suite.yaml:5:1
  |
5 | modles:
  | ^^^^^^
  |
  = help: did you mean `models`?

warning: nothing is scored: every answer passes
 --> suite.yaml:1:1
  |
1 | suite: x
  | ^
  |
  = help: add `score:` to judge answers

2 errors: nothing was run
"#);
}
