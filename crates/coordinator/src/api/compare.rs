//! `/v1/comparison`: what changed between two runs, or two versions of a prompt.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::Api;
use super::authenticate::Reader;
use super::error::ApiError;
use super::query::Query;
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
    Query(Which { before, after, flips }): Query<Which>,
) -> Result<Json<Comparison>, ApiError> {
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
