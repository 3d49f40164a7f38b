//! What stands in a path, as a type.

use assay_common::id::{Digest, RunId};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::error::ApiError;

/// Characters of a wrong id that are shown.
const SHOWN_CHARS: usize = 80;

/// The run that a path names.
pub(super) struct RunPath(pub(super) RunId);

/// The digest that a path names.
pub(super) struct DigestPath(pub(super) Digest);

impl<S: Send + Sync> FromRequestParts<S> for RunPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parsed(parts, state, "the id of a run, such as 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DigestPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parsed(parts, state, "a digest; digests are 64 lower-case hex digits").await.map(Self)
    }
}

async fn parsed<T: std::str::FromStr, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    wanted: &str,
) -> Result<T, ApiError> {
    let text =
        Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        ApiError::BadRequest(format!("{shown:?} is not {wanted}"))
    })
}
