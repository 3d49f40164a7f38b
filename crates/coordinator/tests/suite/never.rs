//! Suites whose verdict is certain before they run: gates that can never decide, scorers that never do, templates that
//! fail for every case.

use insta::assert_snapshot;

use super::{suite_with, told, told_of};

#[test]
fn scorers_that_decide_nothing() {
    assert_snapshot!(told(&suite_with("", "score:\n  - {type: contains, value: a, weight: 0}\n  - {type: contains, value: b, weight: 0.0000001}\n")), @r#"
error: every scorer has the weight 0: every answer would pass
 --> suite.yaml:8:40
  |
8 |   - {type: contains, value: a, weight: 0}
  |                                        ^
  |
  = help: at 0 a scorer is recorded and decides nothing: give one of them a weight above 0

1 error: nothing was run
"#);
    assert_eq!(
        told(&suite_with(
            "",
            "score:\n  - {type: contains, value: a, weight: 0}\n  - {type: contains, value: b}\n"
        )),
        ""
    );
    let unscored = "suite: s\nprompts: [{name: p, text: hi}]\nmodels: [echo/e]\ncases: [{vars: {}, id: a}]\n";
    assert_snapshot!(told(unscored), @r#"
warning: nothing is scored: every answer passes
 --> suite.yaml:1:1
  |
1 | suite: s
  | ^
  |
  = help: add `score:` to judge answers
"#);
    assert_snapshot!(told(&format!("{unscored}gate: {{rules: [{{metric: pass_rate, min: 0.5}}, {{metric: latency_p95_ms, max: 9}}]}}\n")), @r#"
error: nothing is scored: every answer would pass, and `pass_rate` be 1
 --> suite.yaml:5:25
  |
5 | gate: {rules: [{metric: pass_rate, min: 0.5}, {metric: latency_p95_ms, max: 9}]}
  |                         ^^^^^^^^^
  |
  = help: add `score:` to judge answers

warning: no latency is measured of `echo/e`: this rule is always inconclusive
 --> suite.yaml:5:56
  |
5 | gate: {rules: [{metric: pass_rate, min: 0.5}, {metric: latency_p95_ms, max: 9}]}
  |                                                        ^^^^^^^^^^^^^^
  |
  = help: leave it out, or try the prompts on a model that is asked over a network

1 error: nothing was run
"#);
}

#[test]
fn gates_that_never_decide() {
    assert_snapshot!(told(&suite_with("models", "
models: [local/unpriced]
gate:
  rules:
    - {metric: pass_rate, min: 1.2}
    - {metric: pass_rate, min: 0.5, slice: {lang: fr}, name: french}
    - {metric: pass_rate, min: 0.5, slice: {lang: dee}, name: misspelt}
    - {metric: cost_per_case_usd, max: 1}
")), @r#"
error: `pass_rate` lies between 0 and 1, and 1.2 does not
 --> suite.yaml:8:32
  |
8 |     - {metric: pass_rate, min: 1.2}
  |                                ^^^
  |
  = help: write 0.012 or 1.2%

error: no case has the value `fr` of the tag `lang`
 --> suite.yaml:9:51
  |
9 |     - {metric: pass_rate, min: 0.5, slice: {lang: fr}, name: french}
  |                                                   ^^
  |
  = help: there is `de` and `en`

error: no case has the value `dee` of the tag `lang`
  --> suite.yaml:10:51
   |
10 |     - {metric: pass_rate, min: 0.5, slice: {lang: dee}, name: misspelt}
   |                                                   ^^^
   |
   = help: did you mean `de`?

warning: the price of `local/unpriced` is unknown: this rule is always inconclusive
  --> suite.yaml:11:16
   |
11 |     - {metric: cost_per_case_usd, max: 1}
   |                ^^^^^^^^^^^^^^^^^
   |
   = help: add [prices."local/unpriced"] to assay.toml, with input_per_mtok and output_per_mtok

3 errors: nothing was run
"#);
    let suite = suite_with(
        "cases",
        "cases: [{file: c.jsonl, id: id, tags: [lang, tier]}]\ngate:\n  rules:\n    - {metric: pass_rate, min: 0.5, slice: {lang: de, tier: 2}, tier: advisory}\n",
    );
    let cases = "{\"id\": 1, \"lang\": \"de\", \"tier\": 1, \"question\": 1}\n{\"id\": 2, \"lang\": \"en\", \"tier\": 2, \"question\": 2}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("c.jsonl", cases)]), @r#"
error: no case has all of these tags
 --> suite.yaml:8:44
  |
8 |     - {metric: pass_rate, min: 0.5, slice: {lang: de, tier: 2}, tier: advisory}
  |                                            ^
  |
  = help: each of them alone has cases; a rule on no case can never decide

warning: every rule is advisory: this gate never decides
 --> suite.yaml:8:71
  |
8 |     - {metric: pass_rate, min: 0.5, slice: {lang: de, tier: 2}, tier: advisory}
  |                                                                       ^^^^^^^^
  |
  = help: make one of them critical or supporting

1 error: nothing was run
"#);
    assert_snapshot!(told(&suite_with("", "gate: {rules: [{metric: pass_rate, min: 0.5, tier: advisory}]}\n")), @r#"
warning: every rule is advisory: this gate never decides
 --> suite.yaml:7:52
  |
7 | gate: {rules: [{metric: pass_rate, min: 0.5, tier: advisory}]}
  |                                                    ^^^^^^^^
  |
  = help: make one of them critical or supporting
"#);
}

#[test]
fn bounds_that_so_few_cases_cannot_show() {
    let rows: String = (0..20)
        .map(|n| format!("{{\"id\": {n}, \"question\": {n}, \"answer\": 1, \"lang\": \"de\"}}\n"))
        .collect();
    let check = |rule: &str, parts: &[&str]| {
        let suite = suite_with("", &format!("gate: {{rules: [{{{rule}}}]}}\n"));
        let told = told_of(&[("suite.yaml", &suite), ("cases.jsonl", &rows)]);
        assert_eq!(told.is_empty(), parts.is_empty(), "{told}");
        for part in parts {
            assert!(told.contains(part), "{part} is missing in:\n{told}");
        }
    };
    check(
        "metric: pass_rate, min: 0.99, estimand: population",
        &["warning: 20 cases cannot show that: if all passed", "at least 0.861"],
    );
    check("metric: pass_rate, max: 0.05, estimand: population", &["if none passed", "at most 0.139"]);
    check("metric: pass_rate, min: 0.8, estimand: population", &[]);
    check("metric: pass_rate, min: 0.99", &[]);
    check(
        "metric: latency_p50_ms, max: 9, estimand: population",
        &["20 cases show too little", "always inconclusive"],
    );
    let echoed = "warning: no latency is measured of `echo/parrot`: this rule is always inconclusive";
    check("metric: latency_p50_ms, max: 9", &[echoed]);
    let certain =
        "every case there could ever be passes, which no number of cases can show: this rule never passes";
    check(
        "metric: pass_rate, min: 1, estimand: population",
        &[certain, "demand less, or ask for this suite's"],
    );
    check("metric: pass_rate, max: 0, estimand: population", &["every case there could ever be fails"]);
    check("metric: pass_rate, min: 1", &[]);
    check("metric: latency_p50_ms, max: 0", &["every call takes some time: this rule passes only where"]);
    let both =
        |high: &str| format!("metric: pass_rate, min: 0.9, tier: supporting}}, {{metric: pass_rate, {high}");
    check(
        &both("max: 0.5"),
        &["error: `pass_rate min 0.9` on line 7 demands the opposite: this gate can never pass"],
    );
    check(&both("max: 0.5, name: low, slice: {lang: de}"), &["leaves no room for that"]);
    check(
        &both("max: 0.5, estimand: population, name: low, slice: {lang: de}"),
        &["leaves no room for that"],
    );
    check(&both("max: 0.95"), &[]);
}

#[test]
fn templates_that_fail_for_every_case() {
    let suite = suite_with(
        "prompts",
        "
prompts:
  - {name: ask, file: prompts/ask.md}
  - name: ask
    label: inline
    text: |
      Answer in one word.
      {{ question.text.first }}
score:
  - {type: contains, value: '{{ answer | uper }}'}
",
    );
    let prompt = "Line one\n{{ question | nosuchfilter }}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("prompts/ask.md", prompt)]), @r#"
error: the template fails for every case: undefined value: `question.text` is undefined
 --> suite.yaml:9:7
  |
9 |       {{ question.text.first }}
  |       ^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: seen with the variables of the case `a`

error: the template fails for every case: unknown filter: filter uper is unknown
  --> suite.yaml:11:29
   |
11 |   - {type: contains, value: '{{ answer | uper }}'}
   |                             ^^^^^^^^^^^^^^^^^^^^^
   |
   = help: seen with the variables of the case `a`

error: the template fails for every case: unknown filter: filter nosuchfilter is unknown
 --> prompts/ask.md:2:1
  |
2 | {{ question | nosuchfilter }}
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: seen with the variables of the case `a`

3 errors: nothing was run
"#);
}

#[test]
fn a_template_that_succeeds_for_some_case_is_fine() {
    let cases: String =
        (0..3).map(|n| format!("{{\"id\": {n}, \"question\": {n}, \"answer\": 1}}\n")).collect();
    let check = |prompt: &str| {
        told_of(&[
            ("suite.yaml", &suite_with("", "")),
            ("cases.jsonl", &cases.replace("\"answer\"", "\"lang\"")),
            ("prompts/ask.md", prompt),
        ])
    };
    assert_eq!(check("{{ 1 // question }}"), "");
    assert_ne!(check("{{ 1 // (question - question) }}"), "");
}

#[test]
fn less_latency_and_cost_are_better() {
    let suite = suite_with(
        "",
        "gate:\n  min_cases: 5\n  max_cases: 3\n  rules:\n    - {metric: latency_p95_ms, min: 10}\n",
    );
    let told = told(&suite);
    for part in [
        "of `latency_p95_ms` less is better: `min` would not guard it",
        "did you mean `max`?",
        "at most 3 cases are drawn, and `min_cases` demands 5",
    ] {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
}

/// Half of the cases cannot fail while nine tenths of all pass; a third of them could.
#[test]
fn bounds_on_a_part_and_on_the_whole_that_leave_no_room() {
    let rows = |german: usize| -> String {
        let lang = |n| if n < german { "de" } else { "en" };
        (0..20)
            .map(|n| {
                format!("{{\"id\": {n}, \"question\": {n}, \"answer\": 1, \"lang\": \"{}\"}}\n", lang(n))
            })
            .collect()
    };
    let check = |german: usize, gate: &str, [first, second]: [&str; 2], never: bool| {
        let rules = format!(
            "gate: {{{gate}rules: [{{metric: pass_rate, {first}}}, {{metric: pass_rate, {second}}}]}}\n"
        );
        let told = told_of(&[("suite.yaml", &suite_with("", &rules)), ("cases.jsonl", &rows(german))]);
        assert_eq!(
            told.contains("on line 7 leaves no room for that: this gate can never pass"),
            never,
            "{told}"
        );
    };
    let (most, few) = ("min: 0.9", "max: 0.1, slice: {lang: de}");
    check(10, "", [most, few], true);
    check(10, "", [few, most], true);
    check(2, "", [most, few], false);
    check(10, "", [most, "max: 0.8, slice: {lang: de}"], false);
    check(10, "", [most, "max: 0.7, slice: {lang: de}"], true);
    check(10, "", ["max: 0.4", "min: 0.8, slice: {lang: de}"], false);
    check(10, "", ["max: 0.4", "min: 0.9, slice: {lang: de}"], true);
    check(10, "", [most, "max: 0.1, slice: {lang: de}, tier: supporting"], true);
    check(10, "", [most, "max: 0.1, slice: {lang: de}, tier: supporting, estimand: population"], false);
    check(10, "stop_early: true, ", [most, few], false);
}

/// What is supporting may be inconclusive: it keeps a gate from passing only where it fails for certain.
#[test]
fn two_rules_keep_a_gate_from_passing_where_both_decide() {
    let check = |gate: &str, [first, second]: [&str; 2], never: bool| {
        for rules in [[first, second], [second, first]] {
            let [first, second] = rules;
            let gate = format!(
                "gate: {{{gate}rules: [{{metric: pass_rate, {first}}}, {{metric: pass_rate, {second}}}]}}\n"
            );
            let told = told(&suite_with("", &gate));
            assert_eq!(
                told.contains("on line 7 demands the opposite: this gate can never pass"),
                never,
                "{told}"
            );
        }
    };
    let most = "min: 0.9";
    check("", [most, "max: 0.5"], true);
    check("", [most, "max: 0.5, estimand: population"], true);
    check("stop_early: true, ", [most, "max: 0.5"], true);
    check("", [most, "max: 0.5, tier: supporting"], true);
    check("", ["min: 0.9, estimand: population", "max: 0.5, tier: supporting"], true);
    check("", [most, "max: 0.5, tier: supporting, estimand: population"], false);
    check("stop_early: true, ", [most, "max: 0.5, tier: supporting"], false);
    check("", ["min: 0.9, tier: supporting", "max: 0.5, tier: supporting"], false);
    check("", [most, "max: 0.5, tier: advisory"], false);
}

#[test]
fn a_threshold_that_everything_reaches_judges_nothing() {
    let with = |rule: &str| {
        told(&suite_with(
            "",
            &format!("threshold: 0\nscore: [{{type: contains, value: a}}]\ngate: {{rules: [{{{rule}}}]}}\n"),
        ))
    };
    let told = with("metric: pass_rate, min: 0.5");
    assert!(
        told.contains("error: at a `threshold` of 0 every answer would pass, and `pass_rate` be 1"),
        "{told}"
    );
    assert_eq!(with("metric: mean_score, min: 0.5"), "");
}

/// Where one scorer alone decides, its metric is the pass rate; where several do, none is passed less often than all.
#[test]
fn rules_on_one_number_under_two_names_contradict_each_other() {
    let one = "{type: equals, value: a, metric: routing}";
    let two = "{type: equals, value: a, metric: routing}, {type: contains, value: b, metric: tone}";
    let check = |more: &str, scorers: &str, [first, second]: [&str; 2], never: bool| {
        let suite = suite_with(
            "",
            &format!(
                "{more}score: [{scorers}]\ngate: {{rules: [{{metric: {first}}}, {{metric: {second}}}]}}\n"
            ),
        );
        let told = told(&suite);
        assert_eq!(
            told.contains("demands the opposite: this gate can never pass"),
            never,
            "{first} {second}: {told}"
        );
    };
    let [rate, routing] = ["pass_rate, min: 0.9", "routing, max: 0.5"];
    check("", one, [rate, routing], true);
    check("", one, ["pass_rate, max: 0.5", "routing, min: 0.9"], true);
    check("", one, ["mean_score, min: 0.9", routing], true);
    check("repeats: 3\n", one, [rate, routing], true);
    check("repeats: 3\nreduce: any\n", one, [rate, routing], false);
    check("repeats: 3\nreduce: any\n", one, ["mean_score, min: 0.9", routing], true);
    check("", two, [rate, routing], true);
    check("", two, ["pass_rate, max: 0.5", "routing, min: 0.9"], false);
    check("threshold: 0.5\n", two, [rate, routing], false);
    check("threshold: 0.5\n", one, [rate, routing], true);
    check("", one, [rate, "routing, max: 0.9"], false);
    check("", one, [rate, "routing, max: 0.5, slice: {lang: de}"], false);
}

/// A suite of 400 cases in so many clusters, each of which recorded answers hold.
fn of_clusters(clusters: u64, cluster: &str, model: &str, gate: &str) -> String {
    let each = |row: &dyn Fn(u64) -> String| (0..400).map(row).collect::<String>();
    let rows =
        each(&|n| format!("{{\"id\": \"c{n}\", \"question\": \"x\", \"group\": \"g{}\"}}\n", n % clusters));
    let bare = each(&|n| format!("{{\"case\": \"c{n}\", \"output\": \"x\"}}\n"));
    let usage = "\"usage\": {\"input_tokens\": 1, \"output_tokens\": 1}";
    let full = each(&|n| format!("{{\"case\": \"c{n}\", \"output\": \"x\", \"latency_ms\": 1, {usage}}}\n"));
    let suite = format!(
        "suite: s\nprompts:\n  - {{name: ask, label: old, text: '{{{{ question }}}}'}}\n  \
         - {{name: ask, label: new, text: '{{{{ question }}}}!'}}\nmodels: [{model}]\n\
         cases:\n  - {{file: rows.jsonl, id: id{cluster}}}\nscore: [{{type: contains, value: x}}]\ngate:\n{gate}"
    );
    told_of(&[("suite.yaml", &suite), ("rows.jsonl", &rows), ("bare.jsonl", &bare), ("full.jsonl", &full)])
}

#[test]
fn rules_that_what_is_there_can_never_settle() {
    let check = |told: String, expected: Option<&str>| match expected {
        Some(part) => assert!(told.contains(part), "{part} is missing in:\n{told}"),
        None => assert_eq!(told, ""),
    };
    let cases = |gate: &str| of_clusters(400, "", "echo/a", gate);
    let own = |drawn: u64, rule: &str| cases(&format!("  max_cases: {drawn}\n  rules: [{{{rule}}}]\n"));
    assert_snapshot!(own(10, "metric: pass_rate, min: 0.9"), @r#"
warning: 10 cases of 400 are drawn, which cannot settle that for all of them, even if all passed: this rule never passes
  --> suite.yaml:11:36
   |
11 |   rules: [{metric: pass_rate, min: 0.9}]
   |                                    ^^^
   |
   = help: draw more, or ask for what is to be expected of more cases with `estimand: population`
"#);
    check(own(200, "metric: pass_rate, min: 0.9"), None);
    check(own(10, "metric: pass_rate, max: 0.1"), Some("even if none passed: this rule never passes"));
    let drop = "metric: pass_rate, max_drop: 0.02, estimand: suite";
    check(
        own(20, drop),
        Some("20 cases of 400 are drawn, which cannot settle that for all of them, even if none"),
    );
    check(own(390, drop), None);
    // Cases of clusters come in no random order: only what is certain counts.
    let clustered = |clusters, gate: &str| of_clusters(clusters, ", cluster: group", "echo/a", gate);
    let most = "  max_cases: 200\n  rules: [{metric: pass_rate, min: 0.9}]\n";
    check(clustered(200, most), Some("200 cases in 100 clusters of 400 are drawn"));
    let looking = |rule: &str| cases(&format!("  stop_early: true\n  rules: [{{{rule}}}]\n"));
    let shown = "metric: pass_rate, min: 0.995, estimand: population";
    check(
        looking(shown),
        Some("cannot show that to a gate that looks as results come in, even if all passed"),
    );
    check(looking("metric: pass_rate, min: 0.9, estimand: population"), None);
    check(looking("metric: pass_rate, min: 1"), None);
}

#[test]
fn clusters_tell_less_than_cases() {
    let told = |clusters, rule: &str| {
        of_clusters(clusters, ", cluster: group", "echo/a", &format!("  rules: [{{{rule}}}]\n"))
    };
    let drop = "metric: pass_rate, max_drop: 0.02";
    assert_snapshot!(told(20, drop), @r#"
warning: 400 cases in 20 clusters cannot see a drop below 12 points: this rule may pass only a version that is better
  --> suite.yaml:10:41
   |
10 |   rules: [{metric: pass_rate, max_drop: 0.02}]
   |                                         ^^^^
   |
   = help: 133 clusters would do where no case changes sides, 1113 where 7 % do; or allow more
"#);
    assert_eq!(told(200, drop), "");
    let shown = "metric: pass_rate, min: 0.9, estimand: population";
    let few = told(20, shown);
    let may = "400 cases in 20 clusters may not show that: if all passed, each cluster would count once, and more cases like these would be known to have at least 0.861";
    assert!(few.contains(may), "{few}");
    // More than 400 independent cases could show.
    let never = told(20, "metric: pass_rate, min: 0.995, estimand: population");
    assert!(never.contains("400 cases in 20 clusters cannot show that: if all passed"), "{never}");
    let rare = told(20, "metric: pass_rate, max: 0.1, estimand: population");
    assert!(
        rare.contains("20 clusters may not show that: if none passed, each cluster would count"),
        "{rare}"
    );
    assert_eq!(told(200, shown), "");
    let cost = told(1, "metric: cost_per_case_usd, max_increase: 10%");
    assert!(cost.contains("400 cases in 1 cluster cannot show how cost varies"), "{cost}");
}

#[test]
fn recorded_answers_without_what_a_rule_looks_at() {
    let told = |file: &str, rule: &str| {
        let model = format!("{{provider: recorded, model: m, file: {file}.jsonl}}");
        of_clusters(400, "", &model, &format!("  rules: [{{{rule}}}]\n"))
    };
    let (latency, cost) = ("metric: latency_p50_ms, max: 100", "metric: cost_per_case_usd, max: 1");
    let untimed = told("bare", latency);
    assert!(
        untimed.contains("no answer in bare.jsonl has a latency: this rule is always inconclusive"),
        "{untimed}"
    );
    let unmetered = told("bare", cost);
    for part in ["400 answers in bare.jsonl have no `usage`", "this rule is always inconclusive"] {
        assert!(unmetered.contains(part), "{unmetered}");
    }
    assert_eq!(told("full", latency), "");
    assert!(!told("full", cost).contains("usage"), "{}", told("full", cost));
    let free = |model: &str| of_clusters(400, "", model, "  rules: [{metric: cost_per_case_usd, max: 0}]\n");
    let priced = free("local/priced");
    assert!(priced.contains("`local/priced` has a price, and no answer of it is free"), "{priced}");
}
