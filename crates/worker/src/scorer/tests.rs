//! Every scorer as a table: what it is asked, what it is shown, what it finds.

use serde_json::json;

use super::*;

/// Judges `output` by one scorer written as a suite's JSON would be: `Ok((pass, part of the reason))`, or a part of
/// the error.
fn check(scorer: Value, output: &str, expected: Result<(bool, &str), &str>) {
    check_with(scorer, &json!({}), output, expected);
}

fn check_with(scorer: Value, vars: &Value, output: &str, expected: Result<(bool, &str), &str>) {
    let found = judge(&scorer, vars, output);
    match (&found, expected) {
        (Ok(judged), Ok((pass, part))) => {
            let score = &judged.scores[0].score;
            assert_eq!(score.pass, pass, "{scorer} on {output:?}: {}", score.reason);
            assert_eq!(score.value, Millionths::from_bool(pass));
            assert!(score.reason.contains(part), "{scorer} on {output:?}: {}", score.reason);
        }
        (Err(error), Err(part)) => assert!(error.contains(part), "{scorer}: {error}"),
        _ => panic!("{scorer} on {output:?}: {found:?}"),
    }
}

fn judge(scorer: &Value, vars: &Value, output: &str) -> Result<Judged, String> {
    let mut scorer = scorer.clone();
    scorer["weight"] = json!(1_000_000);
    let scorer: Scorer = serde_json::from_value(scorer).unwrap();
    let scoring = Scoring::compile(&[scorer], None).map_err(|error| error.to_string())?;
    score_output(&scoring, output, vars.as_object().unwrap()).map_err(|fault| fault.to_string())
}

#[test]
fn equals_compares_as_it_stands() {
    let text = |value: Value| json!({"type": "equals", "value": value});
    check(text(json!("A")), "A", Ok((true, "is \"A\"")));
    check(text(json!("A")), "A ", Ok((false, "is \"A \", not \"A\"")));
    check(text(json!("")), "", Ok((true, "")));
    check(text(json!(6)), "6", Ok((true, "")));
    check(text(json!(6)), "6.0", Ok((false, "")));
    check(text(json!(true)), "true", Ok((true, "")));
    check(text(json!({"a": 1, "b": [2]})), r#"{"b": [2.0], "a": 1}"#, Ok((true, "")));
    check(text(json!({"a": 1})), r#"{"a": 1, "b": 2}"#, Ok((false, "not")));
    check(text(json!({"a": 1})), "hello", Ok((false, "is no JSON")));
    check(text(json!([9_007_199_254_740_993_i64])), "[9007199254740992]", Ok((false, "")));
    let vars = json!({"queue": "billing"});
    check_with(text(json!("{{ queue }}")), &vars, "billing", Ok((true, "")));
    check_with(text(json!({"to": "{{ queue }}"})), &vars, r#"{"to":"billing"}"#, Ok((true, "")));
    check_with(text(json!("{{ nothing }}")), &vars, "billing", Err("cannot be rendered"));
}

#[test]
fn contains_and_its_forms() {
    let of = |kind: &str, value: Value| json!({"type": kind, "value": value});
    check(of("contains", json!("b")), "abc", Ok((true, "contains \"b\"")));
    check(of("contains", json!("B")), "abc", Ok((false, "does not contain")));
    check(of("contains", json!(12)), "a 12 b", Ok((true, "")));
    check(of("contains", json!("a,b")), "a", Ok((false, "")));
    check(of("icontains", json!("STRASSE")), "die Strasse", Ok((true, "")));
    check(of("contains-any", json!(["x", "b"])), "abc", Ok((true, "contains \"b\"")));
    check(of("contains-any", json!("x, y")), "abc", Ok((false, "contains none of \"x\", \"y\"")));
    check(of("icontains-any", json!(["X", 1])), "1", Ok((true, "")));
    check(of("contains-all", json!(["a", "b", "c", "d"])), "abc", Ok((false, "does not contain \"d\"")));
    check(
        of("contains-all", json!("a, b, c, ab")),
        "abc",
        Ok((true, "and 1 more".trim_start_matches("and "))),
    );
    check(of("icontains-all", json!("A,B")), "ab", Ok((true, "")));
    check(of("contains-any", json!("\"a, b\", z")), "a, b", Ok((true, "")));
    let vars = json!({"words": "red, blue"});
    check_with(of("contains-all", json!("{{ words }}")), &vars, "blue and red", Ok((true, "")));
    check_with(of("contains-all", json!("{{ words[:0] }}")), &vars, "x", Err("names no text"));
    check(of("contains", json!(null)), "x", Err("not null"));
    check(of("contains-any", json!({})), "x", Err("not an object"));
    check(of("contains-any", json!([])), "x", Err("names no text"));
    check(of("contains-any", json!([["a"]])), "x", Err("not a list"));
}

#[test]
fn regex_and_starts_with() {
    let regex = |value: &str| json!({"type": "regex", "value": value});
    check(regex(r"\d{3}-\d{2}"), "is 123-45", Ok((true, "")));
    check(regex("^b"), "ab", Ok((false, "matches nowhere")));
    check(regex(r"^(?:(a+)\1?)+$"), &format!("{}!", "a".repeat(60)), Err("cannot judge"));
    check(regex("("), "x", Err("not a regular expression"));
    check_with(regex("^{{ name }}$"), &json!({"name": "An+"}), "Annn", Ok((true, "")));
    check_with(regex("{{ name }}"), &json!({"name": "("}), "x", Err("not a regular expression"));
    let starts = |value: Value| json!({"type": "starts-with", "value": value});
    check(starts(json!("Ex")), "Expected", Ok((true, "")));
    check(starts(json!("ex")), "Expected", Ok((false, "does not start with \"ex\"")));
    check(starts(json!(4)), "42", Ok((true, "")));
}

#[test]
fn number_compares_decimals() {
    let number =
        |value: Value, tolerance: &str| json!({"type": "number", "value": value, "tolerance": tolerance});
    check(number(json!(18), "0"), "$18.00.", Ok((true, "is 18")));
    check(number(json!("1,000"), "0"), "1000", Ok((true, "")));
    check(number(json!(0.3), "0"), "0.30000000000000004", Ok((false, "not 0.3")));
    check(number(json!(0.3), "0.1"), "0.4", Ok((true, "within 0.1 of 0.3")));
    check(number(json!(0.3), "0.1"), "0.41", Ok((false, "not within 0.1")));
    check(number(json!(-5), "0"), "-5", Ok((true, "")));
    check(number(json!(5), "0"), "five", Ok((false, "\"five\" is no number")));
    check(
        number(json!("79228162514264337593543950335"), "1"),
        "-79228162514264337593543950335",
        Ok((false, "")),
    );
    check(number(json!("five"), "0"), "5", Err("\"five\" is no number"));
    check(number(json!(5), "near"), "5", Err("tolerance"));
    check_with(number(json!("{{ n }}"), "0"), &json!({"n": 42}), "42", Ok((true, "")));
    check_with(number(json!("{{ n }}"), "0"), &json!({"n": "x"}), "42", Err("is no number"));
}

#[test]
fn is_json_with_and_without_a_schema() {
    check(json!({"type": "is-json"}), "{\"a\": 1}", Ok((true, "")));
    check(json!({"type": "is-json"}), "{'a': 1}", Ok((false, "is no JSON")));
    let schema = json!({"type": "is-json", "value": {"type": "object", "required": ["a"]}});
    check(schema.clone(), "{\"a\": 1}", Ok((true, "")));
    check(schema.clone(), "{}", Ok((false, "\"a\" is a required property")));
    check(schema, "nothing", Ok((false, "is no JSON")));
    check(json!({"type": "is-json", "value": "{\"type\": \"array\"}"}), "[]", Ok((true, "")));
    check(json!({"type": "is-json", "value": "type: array"}), "[]", Err("is no JSON"));
    check(json!({"type": "is-json", "value": {"type": "nothing"}}), "[]", Err("score[0] (is-json)"));
    let per_case = json!({"type": "is-json", "value": {"const": "{{ answer }}"}});
    check_with(per_case, &json!({"answer": "A"}), "\"A\"", Ok((true, "")));
}

#[test]
fn not_inverts_a_grade_and_nothing_else() {
    check(json!({"type": "equals", "negated": true, "value": "A"}), "B", Ok((true, "is \"B\", not \"A\"")));
    check(json!({"type": "contains", "negated": true, "value": "A"}), "A", Ok((false, "contains \"A\"")));
    check(json!({"type": "is-json", "negated": true}), "text", Ok((true, "")));
    check_with(
        json!({"type": "number", "negated": true, "value": "{{ n }}", "tolerance": "0"}),
        &json!({"n": "x"}),
        "5",
        Err("`not-number` cannot judge"),
    );
    let extracting =
        json!({"type": "contains", "negated": true, "value": "A", "extract": {"regex": "<(.*)>"}});
    check(extracting.clone(), "A <B>", Ok((true, "")));
    check(extracting, "no brackets", Ok((false, "no match")));
}

#[test]
fn extraction_comes_before_any_scorer() {
    let of = |extract: Value| json!({"type": "number", "value": 42, "tolerance": "0", "extract": extract});
    check(of(json!("last-number")), "6 × 7 = 42.", Ok((true, "")));
    check(of(json!({"regex": r"####\s*(-?[\d,.]+)"})), "so #### 42", Ok((true, "")));
    check(of(json!({"json": "$.answer"})), r#"{"answer": 42}"#, Ok((true, "")));
    check(of(json!("last-line")), "thinking\n42\n", Ok((true, "")));
    check(of(json!("last-number")), "no idea", Ok((false, "no number")));
}

#[test]
fn reasons_are_short_and_cut_between_characters() {
    let long = "ü".repeat(5_000);
    let judged = judge(&json!({"type": "equals", "value": "A"}), &json!({}), &long).unwrap();
    let reason = &judged.scores[0].score.reason;
    assert!(reason.len() < 150 && reason.contains('…'), "{reason}");
    let problem = json!({"type": "is-json", "value": {"type": "array"}});
    let judged = judge(&problem, &json!({}), &format!("{long:?}")).unwrap();
    assert!(judged.scores[0].score.reason.chars().count() < 300);
}

#[test]
fn several_scorers_make_one_finding() {
    let scorers: Vec<Scorer> = serde_json::from_value(json!([
        {"type": "equals", "value": "A", "weight": 2_000_000, "metric": "routing"},
        {"type": "contains", "negated": true, "value": "A", "weight": 1_000_000},
    ]))
    .unwrap();
    let scoring = Scoring::compile(&scorers, Some(Millionths(600_000))).unwrap();
    let judged = score_output(&scoring, "A", &Vars::new()).unwrap();
    assert_eq!((judged.passed, judged.score), (true, Millionths(666_667)));
    let names: Vec<_> =
        judged.scores.iter().map(|score| (score.scorer.as_str(), score.metric.as_deref())).collect();
    assert_eq!(names, [("equals", Some("routing")), ("not-contains", None)]);
}
