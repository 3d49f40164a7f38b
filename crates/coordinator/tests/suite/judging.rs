//! What is wrong with how answers are judged: scorers, gates, budgets; and what only looks wrong.

use insta::assert_snapshot;

use super::{suite_with, told, told_of};

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
   |
   = help: there is `equals`, `contains`, `icontains`, `contains-any`, `icontains-any`, `contains-all`, `icontains-all`, `regex`, `starts-with`, `number` and `is-json`

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
   |
   = help: The text to look for.

error: `value` is an empty list
  --> suite.yaml:14:33
   |
14 |   - {type: contains-all, value: []}
   |                                 ^
   |
   = help: A list of texts, or one text split on commas outside double quotes.

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
   |
   = help: `contains` looks for a text as it stands

error: `extract`: not a regular expression: Parsing error at position 2: Opening parenthesis without closing parenthesis
  --> suite.yaml:16:44
   |
16 |   - {type: regex, value: 'a(?<b', extract: '(c'}
   |                                            ^^^^
   |
   = help: The part of the output to look at: a regular expression (its group 1), `last-number`, `last-line` or {json: $.path}.

error: `eight` is no number
  --> suite.yaml:17:27
   |
17 |   - {type: number, value: eight, tolerance: -1}
   |                           ^^^^^
   |
   = help: write digits, such as 1234.5, or a template such as '{{ answer }}'

error: `tolerance` is -1, but must be 0 or more
  --> suite.yaml:17:45
   |
17 |   - {type: number, value: eight, tolerance: -1}
   |                                             ^^
   |
   = help: The largest difference that passes. Default: 0.

error: not a JSON Schema: "strng" is not valid under any of the schemas listed in the 'anyOf' keyword
  --> suite.yaml:18:28
   |
18 |   - {type: is-json, value: {type: strng}}
   |                            ^
   |
   = help: such as {type: object, required: [answer]}

error: the schema is no JSON: expected ident at line 1 column 2
  --> suite.yaml:19:28
   |
19 |   - {type: is-json, value: 'no schema'}
   |                            ^^^^^^^^^^^
   |
   = help: write it as a YAML map, or as the text of a JSON object

error: `json`: `a.b` is no JSONPath, such as $.answer
  --> suite.yaml:20:46
   |
20 |   - {type: equals, value: a, extract: {json: 'a.b'}}
   |                                              ^^^^^
   |
   = help: A JSONPath (RFC 9535) into the output parsed as JSON.

error: `extract` lacks the key `json`
  --> suite.yaml:21:39
   |
21 |   - {type: equals, value: a, extract: {regex: 'a'}}
   |                                       ^
   |
   = help: add `json`. A JSONPath (RFC 9535) into the output parsed as JSON.

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
   |
   = help: Its share of the weighted score. Default: 1; at 0 it decides nothing.

error: `pass_rate` is a metric of every run
  --> suite.yaml:22:53
   |
22 |   - {type: equals, value: a, weight: heavy, metric: pass_rate}
   |                                                     ^^^^^^^^^
   |
   = help: choose another name

error: an entry of `score` is a text, but a map is wanted
  --> suite.yaml:23:5
   |
23 |   - not-equals
   |     ^^^^^^^^^^
   |
   = help: How an output is judged. All must pass unless `threshold` is set.

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
   |
   = help: set `repeats` to 3 or more

error: `confidence` is 0.5, but must be above 0.5 and below 1
  --> suite.yaml:13:15
   |
13 |   confidence: 0.5
   |               ^^^
   |
   = help: Confidence of intervals and tests. Default: 0.95.

error: `min_cases` is 0, but must be 1 or more
  --> suite.yaml:16:14
   |
16 |   min_cases: 0
   |              ^
   |
   = help: Fewer scored cases than this: inconclusive.

error: `expires`: a length of time above zero is wanted
  --> suite.yaml:18:12
   |
18 |   expires: 0s
   |            ^^
   |
   = help: How long a passing verdict may be used for a promotion, such as `14d`.

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
   |
   = help: add `min`. At least this.

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

error: `0` is no quantile of latency: a percentage from 1 to 99 is wanted
  --> suite.yaml:24:16
   |
24 |     - {metric: latency_p0_ms, max: 1}
   |                ^^^^^^^^^^^^^
   |
   = help: write `latency_p95_ms` or another one

error: `latency_p95_ms` is no share: 10% of what?
  --> suite.yaml:25:37
   |
25 |     - {metric: latency_p95_ms, max: 10%}
   |                                     ^^^
   |
   = help: write the number in the metric's own unit

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

warning: no latency is measured of `echo/parrot`: this rule is always inconclusive
  --> suite.yaml:25:16
   |
25 |     - {metric: latency_p95_ms, max: 10%}
   |                ^^^^^^^^^^^^^^
   |
   = help: leave it out, or try the prompts on a model that is asked over a network

warning: no latency is measured of `echo/parrot`: this rule is always inconclusive
  --> suite.yaml:26:16
   |
26 |     - {metric: latency_p95_ms, max_drop: 0.1}
   |                ^^^^^^^^^^^^^^
   |
   = help: leave it out, or try the prompts on a model that is asked over a network

19 errors: nothing was run
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
  |
  = help: a comparison of the two compares a prompt with itself

warning: the suite has 2 cases: this gate is always inconclusive
 --> suite.yaml:7:14
  |
7 |   min_cases: 10
  |              ^^
  |
  = help: demand fewer cases, or add some
"#);
}
