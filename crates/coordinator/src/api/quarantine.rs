//! `/v1/quarantine`: cases known to waver.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::authenticate::{Reader, Releaser};
use super::document::Page;
use super::error::ApiError;
use super::query::Query;
use super::releases::{MAX_BODY_BYTES, desk};
use super::{Api, body};
use crate::flakes::desk::{self, QuarantineAsked, QuarantineEntry, QuarantineNamed};

/// Which of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    suite: Option<String>,
    #[serde(default)]
    all: bool,
}

/// What is under quarantine, by suite, oldest first.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(Which { suite, all }): Query<Which>,
) -> Result<Json<Page<QuarantineEntry>>, ApiError> {
    Ok(Json(desk::list(&api.environment.store, suite, all, api.now()).await?.into()))
}

/// Puts a case under quarantine.
pub(super) async fn add(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<QuarantineEntry>), ApiError> {
    let asked: QuarantineAsked = body::json(&headers, body, MAX_BODY_BYTES).await?;
    // The ledger is added up from as many results as a report is.
    let _turn = api.reports.acquire().await.map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok((StatusCode::CREATED, Json(desk(&api, releaser)?.add_quarantine(asked).await?)))
}

/// Takes a case out of quarantine.
pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<QuarantineEntry>, ApiError> {
    let named: QuarantineNamed = body::json(&headers, body, MAX_BODY_BYTES).await?;
    Ok(Json(desk(&api, releaser)?.remove_quarantine(named).await?))
}
