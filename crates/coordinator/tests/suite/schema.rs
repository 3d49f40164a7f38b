//! The JSON Schema and the validator are two readings of one declaration: they agree.

use serde_json::{Value, json};

use super::documented::example;

fn instance(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn accepts_the_reference_and_rejects_slips() {
    let schema = assay_coordinator::suite::json_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems =
        |instance: &Value| validator.iter_errors(instance).map(|error| error.to_string()).collect::<Vec<_>>();
    let good = instance(example());
    assert_eq!(problems(&good), Vec::<String>::new());

    let check = |pointer: &str, value: Value, part: &str| {
        let mut bad = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
        let problems = problems(&bad);
        assert!(problems.iter().any(|problem| problem.contains(part)), "{pointer}: {problems:?}");
    };
    check("/scorr", json!([]), "scorr");
    check("/prompts/0/fiel", json!("x"), "fiel");
    check("/prompts/0/text", json!("both file and text"), "oneOf");
    check("/prompts/0/channel", json!("production"), "channel");
    check("/models/1/base_url", json!("http://127.0.0.1"), "anyOf");
    check("/cases/0/fields", json!([]), "fields");
    check("/score/0/type", json!("contain"), "contain");
    check("/score/0/tolerance", json!(1), "tolerance");
    check("/repeats", json!(0), "0 is less than");
    check("/gate/max_cases", json!(0), "0 is less than");
    check("/gate/rules/0/max", json!(1), "oneOf");
}
