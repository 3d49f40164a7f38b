//! `/v1/runs` and `/v1/runs/{id}`: the latest runs, and where one stands.

use std::sync::Arc;

use assay_common::id::RunId;
use assay_store::Run;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::Api;
use super::authenticate::Reader;
use super::document::{Page, RunDocument, RunEntry};
use super::error::ApiError;
use super::path::RunPath;
use super::query::Query;
use crate::judge::recorded;
use crate::prune::kept_report;
use crate::reasons::{Asker, reasons};
use crate::report::assemble;

/// Runs of a page where the request does not say.
const DEFAULT_LIMIT: u32 = 20;
/// The most runs of a page.
const MAX_LIMIT: u32 = 200;

/// Which page of runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    before: Option<RunId>,
    limit: Option<u32>,
}

/// A page of runs, newest first.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(which): Query<Which>,
) -> Result<Json<Page<RunEntry>>, ApiError> {
    let limit = which.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let runs = api.environment.store.runs(which.before, limit).await?;
    let full = runs.len() == limit as usize;
    let next = runs.last().filter(|_| full).map(|run| run.id.to_string());
    Ok(Json(Page { items: runs.iter().map(RunEntry::of).collect(), next }))
}

/// Where a run stands; of one that is over, the whole report.
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    _: Reader,
    RunPath(id): RunPath,
) -> Result<Json<RunDocument>, ApiError> {
    let run = find(&api, id).await?;
    let store = &api.environment.store;
    if let Some(kept) = kept_report(store, &run).await? {
        return Ok(Json(kept));
    }
    let suite = suite_of(&api, &run).await?;
    if !run.state.is_over() {
        let asker = Asker::Coordinator(&api.environment);
        let reasons = reasons(store, &suite, &run, asker, api.now()).await?;
        return Ok(Json(RunDocument::open(&run, reasons)));
    }
    let _turn = api.reports.acquire().await.map_err(|error| ApiError::Internal(error.to_string()))?;
    let mut document = RunDocument::reported(&run, assemble(store, &suite, &run).await?);
    document.recorded = recorded(store, id).await?;
    Ok(Json(document))
}

/// The run, which has to be there.
pub(super) async fn find(api: &Api, id: RunId) -> Result<Run, ApiError> {
    api.environment.store.run(id).await?.ok_or(ApiError::NoRun(id))
}

/// The frozen suite of a run.
pub(super) async fn suite_of(api: &Api, run: &Run) -> Result<assay_common::suite::Suite, ApiError> {
    let suite = api.environment.store.suite(run.revision.clone()).await?;
    suite.ok_or_else(|| ApiError::Internal(format!("the store lacks suite revision {}", run.revision)))
}
