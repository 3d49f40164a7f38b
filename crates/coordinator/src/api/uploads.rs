//! `/v1/datasets/{digest}` and `/v1/recordings/{digest}`: what suites refer to, under the digest of its content.

use std::fs::File;
use std::sync::Arc;

use assay_common::id::Digest;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Api;
use super::authenticate::Submitter;
use super::body::spooled;
use super::error::ApiError;
use super::path::DigestPath;
use crate::suite::{LineFault, check_cases, check_recording};

/// The longest upload, in bytes.
const MAX_UPLOAD_BYTES: u64 = 4 << 30;

/// Whether a dataset is there.
pub(super) async fn dataset(
    State(api): State<Arc<Api>>,
    _: Submitter,
    DigestPath(digest): DigestPath,
) -> Result<Response, ApiError> {
    let dataset = api.environment.store.dataset(digest.clone()).await?.ok_or(ApiError::NoUpload(digest))?;
    Ok(Json(dataset).into_response())
}

/// Takes a dataset: a case a line.
pub(super) async fn put_dataset(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    DigestPath(digest): DigestPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let store = &api.environment.store;
    if let Some(dataset) = store.dataset(digest.clone()).await? {
        return Ok(Json(dataset).into_response());
    }
    let _turn = api.uploads.take().await?;
    let cases = checked(spooled(&headers, body, MAX_UPLOAD_BYTES).await?, check_cases).await?;
    let dataset = cases.dataset.clone();
    agree(digest, &dataset.digest)?;
    cases.store(store, api.now()).await?;
    let detail = json!({"cases": dataset.cases});
    let subject = dataset.digest.to_string();
    store.append_audit(api.entry(&submitter.name, "dataset.upload", subject, detail)?).await?;
    tracing::info!(dataset = %dataset.digest, cases = dataset.cases, "stored dataset {} of {} cases", dataset.digest.short(), dataset.cases);
    Ok((StatusCode::CREATED, Json(dataset)).into_response())
}

/// Whether recorded answers are there.
pub(super) async fn recording(
    State(api): State<Arc<Api>>,
    _: Submitter,
    DigestPath(digest): DigestPath,
) -> Result<Response, ApiError> {
    if !api.environment.store.has_recording(&digest).await? {
        return Err(ApiError::NoUpload(digest));
    }
    Ok(Json(json!({"digest": digest})).into_response())
}

/// Takes recorded answers: one a line.
pub(super) async fn put_recording(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    DigestPath(digest): DigestPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let store = &api.environment.store;
    if store.has_recording(&digest).await? {
        return Ok(Json(json!({"digest": digest})).into_response());
    }
    let _turn = api.uploads.take().await?;
    let answers = checked(spooled(&headers, body, MAX_UPLOAD_BYTES).await?, check_recording).await?;
    agree(digest, &answers.digest)?;
    let digest = answers.digest.clone();
    answers.store(store, api.now()).await?;
    let entry = api.entry(&submitter.name, "recording.upload", digest.to_string(), json!({}))?;
    store.append_audit(entry).await?;
    tracing::info!(recording = %digest, "stored recorded answers {}", digest.short());
    Ok((StatusCode::CREATED, Json(json!({"digest": digest}))).into_response())
}

/// Reads what was kept, on a thread that may block.
async fn checked<T: Send + 'static>(
    file: File,
    check: impl FnOnce(File) -> Result<T, LineFault> + Send + 'static,
) -> Result<T, ApiError> {
    let checked = tokio::task::spawn_blocking(move || check(file)).await;
    checked.map_err(|error| ApiError::Internal(error.to_string()))?.map_err(|fault| match fault {
        LineFault::File(error) => ApiError::Internal(error.to_string()),
        fault => ApiError::Line(fault),
    })
}

fn agree(named: Digest, found: &Digest) -> Result<(), ApiError> {
    if named == *found { Ok(()) } else { Err(ApiError::OtherDigest { named, found: found.clone() }) }
}
