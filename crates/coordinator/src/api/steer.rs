//! `/v1/runs/{id}/cancel`, `pause` and `resume`: each says why, and who did it is written down in the same transaction.

use std::sync::Arc;

use assay_common::id::RunId;
use assay_store::{AuditEntry, Run, RunState};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::authenticate::Submitter;
use super::body;
use super::document::RunEntry;
use super::error::ApiError;
use super::path::RunPath;
use super::runs::find;

/// The longest body, in bytes.
const MAX_BODY_BYTES: u64 = 64 << 10;
/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 1_000;
/// What the audit calls a pause; [`super::reasons`] looks for it.
pub(super) const PAUSE: &str = "run.pause";

/// Why a run is steered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: String,
}

/// Stops a run for good.
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    RunPath(run): RunPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RunEntry>, ApiError> {
    let asked = Asked::read(&api, &submitter, run, "run.cancel", &headers, body).await?;
    api.environment.store.cancel_by(asked.run, asked.reason, asked.entry).await?;
    expect(&api, asked.run, &[RunState::Cancelling, RunState::Cancelled]).await
}

/// Lets no more jobs of a run be claimed.
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    RunPath(run): RunPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RunEntry>, ApiError> {
    let asked = Asked::read(&api, &submitter, run, PAUSE, &headers, body).await?;
    api.environment.store.pause(asked.run, asked.entry).await?;
    expect(&api, asked.run, &[RunState::Paused]).await
}

/// Lets a paused run go on.
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    RunPath(run): RunPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RunEntry>, ApiError> {
    let asked = Asked::read(&api, &submitter, run, "run.resume", &headers, body).await?;
    api.environment.store.resume(asked.run, asked.entry).await?;
    expect(&api, asked.run, &[RunState::Running]).await
}

/// What is asked of which run, by whom and why.
struct Asked {
    run: RunId,
    reason: String,
    entry: AuditEntry,
}

impl Asked {
    async fn read(
        api: &Api,
        submitter: &Submitter,
        run: RunId,
        action: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, ApiError> {
        let Why { reason } = body::json(headers, body, MAX_BODY_BYTES).await?;
        let reason = reason.trim().to_owned();
        if reason.is_empty() || reason.chars().count() > MAX_REASON_CHARS {
            let message = format!("`reason` says why, in 1 to {MAX_REASON_CHARS} characters");
            return Err(ApiError::BadRequest(message));
        }
        find(api, run).await?;
        let entry = api.entry(&submitter.name, action, run.to_string(), json!({"reason": reason}))?;
        Ok(Self { run, reason, entry })
    }
}

/// The run as it stands, if it is now as it was asked to be; whether it was before makes no difference.
async fn expect(api: &Api, id: RunId, wanted: &[RunState]) -> Result<Json<RunEntry>, ApiError> {
    let run: Run = find(api, id).await?;
    if wanted.contains(&run.state) {
        Ok(Json(RunEntry::of(&run)))
    } else {
        Err(ApiError::WrongState { run: id, state: run.state.word() })
    }
}
