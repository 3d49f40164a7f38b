//! Bodies: bounded in length and in silence, read as JSON or kept in a file without a name.

use std::fs::File;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::error::ApiError;
use crate::unique::Unique;

/// How long nothing of a body may come.
const SILENCE: Duration = Duration::from_secs(30);

/// The media type of JSON lines.
pub(super) const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// The body as JSON.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    limit: u64,
) -> Result<T, ApiError> {
    T::deserialize(document(headers, body, limit).await?).map_err(unreadable)
}

/// The body as whatever JSON it is.
pub(super) async fn document(headers: &HeaderMap, body: Body, limit: u64) -> Result<Value, ApiError> {
    let mut chunks = Chunks::of(headers, body, JSON, limit)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map(|Unique(document)| document).map_err(unreadable)
}

/// A body that says something else than what is asked for.
pub(super) fn unreadable(error: serde_json::Error) -> ApiError {
    ApiError::BadRequest(format!("the body cannot be read: {error}"))
}

/// The body's JSON lines in a file that is gone when it is closed: its length never rests in memory.
pub(super) async fn spooled(headers: &HeaderMap, body: Body, limit: u64) -> Result<File, ApiError> {
    let failed = |error: std::io::Error| ApiError::Internal(format!("cannot keep an upload: {error}"));
    let mut chunks = Chunks::of(headers, body, NDJSON, limit)?;
    let file = tokio::task::spawn_blocking(tempfile::tempfile).await;
    let file = file.map_err(|error| ApiError::Internal(error.to_string()))?.map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    while let Some(chunk) = chunks.next().await? {
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(file.into_std().await)
}

/// A body on its way in.
struct Chunks {
    stream: BodyDataStream,
    limit: u64,
    left: u64,
}

impl Chunks {
    /// Looks at what the headers say before anything is read.
    fn of(headers: &HeaderMap, body: Body, media_type: &'static str, limit: u64) -> Result<Self, ApiError> {
        let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        let sent = text(header::CONTENT_TYPE).and_then(|value| value.split(';').next());
        if !sent.is_some_and(|sent| sent.trim().eq_ignore_ascii_case(media_type)) {
            return Err(ApiError::MediaType(media_type));
        }
        let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(ApiError::TooLarge { limit });
        }
        Ok(Self { stream: body.into_data_stream(), limit, left: limit })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let chunk = timeout(SILENCE, self.stream.next()).await.map_err(|_| ApiError::Silence(SILENCE))?;
        let Some(chunk) = chunk else { return Ok(None) };
        let chunk = chunk.map_err(|error| ApiError::BadRequest(format!("the body broke off: {error}")))?;
        self.left =
            self.left.checked_sub(chunk.len() as u64).ok_or(ApiError::TooLarge { limit: self.limit })?;
        Ok(Some(chunk))
    }
}
