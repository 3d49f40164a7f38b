//! Bad suites: every problem at once, each with its place.

use insta::assert_snapshot;

use super::{Folder, config, suite_with, told, told_of};

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
   = help: did you mean `openai`? providers are configured in assay.toml

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

error: this scorer lacks the key `value`
  --> suite.yaml:23:5
   |
23 |   - type: equals
   |     ^
   |
   = help: What the output must equal, as it stands; an object or a list: as JSON.

error: `many` is no number
  --> suite.yaml:24:27
   |
24 |   - {type: number, value: many, weight: -1}
   |                           ^^^^

error: `weight` is -1, but must be from 0 to 1000000
  --> suite.yaml:24:41
   |
24 |   - {type: number, value: many, weight: -1}
   |                                         ^^

error: the scorer `judge` is not in this version; score with the others until it is
  --> suite.yaml:25:12
   |
25 |   - {type: judge, rubric: Is it polite?}
   |            ^^^^^

error: `repeats` is 0, but must be from 1 to 1000
  --> suite.yaml:26:10
   |
26 | repeats: 0
   |          ^

error: `reduce`: `avg` is no way to reduce trials; there is `mean`, `median`, `mode`, `majority`, `all`, `any`, `at-least(k)`, `pass@k` and `pass^k`
  --> suite.yaml:27:9
   |
27 | reduce: avg
   |         ^^^

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

1 error: nothing was run
"#);
    let told_of_path = |path: &str| {
        let problems = assay_coordinator::suite::load(&folder.path(path), &config()).unwrap_err();
        folder.without_folder(&problems.to_string())
    };
    assert_snapshot!(told_of_path("prompts"), @r#"
error: cannot read prompts: it is not a file
--> prompts

1 error: nothing was run
"#);
    assert_snapshot!(told_of_path("nowhere/suite.yaml"), @r#"
error: cannot read nowhere: there is no such file
--> nowhere/suite.yaml

1 error: nothing was run
"#);
    folder.write("latin.yaml", b"suite: a\nowner: Ren\xe9\n");
    assert_snapshot!(told_of_path("latin.yaml"), @r#"
error: latin.yaml is not UTF-8: see line 2
--> latin.yaml

1 error: nothing was run
"#);
    assert_snapshot!(told(""), @r#"
error: the suite is empty
--> suite.yaml

1 error: nothing was run
"#);
    assert_snapshot!(told("# nothing yet\n"), @r#"
error: the suite is empty
--> suite.yaml

1 error: nothing was run
"#);
    assert_snapshot!(told("- a\n- b\n"), @r#"
error: the suite is a list, but a map is wanted
 --> suite.yaml:1:1
  |
1 | - a
  | ^

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

1 error: nothing was run
"#);
    assert_snapshot!(told("suite: sums\n\tprompts: 1\n"), @r#"
error: not YAML: while scanning a plain scalar, found a tab
 --> suite.yaml:1:8
  |
1 | suite: sums
  |        ^

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

1 error: nothing was run
"#);
}

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

error: `models` is a map, but a list is wanted
 --> suite.yaml:6:9
  |
6 | models: {openai: gpt}
  |         ^

error: `cases` is an empty list
 --> suite.yaml:7:8
  |
7 | cases: []
  |        ^

error: `threshold` is a text, but a number or a percentage such as 10% is wanted
 --> suite.yaml:8:12
  |
8 | threshold: high
  |            ^^^^

error: `repeats` is a number, but a whole number is wanted
 --> suite.yaml:9:10
  |
9 | repeats: 1.5
  |          ^^^

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

error: `deadline`: `soon` is no length of time; write 500ms, 90s, 15m, 2h, 14d or 1h30m
  --> suite.yaml:12:11
   |
12 | deadline: soon
   |           ^^^^

error: `gate` has no value: a map is wanted
  --> suite.yaml:13:5
   |
13 | gate:
   |     ^
   |
   = help: give it a value or delete the key

11 errors: nothing was run
"#);
}

#[test]
fn prompts() {
    assert_snapshot!(told(&suite_with("prompts", "
prompts:
  - {name: ask, file: prompts/ask.md}
  - {name: ask, file: prompts/ask.md, baseline: true}
  - {name: ask, label: both, file: prompts/ask.md, text: x, baseline: true}
  - {name: ask, label: neither}
  - {name: ask, label: live, channel: production}
  - {name: ask, label: list, text: [{role: user, content: x}]}
  - {name: ask, label: empty, text: ' '}
  - {label: nameless, text: x}
")), @r#"
error: the label `ask` is taken by the entry on line 4
 --> suite.yaml:5:23
  |
5 |   - {name: ask, file: prompts/ask.md, baseline: true}
  |                       ^^^^^^^^^^^^^^
  |
  = help: give each entry a `label` of its own: tables and rules call it so

error: a prompt has both `file` and `text`
 --> suite.yaml:6:52
  |
6 |   - {name: ask, label: both, file: prompts/ask.md, text: x, baseline: true}
  |                                                    ^^^^
  |
  = help: keep one of `file` or `text`

error: a second baseline; the first is on line 5
 --> suite.yaml:6:71
  |
6 |   - {name: ask, label: both, file: prompts/ask.md, text: x, baseline: true}
  |                                                                       ^^^^

error: a prompt lacks one of the keys `file` or `text`
 --> suite.yaml:7:5
  |
7 |   - {name: ask, label: neither}
  |     ^

error: `channel` needs releases, which this version does not have: name a `file` or write a `text`
 --> suite.yaml:8:30
  |
8 |   - {name: ask, label: live, channel: production}
  |                              ^^^^^^^

error: `text` is a list, but a text is wanted
 --> suite.yaml:9:36
  |
9 |   - {name: ask, label: list, text: [{role: user, content: x}]}
  |                                    ^

error: the prompt is empty
  --> suite.yaml:10:37
   |
10 |   - {name: ask, label: empty, text: ' '}
   |                                     ^^^

error: a prompt lacks the key `name`
  --> suite.yaml:11:5
   |
11 |   - {label: nameless, text: x}
   |     ^
   |
   = help: The line of work; entries with one name are its versions.

8 errors: nothing was run
"#);
}

#[test]
fn chat_prompts() {
    let suite = suite_with("prompts", "prompts: [{name: ask, file: chat.yaml}]\n");
    let chat = "- {role: sytem, content: Be brief.}\n- role: user\n  contents: '{{ question }}'\n- {role: user, content: '{{ qestion }}'}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("chat.yaml", chat)]), @r#"
error: `role` cannot be `sytem`
 --> chat.yaml:1:10
  |
1 | - {role: sytem, content: Be brief.}
  |          ^^^^^
  |
  = help: did you mean `system`?

error: a message lacks the key `content`
 --> chat.yaml:2:3
  |
2 | - role: user
  |   ^
  |
  = help: What is said.

error: unknown key `contents` in a message
 --> chat.yaml:3:3
  |
3 |   contents: '{{ question }}'
  |   ^^^^^^^^
  |
  = help: did you mean `content`?

error: no case has the variable `qestion`
 --> chat.yaml:4:29
  |
4 | - {role: user, content: '{{ qestion }}'}
  |                             ^^^^^^^
  |
  = help: did you mean `question`?

4 errors: nothing was run
"#);
    let suite = suite_with("prompts", "prompts: [{name: ask, file: chat.json}]\n");
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("chat.json", "{\"role\": \"user\"}")]), @r#"
error: a chat prompt is a map, but a list is wanted
 --> chat.json:1:1
  |
1 | {"role": "user"}
  | ^

1 error: nothing was run
"#);
}

#[test]
fn templates() {
    let suite = suite_with(
        "prompts",
        "
prompts:
  - {name: ask, file: prompts/ask.md}
  - name: ask
    label: inline
    text: |
      Answer in one word.
      {{ question | }}
score:
  - {type: equals, value: '{{ answr }}'}
  - {type: contains-any, value: [fine, '{{ anwser }}']}
",
    );
    let prompt = "{% if lang %}\nQuestion: {{ queston }}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("prompts/ask.md", prompt)]), @r#"
error: not a template: syntax error: unexpected end of variable block, expected identifier
 --> suite.yaml:9:7
  |
9 |       {{ question | }}
  |       ^^^^^^^^^^^^^^^^

error: no case has the variable `answr`
  --> suite.yaml:11:31
   |
11 |   - {type: equals, value: '{{ answr }}'}
   |                               ^^^^^
   |
   = help: did you mean `answer`?

error: no case has the variable `anwser`
  --> suite.yaml:12:44
   |
12 |   - {type: contains-any, value: [fine, '{{ anwser }}']}
   |                                            ^^^^^^
   |
   = help: did you mean `answer`?

error: not a template: syntax error: unexpected end of input, expected end of block
 --> prompts/ask.md:2:1
  |
2 | Question: {{ queston }}
  | ^^^^^^^^^^^^^^^^^^^^^^^

4 errors: nothing was run
"#);
    let prompt = "{{ question }} {{ nobody_has_this }}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite_with("", "")), ("prompts/ask.md", prompt)]), @r#"
error: no case has the variable `nobody_has_this`
 --> prompts/ask.md:1:19
  |
1 | {{ question }} {{ nobody_has_this }}
  |                   ^^^^^^^^^^^^^^^
  |
  = help: there is `answer`, `id`, `lang` and `question`

1 error: nothing was run
"#);
}

#[test]
fn models() {
    assert_snapshot!(told(&suite_with("models", "
models:
  - gpt-4.1
  - echo/parrot
  - echo/parrot
  - {provider: locl, model: m}
  - {provider: local, model: m, base_url: 'http://evil', api_key_env: HOME, headers: {a: b}}
  - {provider: local, model: m, file: answers.jsonl}
  - recorded/gpt
  - {provider: local, model: m, temperature: 3, max_tokens: 0, seed: x, stop: 1.5}
budget_usd: 5
")), @r#"
error: an entry of `models`: `gpt-4.1` is no model; write `provider/model`, such as openai/gpt-4.1-mini
 --> suite.yaml:6:5
  |
6 |   - gpt-4.1
  |     ^^^^^^^

error: unknown provider `locl`
 --> suite.yaml:9:16
  |
9 |   - {provider: locl, model: m}
  |                ^^^^
  |
  = help: did you mean `local`? providers are configured in assay.toml

error: unknown key `base_url` in a model
  --> suite.yaml:10:33
   |
10 |   - {provider: local, model: m, base_url: 'http://evil', api_key_env: HOME, headers: {a: b}}
   |                                 ^^^^^^^^
   |
   = help: there is `provider`, `model`, `temperature`, `top_p`, `max_tokens`, `seed`, `stop`, `frequency_penalty`, `presence_penalty` and `file`

error: unknown key `api_key_env` in a model
  --> suite.yaml:10:58
   |
10 |   - {provider: local, model: m, base_url: 'http://evil', api_key_env: HOME, headers: {a: b}}
   |                                                          ^^^^^^^^^^^
   |
   = help: there is `provider`, `model`, `temperature`, `top_p`, `max_tokens`, `seed`, `stop`, `frequency_penalty`, `presence_penalty` and `file`

error: unknown key `headers` in a model
  --> suite.yaml:10:77
   |
10 |   - {provider: local, model: m, base_url: 'http://evil', api_key_env: HOME, headers: {a: b}}
   |                                                                             ^^^^^^^
   |
   = help: there is `provider`, `model`, `temperature`, `top_p`, `max_tokens`, `seed`, `stop`, `frequency_penalty`, `presence_penalty` and `file`

error: `local` answers by itself: `file` is for recorded answers
  --> suite.yaml:11:39
   |
11 |   - {provider: local, model: m, file: answers.jsonl}
   |                                       ^^^^^^^^^^^^^

error: cannot read answers.jsonl: there is no such file
  --> suite.yaml:11:39
   |
11 |   - {provider: local, model: m, file: answers.jsonl}
   |                                       ^^^^^^^^^^^^^

error: `recorded` plays back a file of answers, but no `file` is named
  --> suite.yaml:12:5
   |
12 |   - recorded/gpt
   |     ^^^^^^^^^^^^
   |
   = help: write the model as a map with `provider`, `model` and `file`

error: `temperature` is 3, but must be from 0 to 2
  --> suite.yaml:13:46
   |
13 |   - {provider: local, model: m, temperature: 3, max_tokens: 0, seed: x, stop: 1.5}
   |                                              ^

error: `max_tokens` is 0, but must be from 1 to 4294967295
  --> suite.yaml:13:61
   |
13 |   - {provider: local, model: m, temperature: 3, max_tokens: 0, seed: x, stop: 1.5}
   |                                                             ^

error: `seed` is a text, but a whole number is wanted
  --> suite.yaml:13:70
   |
13 |   - {provider: local, model: m, temperature: 3, max_tokens: 0, seed: x, stop: 1.5}
   |                                                                      ^

error: a budget needs prices, and that of `local/m` is unknown
  --> suite.yaml:14:13
   |
14 | budget_usd: 5
   |             ^
   |
   = help: add [prices."local/m"] to assay.toml, with input_per_mtok and output_per_mtok

warning: `echo/parrot` is listed twice, first on line 7
 --> suite.yaml:8:5
  |
8 |   - echo/parrot
  |     ^^^^^^^^^^^

12 errors: nothing was run
"#);
}

#[test]
fn scorers() {
    assert_snapshot!(told(&suite_with("", "
score:
  - {type: llm-rubric, value: x}
  - {type: not-contain, value: x}
  - {value: x}
  - {type: equals, value: }
  - {type: contains, value: [a]}
  - {type: contains-all, value: []}
  - {type: starts-with, value: a, treshold: 1}
  - {type: regex, value: 'a(?<b', extract: '(c'}
  - {type: number, value: eight, tolerance: -1}
  - {type: is-json, value: {type: strng}}
  - {type: is-json, value: 'no schema'}
  - {type: equals, value: a, extract: {json: 'a.b'}}
  - {type: equals, value: a, extract: {regex: 'a'}}
  - {type: equals, value: a, weight: heavy, metric: pass_rate}
  - not-equals
")), @r#"
error: unknown scorer `llm-rubric`
 --> suite.yaml:9:12
  |
9 |   - {type: llm-rubric, value: x}
  |            ^^^^^^^^^^
  |
  = help: there is `equals`, `contains`, `icontains`, `contains-any`, `icontains-any`, `contains-all`, `icontains-all`, `regex`, `starts-with`, `number` and `is-json`

error: unknown scorer `not-contain`
  --> suite.yaml:10:12
   |
10 |   - {type: not-contain, value: x}
   |            ^^^^^^^^^^^
   |
   = help: did you mean `not-contains`?

error: an entry of `score` lacks the key `type`
  --> suite.yaml:11:5
   |
11 |   - {value: x}
   |     ^

error: `value` has no value
  --> suite.yaml:12:25
   |
12 |   - {type: equals, value: }
   |                         ^
   |
   = help: write "" for an empty text

error: `value` is a list, but a text is wanted
  --> suite.yaml:13:29
   |
13 |   - {type: contains, value: [a]}
   |                             ^

error: `value` is an empty list
  --> suite.yaml:14:33
   |
14 |   - {type: contains-all, value: []}
   |                                 ^

error: unknown key `treshold` in this scorer
  --> suite.yaml:15:35
   |
15 |   - {type: starts-with, value: a, treshold: 1}
   |                                   ^^^^^^^^
   |
   = help: there is `type`, `weight`, `metric`, `extract` and `value`

error: not a regular expression: Parsing error at position 2: Could not parse group name
  --> suite.yaml:16:26
   |
16 |   - {type: regex, value: 'a(?<b', extract: '(c'}
   |                          ^^^^^^^

error: `extract`: not a regular expression: Parsing error at position 2: Opening parenthesis without closing parenthesis
  --> suite.yaml:16:44
   |
16 |   - {type: regex, value: 'a(?<b', extract: '(c'}
   |                                            ^^^^

error: `eight` is no number
  --> suite.yaml:17:27
   |
17 |   - {type: number, value: eight, tolerance: -1}
   |                           ^^^^^

error: `tolerance` is -1, but must be 0 or more
  --> suite.yaml:17:45
   |
17 |   - {type: number, value: eight, tolerance: -1}
   |                                             ^^

error: not a JSON Schema: "strng" is not valid under any of the schemas listed in the 'anyOf' keyword
  --> suite.yaml:18:28
   |
18 |   - {type: is-json, value: {type: strng}}
   |                            ^

error: the schema is no JSON: expected ident at line 1 column 2
  --> suite.yaml:19:28
   |
19 |   - {type: is-json, value: 'no schema'}
   |                            ^^^^^^^^^^^

error: `json`: `a.b` is no JSONPath, such as $.answer
  --> suite.yaml:20:46
   |
20 |   - {type: equals, value: a, extract: {json: 'a.b'}}
   |                                              ^^^^^

error: `extract` lacks the key `json`
  --> suite.yaml:21:39
   |
21 |   - {type: equals, value: a, extract: {regex: 'a'}}
   |                                       ^
   |
   = help: A JSONPath (RFC 9535) into the output parsed as JSON.

error: unknown key `regex` in `extract`
  --> suite.yaml:21:40
   |
21 |   - {type: equals, value: a, extract: {regex: 'a'}}
   |                                        ^^^^^
   |
   = help: there is `json`

error: `weight` is a text, but a number is wanted
  --> suite.yaml:22:38
   |
22 |   - {type: equals, value: a, weight: heavy, metric: pass_rate}
   |                                      ^^^^^

error: `pass_rate` is a metric of every run; choose another name
  --> suite.yaml:22:53
   |
22 |   - {type: equals, value: a, weight: heavy, metric: pass_rate}
   |                                                     ^^^^^^^^^

error: an entry of `score` is a text, but a map is wanted
  --> suite.yaml:23:5
   |
23 |   - not-equals
   |     ^^^^^^^^^^

19 errors: nothing was run
"#);
}

#[test]
fn gates() {
    assert_snapshot!(told(&suite_with("", "
score:
  - {type: equals, value: a, metric: routing}
reduce: pass@3
repeats: 2
gate:
  confidence: 0.5
  max_cases: 100
  max_repeats: 5
  min_cases: 0
  max_error_rate: 1%
  expires: 0s
  rules:
    - {metric: rooting, min: 0.9}
    - {metric: pass_rate}
    - {metric: pass_rate, max_drop: 0.02}
    - {metric: pass_rate, min: 92}
    - {metric: latency_p0_ms, max: 1}
    - {metric: latency_p95_ms, max: 10%}
    - {metric: latency_p95_ms, max_drop: 0.1}
    - {metric: pass_rate, max_increase: 0.1}
    - {metric: routing, min: 0.9, slice: {language: de}}
    - {metric: routing, min: 0.9, slice: {lnag: de}, tier: high, estimand: all}
    - {metric: mean_score, min: 0.5}
    - {metric: mean_score, min: 0.5}
")), @r#"
error: `pass@3` needs at least 3 trials, and `repeats` is 2
  --> suite.yaml:10:9
   |
10 | reduce: pass@3
   |         ^^^^^^

error: `confidence` is 0.5, but must be above 0.5 and below 1
  --> suite.yaml:13:15
   |
13 |   confidence: 0.5
   |               ^^^

error: topping up is not in this version: a gate decides on the run's own cases and trials
  --> suite.yaml:14:3
   |
14 |   max_cases: 100
   |   ^^^^^^^^^

error: topping up is not in this version: a gate decides on the run's own cases and trials
  --> suite.yaml:15:3
   |
15 |   max_repeats: 5
   |   ^^^^^^^^^^^

error: `min_cases` is 0, but must be 1 or more
  --> suite.yaml:16:14
   |
16 |   min_cases: 0
   |              ^

error: `expires`: a length of time above zero is wanted
  --> suite.yaml:18:12
   |
18 |   expires: 0s
   |            ^^

error: no scorer has the metric `rooting`
  --> suite.yaml:20:16
   |
20 |     - {metric: rooting, min: 0.9}
   |                ^^^^^^^
   |
   = help: did you mean `routing`?

error: a rule lacks one of the keys `min`, `max`, `max_drop` or `max_increase`
  --> suite.yaml:21:7
   |
21 |     - {metric: pass_rate}
   |       ^

error: `max_drop` compares with a baseline, and a sole prompt has none
  --> suite.yaml:22:27
   |
22 |     - {metric: pass_rate, max_drop: 0.02}
   |                           ^^^^^^^^
   |
   = help: add the version it is compared with to `prompts`

error: `pass_rate` lies between 0 and 1, and 92 does not
  --> suite.yaml:23:32
   |
23 |     - {metric: pass_rate, min: 92}
   |                                ^^
   |
   = help: write 0.92 or 92%

error: no scorer has the metric `latency_p0_ms`
  --> suite.yaml:24:16
   |
24 |     - {metric: latency_p0_ms, max: 1}
   |                ^^^^^^^^^^^^^
   |
   = help: did you mean `latency_p50_ms`?

error: `latency_p95_ms` is no share: 10% of what?
  --> suite.yaml:25:37
   |
25 |     - {metric: latency_p95_ms, max: 10%}
   |                                     ^^^

error: `max_drop` compares with a baseline, and a sole prompt has none
  --> suite.yaml:26:32
   |
26 |     - {metric: latency_p95_ms, max_drop: 0.1}
   |                                ^^^^^^^^
   |
   = help: add the version it is compared with to `prompts`

error: of `latency_p95_ms` less is better: `max_drop` would not guard it
  --> suite.yaml:26:32
   |
26 |     - {metric: latency_p95_ms, max_drop: 0.1}
   |                                ^^^^^^^^
   |
   = help: did you mean `max_increase`?

error: `max_increase` compares with a baseline, and a sole prompt has none
  --> suite.yaml:27:27
   |
27 |     - {metric: pass_rate, max_increase: 0.1}
   |                           ^^^^^^^^^^^^
   |
   = help: add the version it is compared with to `prompts`

error: of `pass_rate` more is better: `max_increase` would not guard it
  --> suite.yaml:27:27
   |
27 |     - {metric: pass_rate, max_increase: 0.1}
   |                           ^^^^^^^^^^^^
   |
   = help: did you mean `max_drop`?

error: no case declares the tag `language`
  --> suite.yaml:28:43
   |
28 |     - {metric: routing, min: 0.9, slice: {language: de}}
   |                                           ^^^^^^^^
   |
   = help: there is `lang`

error: no case declares the tag `lnag`
  --> suite.yaml:29:43
   |
29 |     - {metric: routing, min: 0.9, slice: {lnag: de}, tier: high, estimand: all}
   |                                           ^^^^
   |
   = help: did you mean `lang`?

error: `tier` cannot be `high`
  --> suite.yaml:29:60
   |
29 |     - {metric: routing, min: 0.9, slice: {lnag: de}, tier: high, estimand: all}
   |                                                            ^^^^
   |
   = help: there is `critical`, `supporting` and `advisory`

error: `estimand` cannot be `all`
  --> suite.yaml:29:76
   |
29 |     - {metric: routing, min: 0.9, slice: {lnag: de}, tier: high, estimand: all}
   |                                                                            ^^^
   |
   = help: there is `suite` and `population`

error: the rule `mean_score min 0.5` is already on line 30
  --> suite.yaml:31:7
   |
31 |     - {metric: mean_score, min: 0.5}
   |       ^
   |
   = help: delete one, or give them names of their own

21 errors: nothing was run
"#);
}

#[test]
fn budgets_need_prices() {
    let suite = suite_with("models", "models: [local/priced, local/unpriced, echo/parrot]\nbudget_usd: 5\n");
    assert_snapshot!(told(&suite), @r#"
error: a budget needs prices, and that of `local/unpriced` is unknown
 --> suite.yaml:5:13
  |
5 | budget_usd: 5
  |             ^
  |
  = help: add [prices."local/unpriced"] to assay.toml, with input_per_mtok and output_per_mtok

1 error: nothing was run
"#);
}

#[test]
fn warnings_do_not_stop_a_run() {
    let suite = suite_with(
        "prompts",
        "
prompts:
  - {name: ask, label: one, text: 'Answer {{ question }} {{ extra }}'}
  - {name: ask, label: two, text: 'Answer {{ question }} {{ extra }}'}
gate:
  min_cases: 10
  rules: [{metric: pass_rate, min: 50%}]
",
    );
    let cases = "{\"id\": 1, \"question\": \"a\", \"lang\": \"de\", \"extra\": 1}\n{\"id\": 2, \"question\": \"a\", \"lang\": \"de\"}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("cases.jsonl", cases)]), @r#"
warning: 1 case lacks the variable `extra`
 --> suite.yaml:4:61
  |
4 |   - {name: ask, label: one, text: 'Answer {{ question }} {{ extra }}'}
  |                                                             ^^^^^
  |
  = help: their jobs end in an error where the template needs it

warning: `two` has the same content as `one`: they are one version
 --> suite.yaml:5:24
  |
5 |   - {name: ask, label: two, text: 'Answer {{ question }} {{ extra }}'}
  |                        ^^^

warning: the suite has 2 cases: this gate is always inconclusive
 --> suite.yaml:7:14
  |
7 |   min_cases: 10
  |              ^^
"#);
}
