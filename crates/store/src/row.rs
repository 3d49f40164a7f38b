//! From columns back to types, and the few conversions on the way in.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use assay_common::job::Output;
use assay_common::usage::Usage;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;

/// A count or an index as a column holds it. Nothing counted here comes near 2⁶³.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The key before the first of a page.
pub(crate) fn before(after: Option<u64>) -> i64 {
    after.map_or(-1, integer)
}

/// A column that holds a smaller integer.
pub(crate) fn whole<T: TryFrom<i64>>(value: i64, column: &str) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| StoreError::Unreadable(format!("{column} is {value}")))
}

/// A column that holds an id, a digest or a word.
pub(crate) fn parsed<T: FromStr<Err: Display>>(text: &str, column: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error| StoreError::Unreadable(format!("{column}: {error}")))
}

/// A column that holds JSON.
pub(crate) fn json<T: DeserializeOwned>(text: &str, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable(format!("{column}: {error}")))
}

/// A value as JSON for a column.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unreadable(error.to_string()))
}

/// Words for a person from untrusted places: PostgreSQL's TEXT holds no NUL.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The pair of columns that holds an output.
pub(crate) fn output_columns(output: Option<&Output>) -> (Option<&str>, Option<&[u8]>) {
    match output {
        None => (None, None),
        Some(Output::Text(text)) => (Some(text), None),
        Some(Output::Bytes(bytes)) => (None, Some(bytes)),
    }
}

/// An output from its pair of columns.
pub(crate) fn output(text: Option<String>, bytes: Option<Vec<u8>>) -> Option<Output> {
    text.map(Output::Text).or_else(|| bytes.map(Output::Bytes))
}

/// Token counts from their columns.
pub(crate) fn usage(input: Option<i64>, output: Option<i64>) -> Result<Usage, StoreError> {
    Ok(Usage {
        input_tokens: input.map(|tokens| whole(tokens, "input_tokens")).transpose()?,
        output_tokens: output.map(|tokens| whole(tokens, "output_tokens")).transpose()?,
    })
}
