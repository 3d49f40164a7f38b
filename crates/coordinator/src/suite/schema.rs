//! `assay schema`: the declared shape of the suite file as a JSON Schema, for editors.

use serde_json::{Map, Value, json};

use super::layout::SUITE;
use super::shape::{Field, Kind, MAX_NAME_CHARS, Range, Shape};

/// The JSON Schema (2020-12) of the suite file. It knows what an editor can know: a suite it accepts may still refer
/// to a missing file.
pub fn json_schema() -> Value {
    let mut schema = map(&SUITE);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        object.insert("title".into(), "assay suite".into());
    }
    schema
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Name => json!({ "type": ["string", "number"], "minLength": 1, "maxLength": MAX_NAME_CHARS }),
        Kind::Text => json!({ "type": ["string", "number"] }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Number(range) => number(range),
        Kind::Share(range) => {
            json!({ "anyOf": [number(range), { "type": "string", "pattern": "^-?[0-9.]+ *%$" }] })
        }
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Form(form) => match form.pattern {
            Some(pattern) => json!({ "type": "string", "pattern": pattern }),
            None => json!({ "type": "string" }),
        },
        Kind::Anything => json!(true),
        Kind::MapOf(inner) => json!({ "type": "object", "additionalProperties": of_kind(inner) }),
        Kind::ListOf(inner) => json!({ "type": "array", "minItems": 1, "items": of_kind(inner) }),
        Kind::Map(shape) => map(shape),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(of_kind).collect::<Vec<_>>() }),
        Kind::Typed(kinds) => typed(kinds),
        Kind::Keyed(shapes) => keyed(shapes),
        Kind::Later(_) => json!(false),
    }
}

fn number(range: &Range) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), json!("number"))]);
    let mut bound = |open: bool, key: &str, exclusive: &str, value: f64| {
        if value.is_finite() {
            schema.insert(if open { exclusive } else { key }.to_owned(), json!(value));
        }
    };
    bound(range.open.0, "minimum", "exclusiveMinimum", range.min);
    bound(range.open.1, "maximum", "exclusiveMaximum", range.max);
    Value::Object(schema)
}

fn map(shape: &Shape) -> Value {
    let fields: Vec<&Field> =
        shape.all_fields().filter(|field| !matches!(field.kind, Kind::Later(_))).collect();
    let properties: Map<_, _> = fields
        .iter()
        .map(|field| {
            let schema = match of_kind(&field.kind) {
                Value::Object(mut schema) => {
                    schema.insert("description".into(), field.doc.into());
                    Value::Object(schema)
                }
                _ => json!({ "description": field.doc }),
            };
            (field.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<_> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let choices: Vec<_> = shape
        .one_of
        .iter()
        .filter(|name| properties_has(&schema, name))
        .map(|name| json!({ "required": [name] }))
        .collect();
    if let (Some(object), false) = (schema.as_object_mut(), choices.is_empty()) {
        object.insert("oneOf".into(), choices.into());
    }
    schema
}

fn properties_has(schema: &Value, name: &str) -> bool {
    schema["properties"].get(name).is_some()
}

/// Told apart with if/then, so that an editor's message is about the type that was written.
fn typed(kinds: &[(&str, Kind)]) -> Value {
    let known: Vec<_> = kinds.iter().filter(|(_, kind)| !matches!(kind, Kind::Later(_))).collect();
    let names = known.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("not-{name}")]);
    let branches: Vec<_> = known
        .iter()
        .map(|(name, kind)| {
            json!({
                "if": { "properties": { "type": { "enum": [name, format!("not-{name}")] } }, "required": ["type"] },
                "then": of_kind(kind),
            })
        })
        .collect();
    json!({
        "type": "object",
        "properties": { "type": { "enum": names.collect::<Vec<_>>() } },
        "required": ["type"],
        "allOf": branches,
    })
}

fn keyed(shapes: &[(&str, &Shape)]) -> Value {
    let branches: Vec<_> = shapes
        .iter()
        .map(|(key, shape)| json!({ "if": { "required": [key] }, "then": map(shape) }))
        .collect();
    let choices: Vec<_> = shapes.iter().map(|(key, _)| json!({ "required": [key] })).collect();
    json!({ "type": "object", "allOf": branches, "oneOf": choices })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described() {
        fn walk(schema: &Value, path: &str) {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (name, property) in properties {
                    // The branches on `type` say what it means.
                    let described = property.get("description").is_some() || name == "type";
                    assert!(described, "{path}.{name} has no description");
                }
            }
            match schema {
                Value::Object(fields) => {
                    fields.iter().for_each(|(key, value)| walk(value, &format!("{path}.{key}")));
                }
                Value::Array(items) => items.iter().for_each(|item| walk(item, path)),
                _ => {}
            }
        }
        walk(&json_schema(), "$");
    }
}
