//! docs/suite.md says what the code does.

use serde_json::Value;

/// The user's reference.
const REFERENCE: &str = include_str!("../../../../docs/suite.md");

/// The reference's first example: a whole suite.
pub(crate) fn example() -> &'static str {
    let start = REFERENCE.split_once("```yaml\n").unwrap().1;
    start.split_once("```").unwrap().0
}

#[test]
fn every_key_has_its_line() {
    fn walk(schema: &Value, missing: &mut Vec<String>) {
        match schema {
            Value::Object(fields) => {
                if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
                    let names = properties.keys().filter(|name| !REFERENCE.contains(&format!("`{name}`")));
                    missing.extend(names.cloned());
                }
                fields.values().for_each(|value| walk(value, missing));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, missing)),
            _ => {}
        }
    }
    let mut missing = Vec::new();
    walk(&assay_coordinator::suite::json_schema(), &mut missing);
    assert_eq!(missing, Vec::<String>::new());
    for scorer in assay_common::scorer::Check::TYPES {
        assert!(REFERENCE.contains(&format!("`{scorer}`")), "{scorer}");
    }
}
