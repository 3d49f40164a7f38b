//! `regex`: the pattern matches somewhere in the output.

use assay_common::pattern::Pattern;
use serde_json::Value;

use super::value::read_text;
use super::{Grade, Hindrance, quoted};

pub(super) fn read(value: Value) -> Result<Pattern, String> {
    Pattern::compile(&read_text(value)?).map_err(|error| error.to_string())
}

pub(super) fn grade(pattern: &Pattern, output: &str) -> Result<Grade, Hindrance> {
    let pass = pattern.is_match(output).map_err(|error| Hindrance::Scorer(error.to_string()))?;
    let reason = if pass {
        "matches the pattern".into()
    } else {
        format!("the pattern matches nowhere in {}", quoted(output))
    };
    Ok(Grade { pass, reason })
}
