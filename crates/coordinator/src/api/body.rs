//! Bodies: bounded in length, in silence and in slowness, read as JSON or kept in a file without a name.

use std::fs::File;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

use super::error::ApiError;
use crate::unique::Unique;

/// How long nothing of a body may come.
const SILENCE: Duration = Duration::from_secs(30);
/// How slowly a body may come after that time, in bytes a second from its beginning.
const SLOWEST: u64 = 4 << 10;

/// The media type of JSON lines.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// The media type of JSON.
pub(super) const JSON: &str = "application/json";

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
    began: Instant,
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
        Ok(Self { stream: body.into_data_stream(), limit, left: limit, began: Instant::now() })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let chunk = timeout(SILENCE, self.stream.next()).await.map_err(|_| ApiError::Silence(SILENCE))?;
        let Some(chunk) = chunk else { return Ok(None) };
        let chunk = chunk.map_err(|error| ApiError::BadRequest(format!("the body broke off: {error}")))?;
        self.left =
            self.left.checked_sub(chunk.len() as u64).ok_or(ApiError::TooLarge { limit: self.limit })?;
        let seconds = self.began.elapsed().saturating_sub(SILENCE).as_secs();
        if self.limit - self.left < seconds.saturating_mul(SLOWEST) {
            return Err(ApiError::TooSlow(SLOWEST));
        }
        Ok(Some(chunk))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use futures_util::stream;
    use tokio::time::sleep;

    use super::*;

    /// Sends `number` pieces of `bytes` bytes, one every so often, and says how that ended and after how many seconds.
    async fn check(bytes: usize, every: Duration, number: u32, expected: (Option<&str>, u64)) {
        let pieces = stream::unfold(0, move |sent| async move {
            if sent == number {
                return None;
            }
            sleep(every).await;
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes])), sent + 1))
        });
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON))]);
        let began = Instant::now();
        let kept = spooled(&headers, Body::from_stream(pieces), 1 << 30).await;
        let why = kept.err().map(|error| error.to_string());
        assert_eq!((why.as_deref(), began.elapsed().as_secs()), expected, "{bytes} every {every:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_neither_silent_nor_slow() {
        let second = Duration::from_secs(1);
        let slow = Some("the body came slower than 4096 bytes a second");
        check(1, second * 5, 100, (slow, 35)).await;
        check(1, second * 5, 5, (None, 25)).await;
        check(4_096, second, 200, (None, 200)).await;
        check(4_000, second, 2_000, (slow, 1_281)).await;
        check(1 << 20, second * 31, 2, (Some("nothing of the body came for 30 s"), 30)).await;
    }
}
