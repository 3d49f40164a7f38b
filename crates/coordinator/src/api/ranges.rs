//! `/v1/ranges`: what is acceptable in the signals.

use std::sync::Arc;
use std::time::Duration;

use assay_store::{Signal, Subject};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;

use super::authenticate::{Reader, Releaser};
use super::document::Page;
use super::error::ApiError;
use super::releases::{MAX_BODY_BYTES, desk};
use super::{Api, body};
use crate::review::ranges::{self, RangeEntry, WINDOW};

/// Every range, with its signal up to now.
pub(super) async fn list(State(api): State<Arc<Api>>, _: Reader) -> Result<Json<Page<RangeEntry>>, ApiError> {
    let items = ranges::standing(&api.environment.store, api.now()).await?;
    Ok(Json(items.into()))
}

/// A range to set.
#[derive(Deserialize)]
struct Asked {
    signal: Signal,
    #[serde(flatten)]
    subject: Subject,
    #[serde(default)]
    low: Option<f64>,
    #[serde(default)]
    high: Option<f64>,
    #[serde(default)]
    window_s: Option<u64>,
    #[serde(default)]
    reason: Option<String>,
}

/// Sets the range of a signal.
pub(super) async fn set(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RangeEntry>, ApiError> {
    let Asked { signal, subject, low, high, window_s, reason } =
        body::json(&headers, body, MAX_BODY_BYTES).await?;
    let window = window_s.map_or(WINDOW, Duration::from_secs);
    Ok(Json(desk(&api, releaser)?.set_range(signal, subject, [low, high], window, reason.as_deref()).await?))
}

/// A range to end.
#[derive(Deserialize)]
struct Ended {
    signal: Signal,
    #[serde(flatten)]
    subject: Subject,
    #[serde(default)]
    reason: Option<String>,
}

/// Ends a range.
pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<()>, ApiError> {
    let Ended { signal, subject, reason } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    Ok(Json(desk(&api, releaser)?.remove_range(signal, subject, reason.as_deref()).await?))
}
