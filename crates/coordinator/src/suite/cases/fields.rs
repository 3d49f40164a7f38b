//! Which fields of a row name the case, its cluster and its tags; and from a row to a case.

use std::collections::BTreeMap;

use assay_common::case::{Case, Vars};
use assay_common::id::Digest;
use serde_json::Value;

use super::super::hint::did_you_mean;
use super::fault::Fault;

/// The longest id, cluster or tag, in bytes: databases index them.
const MAX_NAME_BYTES: usize = 1_000;

/// What the fields of a file's rows are for.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Fields {
    /// The field that names the case.
    pub(in super::super) id: Option<String>,
    /// The field that cases of one source share.
    pub(in super::super) cluster: Option<String>,
    /// The fields that slices are cut by.
    pub(in super::super) tags: Vec<String>,
}

/// What is wrong with one field of a row.
#[derive(Debug)]
pub(super) struct Wrong {
    field: String,
    message: String,
    hint: String,
}

impl Wrong {
    fn new(field: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into(), hint: hint.into() }
    }

    /// The same of the row on this line.
    pub(super) fn on(self, line: usize) -> Fault {
        Fault::of(line, &self.field, self.message, self.hint)
    }
}

/// What to do about a NUL.
pub(in super::super) const NO_NUL: &str = "take it out: databases hold no text with a NUL";

impl Fields {
    /// The case of a row, or what is wrong with it.
    pub(super) fn case_of(&self, vars: Vars) -> Result<Case, Wrong> {
        if let Some(name) = nul_in(&vars) {
            return Err(Wrong::new(name, format!("`{name}` holds the character NUL"), NO_NUL));
        }
        let id = match &self.id {
            Some(field) => match named(&vars, field)? {
                Some(id) if id.is_empty() => {
                    let message = format!("the row's id, the field `{field}`, is empty");
                    return Err(Wrong::new(field, message, "every case has an id of its own"));
                }
                Some(id) => id,
                None => {
                    let message = format!("the row lacks its id, the field `{field}`");
                    let hint = did_you_mean(field, vars.keys().map(String::as_str));
                    let hint = hint.unwrap_or_else(|| "every case has an id of its own".into());
                    return Err(Wrong::new(field, message, hint));
                }
            },
            None => content_id(&vars),
        };
        let cluster = match &self.cluster {
            Some(field) => named(&vars, field)?.filter(|cluster| !cluster.is_empty()),
            None => None,
        };
        let mut tags = BTreeMap::new();
        for field in &self.tags {
            // A row of CSV has no other way to say that it has none.
            if let Some(value) = named(&vars, field)?.filter(|value| !value.is_empty()) {
                tags.insert(field.clone(), value);
            }
        }
        Ok(Case { id, cluster, tags, vars })
    }
}

/// What is wrong with a case that somebody else made of its row.
pub(in super::super) fn objection(case: &Case) -> Option<String> {
    let names = [Some(&case.id), case.cluster.as_ref()].into_iter().flatten();
    let names = names.chain(case.tags.iter().flat_map(|(tag, value)| [tag, value]));
    if case.id.is_empty() {
        return Some("the case's id is empty".to_owned());
    }
    for name in names {
        if name.len() > MAX_NAME_BYTES {
            return Some(format!("a name has {} bytes; the limit is {MAX_NAME_BYTES}", name.len()));
        }
        if name.contains('\0') {
            return Some("a name holds the character NUL".to_owned());
        }
    }
    nul_in(&case.vars).map(|name| format!("`{}` holds the character NUL", name.replace('\0', "\u{fffd}")))
}

/// The text of a field that names something; `None` where the row does not have it. A number stands for its shortest
/// text: 1.50 is `1.5`.
fn named(vars: &Vars, field: &str) -> Result<Option<String>, Wrong> {
    let text = match vars.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(_) => {
            let message = format!("`{field}` is a list or an object, but a text or a number is wanted");
            return Err(Wrong::new(field, message, "name a field that holds one value"));
        }
    };
    if text.len() > MAX_NAME_BYTES {
        let message = format!("`{field}` has {} bytes; the limit is {MAX_NAME_BYTES}", text.len());
        return Err(Wrong::new(field, message, "name a field that holds something short"));
    }
    Ok(Some(text))
}

/// A case's name where none is given: 16 hex digits of its content's digest.
pub(super) fn content_id(vars: &Vars) -> String {
    Digest::of(&content(vars)).as_str().chars().take(16).collect()
}

/// The variables as bytes, whatever the order in which their row lists them.
pub(super) fn content(vars: &Vars) -> Vec<u8> {
    let mut fields: Vec<_> = vars.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    let mut bytes = Vec::with_capacity(256);
    for (name, value) in fields {
        // Writing to a Vec cannot fail, and JSON can say every JSON value.
        let _ = serde_json::to_writer(&mut bytes, name);
        bytes.push(b':');
        let _ = serde_json::to_writer(&mut bytes, value);
        bytes.push(b'\n');
    }
    bytes
}

/// The first variable that holds a NUL: PostgreSQL has no text with one.
pub(super) fn nul_in(vars: &Vars) -> Option<&str> {
    fn holds(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(holds),
            Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    vars.iter().find(|(name, value)| name.contains('\0') || holds(value)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn case(fields: &Fields, row: Value) -> Result<Case, String> {
        fields.case_of(row.as_object().unwrap().clone()).map_err(|wrong| wrong.message)
    }

    #[test]
    fn fields_name_a_case() {
        let fields = Fields { id: Some("n".into()), cluster: Some("c".into()), tags: vec!["t".into()] };
        let check = |row: Value, expected: Result<(&str, Option<&str>, usize), &str>| {
            let found = case(&fields, row);
            let found =
                found.as_ref().map(|case| (case.id.as_str(), case.cluster.as_deref(), case.tags.len()));
            assert_eq!(found.map_err(String::as_str), expected);
        };
        check(json!({"n": 7, "c": "x", "t": true}), Ok(("7", Some("x"), 1)));
        check(json!({"n": "a", "c": null}), Ok(("a", None, 0)));
        check(json!({"n": "a", "c": "", "t": ""}), Ok(("a", None, 0)));
        check(json!({"c": 1}), Err("the row lacks its id, the field `n`"));
        check(json!({"n": ""}), Err("the row's id, the field `n`, is empty"));
        check(json!({"n": 1.50, "c": 1.0}), Ok(("1.5", Some("1.0"), 0)));
        check(json!({"n": [1]}), Err("`n` is a list or an object, but a text or a number is wanted"));
        check(json!({"n": 1, "x": ["a\u{0}"]}), Err("`x` holds the character NUL"));
    }

    #[test]
    fn the_order_of_fields_does_not_change_a_content_id() {
        let id = |row: Value| case(&Fields::default(), row).unwrap().id;
        assert_eq!(id(json!({"a": 1, "b": 2})), id(json!({"b": 2, "a": 1})));
        assert_ne!(id(json!({"a": 1, "b": 2})), id(json!({"a": 2, "b": 1})));
        assert_eq!(id(json!({"a": 1})).len(), 16);
    }
}
