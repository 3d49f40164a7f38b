//! `/v1/schedules`: suites that sweep what is live.

use std::sync::Arc;

use assay_common::suite::Suite;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::authenticate::{Reader, Submitter};
use super::document::Page;
use super::error::ApiError;
use super::path::SchedulePath;
use super::submit::{MAX_BODY_BYTES, admitted};
use super::{Api, body, random};
use crate::release::Desk;
use crate::schedule::document::{FiredDocument, ScheduleDocument};
use crate::schedule::{NewSchedule, list as all, show as one};

/// A schedule to add.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    name: String,
    suite: Suite,
    cron: String,
    #[serde(default = "utc")]
    time_zone: String,
    channels: Vec<String>,
    #[serde(default = "clean_sweeps")]
    clean_sweeps: u32,
}

/// The time zone of a schedule that names none.
pub const UTC: &str = "UTC";
/// Clean sweeps that resolve an incident, where nobody says how many.
pub const CLEAN_SWEEPS: u32 = 3;

fn utc() -> String {
    UTC.to_owned()
}

fn clean_sweeps() -> u32 {
    CLEAN_SWEEPS
}

/// Every schedule, with its latest sweep.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Reader,
) -> Result<Json<Page<ScheduleDocument>>, ApiError> {
    let items = all(&api.environment.store, api.now()).await?;
    Ok(Json(items.into()))
}

/// A schedule with its latest sweeps.
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    _: Reader,
    SchedulePath(name): SchedulePath,
) -> Result<Json<ScheduleDocument>, ApiError> {
    Ok(Json(one(&api.environment.store, &name, api.now()).await?))
}

/// Adds a schedule, whose suite is checked as a submission is.
pub(super) async fn add(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<ScheduleDocument>), ApiError> {
    let mut sent = body::document(&headers, body, MAX_BODY_BYTES).await?;
    let Add { name, suite, cron, time_zone, channels, clean_sweeps } =
        Add::deserialize(&sent).map_err(body::unreadable)?;
    let suite = admitted(&api, suite, sent.get_mut("suite").map(Value::take).unwrap_or_default()).await?;
    let new = NewSchedule { name, suite, cron, zone: time_zone, channels, clean_sweeps };
    let added = desk(&api, submitter)?.add_schedule(new).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Nothing of it is due any more.
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    SchedulePath(name): SchedulePath,
) -> Result<Json<ScheduleDocument>, ApiError> {
    Ok(Json(desk(&api, submitter)?.pause_schedule(&name).await?))
}

/// What is due from now on is fired.
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    SchedulePath(name): SchedulePath,
) -> Result<Json<ScheduleDocument>, ApiError> {
    Ok(Json(desk(&api, submitter)?.resume_schedule(&name).await?))
}

/// Fires it now.
pub(super) async fn run(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    SchedulePath(name): SchedulePath,
) -> Result<(StatusCode, Json<FiredDocument>), ApiError> {
    Ok((StatusCode::CREATED, Json(desk(&api, submitter)?.fire_schedule(&name).await?)))
}

/// Removes it.
pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    SchedulePath(name): SchedulePath,
) -> Result<Json<ScheduleDocument>, ApiError> {
    Ok(Json(desk(&api, submitter)?.remove_schedule(&name).await?))
}

fn desk(api: &Api, submitter: Submitter) -> Result<Desk<'_>, ApiError> {
    let environment = &api.environment;
    let Submitter { name, origin } = submitter;
    Ok(Desk::new(&environment.store, environment.clock.clone(), name, origin, random()?))
}
