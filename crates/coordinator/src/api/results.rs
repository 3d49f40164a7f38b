//! `/v1/runs/{id}/results`: pages by ordinal, or everything as JSON lines in constant memory. Each holds a turn from its first
//! byte to its last, so that memory has a bound however many ask and however slowly they read.

use std::sync::Arc;

use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_store::{Store, StoreError};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::Api;
use super::authenticate::Reader;
use super::body::{JSON, NDJSON};
use super::document::Page;
use super::error::ApiError;
use super::path::RunPath;
use super::query::Query;
use super::runs::{find, suite_of};
use crate::report::result_line;

/// Results of a page where the request does not say.
const DEFAULT_LIMIT: u32 = 100;
/// The most results of a page.
const MAX_LIMIT: u32 = 1_000;
/// Results read from the store at a time while everything is sent.
const STREAM_PAGE: u32 = 200;

/// Which results.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    after: Option<u64>,
    limit: Option<u32>,
    /// Those that later generations have replaced, instead of those that count.
    #[serde(default)]
    earlier: bool,
}

/// Results of a run, in the order of its jobs. Of a run that goes on, those there are.
pub(super) async fn results(
    State(api): State<Arc<Api>>,
    _: Reader,
    RunPath(id): RunPath,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let run = find(&api, id).await?;
    if run.pruned_at.is_some() {
        return Err(ApiError::Pruned(id));
    }
    let turn = api.results.take().await?;
    let suite = suite_of(&api, &run).await?;
    let store = &api.environment.store;
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case(NDJSON)) {
        let after = which.after.map(|ordinal| (ordinal, u32::MAX));
        let lines =
            Body::from_stream(lines(store.clone(), suite, run.id, which.earlier, after).map(held(turn)));
        return Ok(([(header::CONTENT_TYPE, NDJSON)], lines).into_response());
    }
    if which.earlier {
        return Err(ApiError::BadRequest(format!("earlier results come as lines: send `Accept: {NDJSON}`")));
    }
    let limit = which.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let rows = store.results(run.id, which.after, limit).await?;
    let next = match rows.last() {
        Some(last) if !store.outcomes(run.id, Some(last.row.ordinal), 1).await?.is_empty() => {
            Some(last.row.ordinal.to_string())
        }
        _ => None,
    };
    let items: Vec<Value> = rows.iter().map(|row| result_line(&suite, row)).collect();
    let page =
        serde_json::to_vec(&Page { items, next }).map_err(|error| ApiError::Internal(error.to_string()))?;
    let page = Body::from_stream(stream::iter([Ok::<_, StoreError>(Bytes::from(page))]).map(held(turn)));
    Ok(([(header::CONTENT_TYPE, JSON)], page).into_response())
}

/// Passes the parts of a body on, and holds a turn until the body is dropped.
fn held<T>(turn: OwnedSemaphorePermit) -> impl FnMut(T) -> T {
    move |part| {
        let _ = &turn;
        part
    }
}

/// Every result after an ordinal and generation, page by page. A failing store breaks the body off, so that nobody takes a part for all.
fn lines(
    store: Store,
    suite: Suite,
    run: RunId,
    earlier: bool,
    after: Option<(u64, u32)>,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
    stream::try_unfold((store, suite, after), move |(store, suite, after)| async move {
        let page = match earlier {
            true => store.earlier_results(run, after, STREAM_PAGE).await?,
            false => store.results(run, after.map(|(ordinal, _)| ordinal), STREAM_PAGE).await?,
        };
        let Some(last) = page.last() else { return Ok(None) };
        let after = Some((last.row.ordinal, last.row.generation));
        let mut text = String::new();
        for row in &page {
            text.push_str(&result_line(&suite, row).to_string());
            text.push('\n');
        }
        Ok(Some((Bytes::from(text), (store, suite, after))))
    })
}
