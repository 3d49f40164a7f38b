//! `/v1/incidents`: what is wrong with a version that was released.

use std::sync::Arc;

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
use crate::release::document::IncidentDocument;
use crate::release::incident;

/// The latest incidents, newest first.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(Listed { all }): Query<Listed>,
) -> Result<Json<Page<IncidentDocument>>, ApiError> {
    Ok(Json(incident::list(&api.environment.store, all).await?.into()))
}

/// An incident with what happened to it.
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    _: Reader,
    NumberPath(number): NumberPath,
) -> Result<Json<IncidentDocument>, ApiError> {
    Ok(Json(incident::show(&api.environment.store, number).await?))
}

/// An incident to open.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    prompt: String,
    channel: String,
    reason: String,
}

/// Opens an incident (201), or notes it with the one that somebody has opened of the same (200).
pub(super) async fn open(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<IncidentDocument>), ApiError> {
    let Open { prompt, channel, reason } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    let mut desk = desk(&api, releaser)?;
    let opened = desk.open_incident(&prompt, &channel, &reason).await?;
    let status = if opened.noted { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(opened)))
}

/// Somebody takes an incident up.
pub(super) async fn acknowledge(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    NumberPath(number): NumberPath,
) -> Result<Json<IncidentDocument>, ApiError> {
    Ok(Json(desk(&api, releaser)?.acknowledge(number).await?))
}

/// Which release ended it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    #[serde(default)]
    release: Option<i64>,
}

/// Says which release took the version off the channel.
pub(super) async fn link(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    NumberPath(number): NumberPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<IncidentDocument>, ApiError> {
    let Link { release } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    Ok(Json(desk(&api, releaser)?.link(number, release).await?))
}

/// What it came from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cause {
    cause: String,
}

/// Closes an incident.
pub(super) async fn resolve(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    NumberPath(number): NumberPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<IncidentDocument>, ApiError> {
    let Cause { cause } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    Ok(Json(desk(&api, releaser)?.resolve(number, &cause).await?))
}

/// Why it is not over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: String,
}

/// Opens a closed incident again.
pub(super) async fn reopen(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    NumberPath(number): NumberPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<IncidentDocument>, ApiError> {
    let Why { reason } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    Ok(Json(desk(&api, releaser)?.reopen(number, &reason).await?))
}
