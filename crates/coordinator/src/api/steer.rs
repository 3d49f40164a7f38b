//! `/v1/runs/{id}/cancel`, `pause`, `resume` and `retry`: each says why, and who did it is written down in the same
//! transaction.

use std::sync::Arc;

use assay_common::id::RunId;
use assay_common::outcome::ErrorKind;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;

use super::Api;
use super::authenticate::Submitter;
use super::body;
use super::document::RunEntry;
use super::error::ApiError;
use super::path::RunPath;
use crate::steer::{Action, steer};

/// The longest body, in bytes.
const MAX_BODY_BYTES: u64 = 64 << 10;
/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 1_000;

/// Why a run is steered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: String,
}

/// Why, and what, a run is asked again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    reason: String,
    kind: Option<ErrorKind>,
}

/// Stops a run for good.
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    RunPath(run): RunPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RunEntry>, ApiError> {
    let Why { reason } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    done(&api, &submitter, run, Action::Cancel, &reason).await
}

/// Lets no more jobs of a run be claimed.
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    RunPath(run): RunPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RunEntry>, ApiError> {
    let Why { reason } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    done(&api, &submitter, run, Action::Pause, &reason).await
}

/// Lets a paused run go on.
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    RunPath(run): RunPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RunEntry>, ApiError> {
    let Why { reason } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    done(&api, &submitter, run, Action::Resume, &reason).await
}

/// Asks again what errored.
pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    RunPath(run): RunPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RunEntry>, ApiError> {
    let Again { reason, kind } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    done(&api, &submitter, run, Action::Retry(kind), &reason).await
}

async fn done(
    api: &Api,
    submitter: &Submitter,
    run: RunId,
    action: Action,
    reason: &str,
) -> Result<Json<RunEntry>, ApiError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON_CHARS {
        let message = format!("`reason` says why, in 1 to {MAX_REASON_CHARS} characters");
        return Err(ApiError::BadRequest(message));
    }
    let entry = api.entry(&submitter.name, action.word(), run.to_string(), action.detail(reason))?;
    let run = steer(&api.environment.store, run, action, reason, entry).await?;
    Ok(Json(RunEntry::of(&run)))
}
