//! `/v1/flakes`: cases whose repeats disagree.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::Api;
use super::authenticate::Reader;
use super::error::ApiError;
use super::query::Query;
use crate::flakes::{self, Ledger};

/// Runs that are added up where the request does not say.
const DEFAULT_RUNS: u32 = 20;
/// The most runs that are added up.
const MAX_RUNS: u32 = 200;

/// Of what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    suite: Option<String>,
    runs: Option<u32>,
}

/// The ledger of a suite, or of that of the latest run.
pub(super) async fn ledger(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(Which { suite, runs }): Query<Which>,
) -> Result<Json<Ledger>, ApiError> {
    let runs = runs.unwrap_or(DEFAULT_RUNS).clamp(1, MAX_RUNS);
    let _turn = api.reports.acquire().await.map_err(|error| ApiError::Internal(error.to_string()))?;
    let ledger = flakes::read(&api.environment.store, suite, runs, api.now()).await?;
    ledger.map(Json).ok_or_else(|| ApiError::NothingSuch("no run of the suite is over yet".to_owned()))
}
