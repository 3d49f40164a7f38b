//! Which fields of a row name the case, its cluster and its tags; and from a row to a case.

use std::collections::BTreeMap;

use assay_common::case::{Case, Vars};
use assay_common::id::Digest;
use serde_json::Value;

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

impl Fields {
    /// The case of a row, or what is wrong with it.
    pub(super) fn case_of(&self, vars: Vars) -> Result<Case, String> {
        if let Some(name) = nul_in(&vars) {
            return Err(format!("`{name}` holds the character NUL"));
        }
        let id = match &self.id {
            Some(field) => match named(&vars, field)? {
                Some(id) if id.is_empty() => {
                    return Err(format!("the row's id, the field `{field}`, is empty"));
                }
                Some(id) => id,
                None => return Err(format!("the row lacks its id, the field `{field}`")),
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

/// The text of a field that names something; `None` where the row does not have it.
fn named(vars: &Vars, field: &str) -> Result<Option<String>, String> {
    let text = match vars.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(_) => return Err(format!("`{field}` is neither a text nor a whole number of 64 bits")),
    };
    if text.len() > MAX_NAME_BYTES {
        return Err(format!("`{field}` has {} bytes; the limit is {MAX_NAME_BYTES}", text.len()));
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
        fields.case_of(row.as_object().unwrap().clone())
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
        check(json!({"n": 1.5}), Err("`n` is neither a text nor a whole number of 64 bits"));
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
