//! `/v1/limits`: what provider accounts allow, who may use it, and what an operator sets instead.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;

use super::authenticate::{Operator, Reader};
use super::error::ApiError;
use super::path::{LimitPath, ScopePath};
use super::query::Query;
use super::releases::MAX_BODY_BYTES;
use super::{Api, body, random};
use crate::limits::{Kind, LimitsDocument, standing};
use crate::release::Desk;

/// Every limit, and what today has cost.
pub(super) async fn list(State(api): State<Arc<Api>>, _: Reader) -> Result<Json<LimitsDocument>, ApiError> {
    let environment = &api.environment;
    Ok(Json(standing(&environment.store, &environment.config, api.now()).await?))
}

/// What a limit is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: f64,
    reason: String,
}

/// Sets a limit.
pub(super) async fn set(
    State(api): State<Arc<Api>>,
    operator: Operator,
    LimitPath(scope, kind): LimitPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<LimitsDocument>, ApiError> {
    let Wanted { limit, reason } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    let mut desk = desk(&api, operator)?;
    Ok(Json(desk.set_limit(&api.environment.config, &scope, kind, limit, &reason).await?))
}

/// Why a limit is taken back, or a pause lifted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    reason: String,
}

/// Takes one limit back.
pub(super) async fn clear(
    State(api): State<Arc<Api>>,
    operator: Operator,
    LimitPath(scope, kind): LimitPath,
    Query(because): Query<Because>,
) -> Result<Json<LimitsDocument>, ApiError> {
    take_back(&api, operator, &scope, Some(kind), because).await
}

/// Takes all limits of a scope back.
pub(super) async fn clear_all(
    State(api): State<Arc<Api>>,
    operator: Operator,
    ScopePath(scope): ScopePath,
    Query(because): Query<Because>,
) -> Result<Json<LimitsDocument>, ApiError> {
    take_back(&api, operator, &scope, None, because).await
}

/// Lifts what holds the calls of an account back.
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    operator: Operator,
    ScopePath(account): ScopePath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<LimitsDocument>, ApiError> {
    let Because { reason } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    let mut desk = desk(&api, operator)?;
    Ok(Json(desk.resume_account(&api.environment.config, &account, &reason).await?))
}

async fn take_back(
    api: &Api,
    operator: Operator,
    scope: &str,
    kind: Option<Kind>,
    Because { reason }: Because,
) -> Result<Json<LimitsDocument>, ApiError> {
    let mut desk = desk(api, operator)?;
    Ok(Json(desk.clear_limit(&api.environment.config, scope, kind, &reason).await?))
}

fn desk(api: &Api, operator: Operator) -> Result<Desk<'_>, ApiError> {
    let (environment, Operator { name, origin }) = (&api.environment, operator);
    Ok(Desk::new(&environment.store, environment.clock.clone(), name, origin, random()?))
}
