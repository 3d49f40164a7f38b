//! `/v1/notifications`: what is on its way to webhooks.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::authenticate::{Reader, Releaser};
use super::document::Page;
use super::error::ApiError;
use super::query::{Listed, Query};
use super::releases::{MAX_BODY_BYTES, desk};
use super::{Api, body};
use crate::notify::desk::{DeliveryEntry, list as deliveries};

/// The latest deliveries, newest first.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(Listed { all }): Query<Listed>,
) -> Result<Json<Page<DeliveryEntry>>, ApiError> {
    Ok(Json(deliveries(&api.environment.store, all).await?.into()))
}

/// One webhook, or all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    #[serde(default)]
    webhook: Option<String>,
}

/// To whom a test is on its way.
#[derive(Serialize)]
pub(super) struct Tested {
    webhooks: Vec<String>,
}

/// Has the leader send a test.
pub(super) async fn test(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Tested>), ApiError> {
    let Named { webhook } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    let config = &api.environment.config;
    let tests = desk(&api, releaser)?.test_webhooks(config, webhook.as_deref()).await?;
    let webhooks = tests.into_iter().map(|test| test.webhook).collect();
    Ok((StatusCode::ACCEPTED, Json(Tested { webhooks })))
}

/// How many deliveries are tried again.
#[derive(Serialize)]
pub(super) struct Retried {
    deliveries: u64,
}

/// Has the leader try again what was not taken.
pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Retried>), ApiError> {
    let Named { webhook } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    let config = &api.environment.config;
    let deliveries = desk(&api, releaser)?.retry_webhooks(config, webhook.as_deref()).await?;
    Ok((StatusCode::ACCEPTED, Json(Retried { deliveries })))
}
