//! JSONPath (RFC 9535) from suites, bounded: the expression is untrusted, and so is the document it meets.

use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value;

/// The longest expression, in bytes.
const MAX_SOURCE_BYTES: usize = 512;
/// The longest document, in bytes of text: evaluation keeps a path for every node it visits.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// A compiled JSONPath whose evaluation takes at most one walk over the document for each of its segments.
#[derive(Clone, Debug)]
pub struct JsonPath(JpQuery);

/// Why a JSONPath cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonPathError {
    /// It does not compile.
    #[error("not a JSONPath: {0}")]
    Invalid(String),
    /// It is longer than any sensible expression.
    #[error("a JSONPath of {0} bytes; the limit is {MAX_SOURCE_BYTES}")]
    TooLong(usize),
    /// It visits every node for every node.
    #[error("a JSONPath may hold one `..`, and inside a filter only paths that begin with `@`")]
    TooCostly,
    /// The document is too long to be searched.
    #[error("a JSON document of {0} bytes; a JSONPath searches at most {MAX_DOCUMENT_BYTES}")]
    DocumentTooLong(usize),
}

impl JsonPath {
    /// Compiles `source`, which begins with `$`.
    pub fn compile(source: &str) -> Result<Self, JsonPathError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(JsonPathError::TooLong(source.len()));
        }
        let absolute_in_filter = source.contains('?') && source.matches('$').count() > 1;
        if source.matches("..").count() > 1 || absolute_in_filter {
            return Err(JsonPathError::TooCostly);
        }
        parse_json_path(source).map(Self).map_err(|error| JsonPathError::Invalid(error.to_string()))
    }

    /// The first node it selects in the JSON document `text`: the text of a string, else its JSON. `None` when
    /// `text` is no JSON or nothing is selected.
    pub fn first(&self, text: &str) -> Result<Option<String>, JsonPathError> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(JsonPathError::DocumentTooLong(text.len()));
        }
        let Ok(document) = serde_json::from_str::<Value>(text) else { return Ok(None) };
        let found =
            js_path_process(&self.0, &document).map_err(|error| JsonPathError::Invalid(error.to_string()))?;
        Ok(found.into_iter().next().map(|node| match node.val() {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_the_first_node() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            let found = JsonPath::compile(path).unwrap().first(text).unwrap();
            assert_eq!(found.as_deref(), expected, "{path} in {text}");
        };
        check("$.a", r#"{"a": "text"}"#, Some("text"));
        check("$.a[1]", r#"{"a": [1, {"b": 2}]}"#, Some(r#"{"b":2}"#));
        check("$..b", r#"{"a": [1, {"b": 2.50}]}"#, Some("2.5"));
        check("$.items[?@.ok == true].name", r#"{"items": [{"ok": true, "name": "x"}]}"#, Some("x"));
        check("$.a", r#"{"b": 1}"#, None);
        check("$.a", "no JSON", None);
        check("$.a", "{\"a\": null}", Some("null"));
    }

    #[test]
    fn refuses_what_is_wrong_or_costly() {
        let check = |path: &str, part: &str| {
            let message = JsonPath::compile(path).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        };
        check("$.", "not a JSONPath");
        check("a.b", "not a JSONPath");
        check("$..a..b", "one `..`");
        check("$[?count($[*]) > 1]", "`@`");
        check(&format!("$.{}", "a".repeat(600)), "limit");
        check(&format!("$[?{}@.a{}]", "(".repeat(200), ")".repeat(200)), "not a JSONPath");
        let long = format!("[{}]", "1,".repeat(600_000));
        assert!(JsonPath::compile("$[0]").unwrap().first(&long).is_err());
    }
}
