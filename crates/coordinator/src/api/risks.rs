//! `/v1/risks`: what was taken on knowingly.

use std::sync::Arc;

use assay_common::clock::Micros;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::authenticate::{Reader, Releaser};
use super::document::Page;
use super::error::ApiError;
use super::path::NumberPath;
use super::releases::{MAX_BODY_BYTES, desk};
use super::runs::bad_query;
use super::{Api, body};
use crate::review::risks::{self, RiskAsked, RiskEntry};

/// Which risks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    #[serde(default)]
    all: bool,
}

/// Risks, the most pressing first.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Reader,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Page<RiskEntry>>, ApiError> {
    let Query(Which { all }) = which.map_err(bad_query)?;
    let items = risks::list(&api.environment.store, Micros(api.now().0 + 1), all).await?;
    Ok(Json(Page { items, next: None }))
}

/// Writes a risk down.
pub(super) async fn add(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<RiskEntry>), ApiError> {
    let asked: RiskAsked = body::json(&headers, body, MAX_BODY_BYTES).await?;
    Ok((StatusCode::CREATED, Json(desk(&api, releaser)?.add_risk(asked).await?)))
}

/// What was done about it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    outcome: String,
}

/// Closes a risk.
pub(super) async fn close(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    NumberPath(number): NumberPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RiskEntry>, ApiError> {
    let Outcome { outcome } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    Ok(Json(desk(&api, releaser)?.close_risk(number, &outcome).await?))
}
