//! JSON Schemas from suites. No reference leaves the document: nothing is fetched, no file is read.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// A compiled JSON Schema.
#[derive(Clone, Debug)]
pub struct Schema(Validator);

impl Schema {
    /// Compiles `schema`; draft-07 where it names no `$schema`. The error says what is wrong with it.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let mut options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        if schema.get("$schema").is_none() {
            options = options.with_draft(Draft::Draft7);
        }
        options.build(schema).map(Self).map_err(|error| error.to_string())
    }

    /// The first three ways in which `instance` does not satisfy the schema; empty when it does.
    pub fn problems(&self, instance: &Value) -> Vec<String> {
        let place = |error: &jsonschema::ValidationError<'_>| {
            let path = error.instance_path().to_string();
            if path.is_empty() { error.to_string() } else { format!("{path}: {error}") }
        };
        self.0.iter_errors(instance).take(3).map(|error| place(&error)).collect()
    }
}
