//! Headers that decide something: each once, so that no proxy before us can have read another one.

use axum::http::{HeaderMap, HeaderName};

use super::error::ApiError;

/// The header's text; `None` where it is not there, or no text.
pub(super) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        Some(_) => Err(ApiError::BadRequest(format!("the header {name} is there more than once"))),
        None => Ok(first.and_then(|value| value.to_str().ok())),
    }
}
