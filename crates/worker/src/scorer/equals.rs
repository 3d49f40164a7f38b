//! `equals`: the output is the expected text as it stands, or parses as JSON to the expected object or list.

use serde_json::{Number, Value};

use super::{Grade, quoted};

/// What the output must equal.
#[derive(Debug)]
pub(super) enum Expected {
    /// This text, byte for byte.
    Text(String),
    /// This JSON, whatever the order of its fields and the spelling of its numbers.
    Json(Value),
}

/// A string as it stands, a number or boolean as it is written; anything else is compared as JSON.
#[expect(clippy::unnecessary_wraps, reason = "the signature every kind of value is read by")]
pub(super) fn read(value: Value) -> Result<Expected, String> {
    Ok(match value {
        Value::String(text) => Expected::Text(text),
        Value::Number(_) | Value::Bool(_) => Expected::Text(value.to_string()),
        json => Expected::Json(json),
    })
}

pub(super) fn grade(expected: &Expected, output: &str) -> Grade {
    match expected {
        Expected::Text(text) if text == output => {
            Grade { pass: true, reason: format!("is {}", quoted(text)) }
        }
        Expected::Text(text) => {
            Grade { pass: false, reason: format!("is {}, not {}", quoted(output), quoted(text)) }
        }
        Expected::Json(json) => match serde_json::from_str::<Value>(output) {
            Ok(found) if same(json, &found) => {
                Grade { pass: true, reason: format!("is {} as JSON", quoted(&json.to_string())) }
            }
            Ok(found) => Grade {
                pass: false,
                reason: format!("is {}, not {}", quoted(&found.to_string()), quoted(&json.to_string())),
            },
            Err(_) => Grade {
                pass: false,
                reason: format!("{} is no JSON; expected {}", quoted(output), quoted(&json.to_string())),
            },
        },
    }
}

/// Deep equality in which 1 and 1.0 are the same number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    // Two integers are compared exactly; beyond 2⁵³ floating point would call neighbours equal.
    if a.is_f64() || b.is_f64() { a.as_f64() == b.as_f64() } else { a == b }
}
