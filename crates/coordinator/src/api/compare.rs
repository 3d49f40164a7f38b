//! `/v1/comparison`: what changed between two runs, or two versions of a prompt.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::Api;
use super::authenticate::Reader;
use super::error::ApiError;
use super::runs::bad_query;
use crate::compare::{CompareError, Comparison, DEFAULT_FLIPS, Request, compare};

/// What is to be compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    before: String,
    after: String,
    flips: Option<usize>,
}

/// The comparison.
pub(super) async fn comparison(
    State(api): State<Arc<Api>>,
    _: Reader,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Comparison>, ApiError> {
    let Query(Which { before, after, flips }) = which.map_err(bad_query)?;
    let request = Request { before, after, flips: flips.unwrap_or(DEFAULT_FLIPS) };
    let _turn = api.reports.acquire().await.map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(Json(Box::pin(compare(&api.environment.store, &request)).await?))
}

impl From<CompareError> for ApiError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Store(error) => Self::Store(error),
            CompareError::Unknown(what) => Self::NothingSuch(what),
            wrong => Self::BadRequest(wrong.to_string()),
        }
    }
}
