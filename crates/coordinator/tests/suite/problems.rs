//! Bad suites as a whole: every problem at once, the file itself, its YAML.

use assay_coordinator::suite::{Lack, Live, Severity, load_with};
use insta::assert_snapshot;

use super::{Folder, config, suite_with, told};

#[test]
fn every_problem_is_told_at_once_and_none_twice() {
    assert_snapshot!(told("
suite: sums
ownr: me
prompts:
  - name: ask
    file: prompts/aks.md
  - name: ask
    text: 'Answer: {{ qestion }}'
models:
  - opnai/gpt
  - {provider: echo, model: parrot, temprature: 0, top_p: 2}
cases:
  - file: cases.jsonl
    id: id
    tags: [langg]
score:
  - type: contain
    value: x
  - type: not-equal
    value: x
  - type: regex
    value: '(a'
  - type: equals
  - {type: number, value: many, weight: -1}
  - {type: judge, rubric: Is it polite?}
repeats: 0
reduce: avg
gate:
  rules:
    - {metric: pass_rat, min: 0.9}
    - {metric: pass_rate, min: 92, max: 1}
"), @r#"
error: unknown key `ownr` in the suite
 --> suite.yaml:3:1
  |
3 | ownr: me
  | ^^^^
  |
  = help: did you mean `owner`?

error: cannot read prompts/aks.md: there is no such file
 --> suite.yaml:6:11
  |
6 |     file: prompts/aks.md
  |           ^^^^^^^^^^^^^^
  |
  = help: did you mean `prompts/ask.md`?

error: no case has the variable `qestion`
 --> suite.yaml:8:23
  |
8 |     text: 'Answer: {{ qestion }}'
  |                       ^^^^^^^
  |
  = help: did you mean `question`?

error: unknown provider `opnai`
  --> suite.yaml:10:5
   |
10 |   - opnai/gpt
   |     ^^^^^^^^^
   |
   = help: did you mean `openai`? (others are described in assay.toml)

error: unknown key `temprature` in a model
  --> suite.yaml:11:37
   |
11 |   - {provider: echo, model: parrot, temprature: 0, top_p: 2}
   |                                     ^^^^^^^^^^
   |
   = help: did you mean `temperature`?

error: `top_p` is 2, but must be above 0 and at most 1
  --> suite.yaml:11:59
   |
11 |   - {provider: echo, model: parrot, temprature: 0, top_p: 2}
   |                                                           ^
   |
   = help: Nucleus mass.

error: no row has the field `langg`
  --> suite.yaml:15:12
   |
15 |     tags: [langg]
   |            ^^^^^
   |
   = help: did you mean `lang`?

error: unknown scorer `contain`
  --> suite.yaml:17:11
   |
17 |   - type: contain
   |           ^^^^^^^
   |
   = help: did you mean `contains`?

error: unknown scorer `not-equal`
  --> suite.yaml:19:11
   |
19 |   - type: not-equal
   |           ^^^^^^^^^
   |
   = help: did you mean `not-equals`?

error: not a regular expression: Parsing error at position 2: Opening parenthesis without closing parenthesis
  --> suite.yaml:22:12
   |
22 |     value: '(a'
   |            ^^^^
   |
   = help: `contains` looks for a text as it stands

error: this scorer lacks the key `value`
  --> suite.yaml:23:5
   |
23 |   - type: equals
   |     ^
   |
   = help: add `value`. What the output must equal, as it stands; an object or a list: as JSON.

error: `many` is no number
  --> suite.yaml:24:27
   |
24 |   - {type: number, value: many, weight: -1}
   |                           ^^^^
   |
   = help: write digits, such as 1234.5, or a template such as '{{ answer }}'

error: `weight` is -1, but must be from 0 to 1000000
  --> suite.yaml:24:41
   |
24 |   - {type: number, value: many, weight: -1}
   |                                         ^^
   |
   = help: Its share of the weighted score. Default: 1; at 0 it decides nothing.

error: the scorer `judge` is not in this version; score with the others until it is
  --> suite.yaml:25:12
   |
25 |   - {type: judge, rubric: Is it polite?}
   |            ^^^^^
   |
   = help: How an output is judged. All must pass unless `threshold` is set.

error: `repeats` is 0, but must be from 1 to 1000
  --> suite.yaml:26:10
   |
26 | repeats: 0
   |          ^
   |
   = help: Trials of each case. Default: 1.

error: `reduce`: `avg` is no way to reduce trials, where k stands for a number, such as `pass^3`; there is `mean`, `median`, `mode`, `majority`, `all`, `any`, `at-least(k)`, `pass@k` and `pass^k`
  --> suite.yaml:27:9
   |
27 | reduce: avg
   |         ^^^
   |
   = help: How the trials of a case become one value. Default: mean.

error: no scorer has the metric `pass_rat`
  --> suite.yaml:30:16
   |
30 |     - {metric: pass_rat, min: 0.9}
   |                ^^^^^^^^
   |
   = help: did you mean `pass_rate`?

error: `pass_rate` lies between 0 and 1, and 92 does not
  --> suite.yaml:31:32
   |
31 |     - {metric: pass_rate, min: 92, max: 1}
   |                                ^^
   |
   = help: write 0.92 or 92%

error: a rule has both `min` and `max`
  --> suite.yaml:31:36
   |
31 |     - {metric: pass_rate, min: 92, max: 1}
   |                                    ^^^
   |
   = help: keep one of `min`, `max`, `max_drop` or `max_increase`

19 errors: nothing was run
"#);
}

#[test]
fn the_suite_file_itself() {
    let folder = Folder::with(&[]);
    assert_snapshot!(folder.load().unwrap_err(), @r#"
error: cannot read suite.yaml: there is no such file
--> suite.yaml
 = help: check its path

1 error: nothing was run
"#);
    let told_of_path = |path: &str| {
        let problems = assay_coordinator::suite::load(&folder.path(path), &config()).unwrap_err();
        folder.without_folder(&problems.to_string())
    };
    assert_snapshot!(told_of_path("prompts"), @r#"
error: cannot read prompts: it is not a file
--> prompts
 = help: name a file that can be read

1 error: nothing was run
"#);
    assert_snapshot!(told_of_path("nowhere/suite.yaml"), @r#"
error: cannot read nowhere/suite.yaml: there is no such file
--> nowhere/suite.yaml
 = help: check its path

1 error: nothing was run
"#);
    folder.write("latin.yaml", b"suite: a\nowner: Ren\xe9\n");
    assert_snapshot!(told_of_path("latin.yaml"), @r#"
error: the file is not UTF-8
 --> latin.yaml:2:11
  |
2 | owner: Ren�
  |           ^
  |
  = help: save the file as UTF-8

1 error: nothing was run
"#);
    assert_snapshot!(told(""), @r#"
error: the suite is empty
 --> suite.yaml:1:1
  |
1 |
  | ^
  |
  = help: docs/suite.md has one to begin with

1 error: nothing was run
"#);
    assert_snapshot!(told("# nothing yet\n"), @r#"
error: the suite is empty
 --> suite.yaml:2:1
  |
2 |
  | ^
  |
  = help: docs/suite.md has one to begin with

1 error: nothing was run
"#);
    assert_snapshot!(told("- a\n- b\n"), @r#"
error: the suite is a list, but a map is wanted
 --> suite.yaml:1:1
  |
1 | - a
  | ^
  |
  = help: write `key: value` pairs, such as `suite: triage`

1 error: nothing was run
"#);
}

#[test]
fn yaml_that_is_none() {
    assert_snapshot!(told("suite: sums\nprompts: [\n"), @r#"
error: not YAML: unclosed bracket '['
 --> suite.yaml:2:10
  |
2 | prompts: [
  |          ^
  |
  = help: nothing behind this place was read

1 error: nothing was run
"#);
    assert_snapshot!(told("suite: sums\n\tprompts: 1\n"), @r#"
error: a tab in the indentation
 --> suite.yaml:2:1
  |
2 |  prompts: 1
  | ^
  |
  = help: YAML is indented with spaces

1 error: nothing was run
"#);
    assert_snapshot!(told(&suite_with("suite", "suite: sums\nsuite: more\n")), @r#"
error: the key `suite` is given twice
 --> suite.yaml:2:1
  |
2 | suite: more
  | ^^^^^
  |
  = help: the first one is on line 1

1 error: nothing was run
"#);
    assert_snapshot!(told("suite: sums\n---\nsuite: more\n"), @r#"
error: a second document begins here
 --> suite.yaml:2:1
  |
2 | ---
  | ^^^
  |
  = help: a file holds one document

1 error: nothing was run
"#);
    assert_snapshot!(told(&suite_with("", "description: *unknown\n")), @r#"
error: not YAML: alias references unknown anchor
 --> suite.yaml:7:14
  |
7 | description: *unknown
  |              ^
  |
  = help: nothing behind this place was read

1 error: nothing was run
"#);
    assert_snapshot!(told(&suite_with("", "description: !env NAME\n")), @r#"
error: the tag `!env` means nothing here
 --> suite.yaml:7:19
  |
7 | description: !env NAME
  |                   ^^^^
  |
  = help: delete it; a text that begins with `!` is quoted

1 error: nothing was run
"#);
    // Those of YAML itself say what a value is anyway.
    assert_snapshot!(told(&suite_with("", "description: !!str 5\n")), @"");
}

/// Two files that cannot be used are no two versions of one prompt.
#[test]
fn what_could_not_be_read_has_no_twin() {
    let prompts =
        "prompts:\n  - {name: p, label: one, file: a.yaml}\n  - {name: p, label: two, file: b.yaml}\n";
    let told = super::told_of(&[
        ("suite.yaml", &suite_with("prompts", prompts)),
        ("a.yaml", "- {role: usr, content: hi}\n"),
        ("b.yaml", "- {role: user, contents: hi}\n"),
    ]);
    assert!(told.contains("a.yaml:1") && told.contains("b.yaml:1"), "{told}");
    assert!(!told.contains("same content"), "{told}");
}

/// What the machine lacks for a provider is told beside everything else, where the suite names the provider.
#[test]
fn what_a_provider_lacks_is_one_of_the_problems() {
    let suite = suite_with("models", "models: [openai/gpt, local/m, openai/other]\nownr: me\n");
    let folder = Folder::with(&[("suite.yaml", &suite)]);
    let check = |severity: Severity| {
        let lack = |provider: &str| {
            let lacks = || Lack { message: "no key".into(), hint: "set it".into(), severity };
            (provider == "openai").then(lacks)
        };
        let live = Live::default();
        let loaded = load_with(&folder.path("suite.yaml"), Some(&config()), &live, &lack);
        folder.without_folder(&loaded.unwrap_err().to_string())
    };
    assert_snapshot!(check(Severity::Error), @r#"
error: no key
 --> suite.yaml:4:10
  |
4 | models: [openai/gpt, local/m, openai/other]
  |          ^^^^^^^^^^
  |
  = help: set it

error: unknown key `ownr` in the suite
 --> suite.yaml:5:1
  |
5 | ownr: me
  | ^^^^
  |
  = help: did you mean `owner`?

2 errors: nothing was run
"#);
    let warned = check(Severity::Warning);
    assert!(warned.contains("warning: no key") && warned.contains("1 error: "), "{warned}");
}
