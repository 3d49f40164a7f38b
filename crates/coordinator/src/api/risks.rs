//! `/v1/risks`: what was taken on knowingly.

use std::sync::Arc;

use assay_common::clock::Micros;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::authenticate::{Reader, Releaser};
use super::document::Page;
use super::error::ApiError;
use super::path::NumberPath;
use super::query::{Listed, Query};
use super::releases::{MAX_BODY_BYTES, desk};
use super::{Api, body};
use crate::review::risks::{self, RiskAsked, RiskEntry};

/// Risks, the most pressing first.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(Listed { all }): Query<Listed>,
) -> Result<Json<Page<RiskEntry>>, ApiError> {
    let before = Micros(api.now().0 + 1);
    Ok(Json(risks::list(&api.environment.store, before, all).await?.into()))
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
