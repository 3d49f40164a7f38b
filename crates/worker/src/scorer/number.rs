//! `number`: the output is a decimal at most `tolerance` from the expected one.

use assay_common::decimal::read_decimal;
use rust_decimal::Decimal;
use serde_json::Value;

use super::value::read_text;
use super::{Grade, quoted};

pub(super) fn read(value: Value) -> Result<Decimal, String> {
    let text = read_text(value)?;
    read_decimal(&text).ok_or_else(|| format!("the value {} is no number", quoted(&text)))
}

pub(super) fn grade(expected: &Decimal, tolerance: Decimal, output: &str) -> Grade {
    let Some(found) = read_decimal(output) else {
        return Grade { pass: false, reason: format!("{} is no number", quoted(output)) };
    };
    // A difference too large for a decimal is beyond any tolerance.
    let near = found.checked_sub(*expected).is_some_and(|difference| difference.abs() <= tolerance);
    let reason = match (near, tolerance.is_zero()) {
        (true, true) => format!("is {expected}"),
        (true, false) => format!("is {found}, within {tolerance} of {expected}"),
        (false, true) => format!("is {found}, not {expected}"),
        (false, false) => format!("is {found}, not within {tolerance} of {expected}"),
    };
    Grade { pass: near, reason }
}
