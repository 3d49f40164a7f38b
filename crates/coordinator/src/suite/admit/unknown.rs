//! What somebody said of a suite and nobody understood: a field whose name is misspelt would vanish, and a gate with it.

use assay_common::nearest::nearest;
use serde_json::Value;

use super::Objections;

/// Objects to every field of `sent`, anywhere in it, that is not in `understood`: the same after it was read.
pub(super) fn fields(place: &str, sent: &Value, understood: &Value, objections: &mut Objections) {
    match (sent, understood) {
        (Value::Object(sent), Value::Object(understood)) => {
            for (name, value) in sent {
                match understood.get(name) {
                    Some(known) => fields(&format!("{place}.{name}"), value, known, objections),
                    None if says_nothing(value) => {}
                    None => {
                        let near = nearest(name, understood.keys().map(String::as_str));
                        let hint = near.map_or_else(
                            || "leave it out, or use the same version of assay on both sides".to_owned(),
                            |near| format!("did you mean `{near}`?"),
                        );
                        objections.add(place, format!("unknown field `{name}`")).hint = Some(hint);
                    }
                }
            }
        }
        (Value::Array(sent), Value::Array(understood)) => {
            for (index, (value, known)) in sent.iter().zip(understood).enumerate() {
                fields(&format!("{place}[{index}]"), value, known, objections);
            }
        }
        // A list would be read as well, by the order of the fields.
        (_, Value::Object(_)) => _ = objections.add(place, "an object is wanted"),
        _ => {}
    }
}

/// What a suite leaves out when it is written.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_was_not_understood_is_named_with_its_place() {
        let check = |sent: Value, expected: &[(&str, &str)]| {
            let understood = json!({"name": "s", "gate": null, "rules": [{"min": 1}, {"min": 2}]});
            let mut objections = Objections::default();
            fields("suite", &sent, &understood, &mut objections);
            let told: Vec<_> = objections.0.iter().map(|one| (&*one.place, &*one.message)).collect();
            assert_eq!(told, expected);
        };
        check(json!({"name": "s"}), &[]);
        check(json!({"gaet": {"rules": []}}), &[("suite", "unknown field `gaet`")]);
        check(
            json!({"rules": [{"min": 1}, {"min": 2, "mxa": 0}], "x": 1}),
            &[("suite.rules[1]", "unknown field `mxa`"), ("suite", "unknown field `x`")],
        );
        check(json!({"rules": [{"min": 1}, [2]]}), &[("suite.rules[1]", "an object is wanted")]);
        check(json!({"negated": false, "cluster": null, "slice": {}, "stop": []}), &[]);
    }
}
