//! `is-json`: the output parses as JSON and satisfies the schema, if there is one.

use assay_common::schema::Schema;
use serde_json::Value;

use super::value::describe;
use super::{Grade, quoted};

/// A JSON Schema: an object or a boolean, or the JSON text of one.
pub(super) fn read(value: Value) -> Result<Schema, String> {
    let schema = match value {
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|error| format!("the schema {} is no JSON: {error}", quoted(&text)))?,
        other => other,
    };
    match schema {
        Value::Object(_) | Value::Bool(_) => Schema::compile(&schema),
        other => Err(format!("the schema is an object, not {}", describe(&other))),
    }
}

pub(super) fn grade(schema: Option<&Schema>, output: &str) -> Grade {
    let json = match serde_json::from_str::<Value>(output) {
        Ok(json) => json,
        Err(error) => {
            return Grade { pass: false, reason: format!("{} is no JSON: {error}", quoted(output)) };
        }
    };
    let Some(schema) = schema else { return Grade { pass: true, reason: "is JSON".into() } };
    let problems = schema.problems(&json);
    if problems.is_empty() {
        return Grade { pass: true, reason: "is JSON that satisfies the schema".into() };
    }
    let shown: Vec<_> = problems.iter().map(|problem| shortened(problem)).collect();
    Grade { pass: false, reason: format!("does not satisfy the schema: {}", shown.join("; ")) }
}

/// A validator's message quotes the instance, which has any length.
fn shortened(problem: &str) -> String {
    const MAX_CHARS: usize = 200;
    match problem.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &problem[..end]),
        None => problem.to_owned(),
    }
}
