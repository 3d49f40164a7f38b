//! A scorer's `value`: read once where it is the same for every case, else for each case.

use assay_common::case::Vars;
use assay_common::template::{Templates, ValueTemplate};
use serde_json::Value;

use super::Hindrance;

/// What an output is held against, or how to get it for a case.
#[derive(Debug)]
pub(super) enum Wanted<T> {
    /// The same for every case.
    Constant(T),
    /// Strings inside it are filled in for each case; then it is read.
    PerCase(ValueTemplate, fn(Value) -> Result<T, String>),
}

impl<T> Wanted<T> {
    /// Compiles `value`; `read` makes the scorer's own type of it and says what is wrong with it.
    pub(super) fn compile(
        value: &Value,
        templates: &mut Templates,
        read: fn(Value) -> Result<T, String>,
    ) -> Result<Self, String> {
        let template = templates.add_value(value).map_err(|error| error.to_string())?;
        if template.is_constant(templates) {
            read(value.clone()).map(Self::Constant)
        } else {
            Ok(Self::PerCase(template, read))
        }
    }

    /// Calls `grade` with the value for a case with these variables.
    pub(super) fn with<R>(
        &self,
        templates: &Templates,
        vars: &Vars,
        grade: impl FnOnce(&T) -> Result<R, Hindrance>,
    ) -> Result<R, Hindrance> {
        match self {
            Self::Constant(value) => grade(value),
            Self::PerCase(template, read) => {
                let rendered = templates.render_value(template, vars).map_err(Hindrance::Template)?;
                grade(&read(rendered).map_err(Hindrance::Scorer)?)
            }
        }
    }
}

/// A value that is a text: a string, or a number as it is written.
pub(super) fn read_text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("the value is a string or a number, not {}", describe(&other))),
    }
}

/// What kind of JSON a value is, for a reason.
pub(super) fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
