//! The scorers against published vectors: what each of them must say of a known output.

#![expect(clippy::unwrap_used, reason = "a test ends where its data is not what it should be")]

use std::path::Path;

use assay_common::score::Millionths;
use assay_common::scorer::{Check, Scorer};
use assay_worker::{Scoring, score_output};
use serde_json::{Map, Value, json};

/// Rows whose `value` has a form that a suite does not have, and why.
const REFUSED: [(&str, &str); 1] =
    [("is-json-f857f6b33f", "a schema as YAML text: a suite is YAML already and holds the schema itself")];

/// What a vector demands.
#[derive(Debug, PartialEq)]
enum Verdict {
    Pass,
    Fail,
    Error,
}

#[test]
fn scorers_agree_with_every_vector() {
    let checked = check("vectors.jsonl");
    assert_eq!(checked, 207);
}

#[test]
fn schemas_agree_with_every_vector() {
    let checked = check("jsonschema_vectors.jsonl");
    assert_eq!(checked, 986);
}

/// Judges every row of a file and returns how many there were.
fn check(file: &str) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/scorer_vectors").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wrong: Vec<_> = rows.iter().filter_map(disagreement).collect();
    assert!(wrong.is_empty(), "{} of {} disagree:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    rows.len()
}

/// What is wrong with our finding on a row, if anything is.
fn disagreement(row: &Value) -> Option<String> {
    let id = row["id"].as_str().unwrap();
    let expected = match row["expect_pass"].as_bool() {
        _ if REFUSED.iter().any(|(refused, _)| *refused == id) => Verdict::Error,
        Some(true) => Verdict::Pass,
        Some(false) => Verdict::Fail,
        None => {
            assert_eq!(row["expect_error"], true, "{id} demands nothing");
            Verdict::Error
        }
    };
    let (found, reason) = judge(row);
    (found != expected).then(|| format!("{id}: {found:?} instead of {expected:?}: {reason}"))
}

fn judge(row: &Value) -> (Verdict, String) {
    let written = row["type"].as_str().unwrap();
    let (negated, kind) = written.strip_prefix("not-").map_or((false, written), |kind| (true, kind));
    assert!(Check::TYPES.contains(&kind), "{kind}");
    let mut scorer =
        json!({"type": kind, "negated": negated, "weight": Millionths::ONE, "value": row["value"]});
    if kind == "is-json" && row["value"].is_null() {
        scorer.as_object_mut().unwrap().remove("value");
    }
    let scorer: Scorer = serde_json::from_value(scorer).unwrap();
    let output = match &row["output"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let vars = row["vars"].as_object().cloned().unwrap_or_else(Map::new);
    let judged = Scoring::compile(&[scorer], None)
        .map_err(|error| error.to_string())
        .and_then(|scoring| score_output(&scoring, &output, &vars).map_err(|fault| fault.to_string()));
    match judged {
        Ok(judged) => {
            let score = &judged.scores[0].score;
            let verdict = if score.pass { Verdict::Pass } else { Verdict::Fail };
            assert_eq!(score.value, Millionths::from_bool(score.pass));
            (verdict, score.reason.clone())
        }
        Err(error) => (Verdict::Error, error),
    }
}
