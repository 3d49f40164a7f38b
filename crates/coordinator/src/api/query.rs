//! What stands behind the path of a request, as a type.

use axum::extract::{FromRequestParts, Query as Read};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The query of a request; one that cannot be read is refused as a problem.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Read::from_request_parts(parts, state).await;
        read.map(|Read(query)| Self(query)).map_err(|rejection| {
            ApiError::BadRequest(format!("the query cannot be read: {}", rejection.body_text()))
        })
    }
}

/// Which of the incidents, risks or deliveries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    /// Also those that are over.
    #[serde(default)]
    pub(super) all: bool,
}
