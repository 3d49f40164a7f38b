//! `POST /v1/runs`: a frozen suite becomes a run. Everything that can be found wrong is found before the first call, and
//! only the store is touched.

use std::sync::Arc;

use assay_common::suite::{Priority, Suite};
use assay_store::{Provenance, Submission, Submitted};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::authenticate::Submitter;
use super::document::Accepted;
use super::error::ApiError;
use super::header::only;
use super::observe::Trace;
use super::{Api, body, random};
use crate::estimate::{Estimate, estimate, sample, unpayable};
use crate::run::begin::{Draw, new_run};
use crate::run::extent::sights;
use crate::suite::{Objection, admit, doubts, owned};

/// The header under which a submission may be sent again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest body, in bytes: prompts are copied into the suite.
pub(super) const MAX_BODY_BYTES: u64 = 64 << 20;
/// The longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 200;

/// What is submitted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Submit {
    suite: Suite,
    priority: Option<Priority>,
    /// Where the versions that are new here come from.
    #[serde(default)]
    source: Provenance,
}

/// Takes a frozen suite whose dataset and recordings were uploaded before.
pub(super) async fn submit(
    State(api): State<Arc<Api>>,
    submitter: Submitter,
    Extension(Trace(trace)): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let key = key(&headers)?;
    let mut sent = body::document(&headers, body, MAX_BODY_BYTES).await?;
    let Submit { suite, priority, source } = Submit::deserialize(&sent).map_err(body::unreadable)?;
    let suite = admitted(&api, suite, sent.get_mut("suite").map(Value::take).unwrap_or_default()).await?;
    let store = &api.environment.store;
    let (suite, estimate) = estimated(&api, suite).await?;
    if let Some(objection) = unpayable(&suite, &api.environment.config, &estimate) {
        return Err(ApiError::Suite(vec![objection]));
    }
    let sights = sights(store, &suite).await?;
    let doubts = doubts(suite.models.iter(), &api.environment.config);
    let warnings: Vec<_> = doubts.into_iter().map(|doubt| doubt.told()).collect();
    let owned =
        owned(&suite, |action, name, detail| api.entry(&submitter.name, action, name.to_owned(), detail))?;
    let revision = store.freeze_suite_by(suite.clone(), owned, api.now()).await?;
    let source = Provenance { author: source.author.or_else(|| Some(submitter.name.clone())), ..source };
    store.attribute_versions(&suite, source).await?;
    let jobs = suite.first_jobs().unwrap_or(u64::MAX);
    let priority = priority.unwrap_or(suite.priority);
    // The seed is drawn after everything judged is frozen.
    let run = new_run(&suite, priority, api.now(), Draw { id: random()?, seed: random()? }, trace);
    let id = run.id;
    let detail = json!({"suite": suite.name, "revision": revision, "jobs": jobs});
    let entry = api.entry(&submitter.name, "run.submit", id.to_string(), detail)?;
    let (run, created) = match store.submit(Submission { key, run, entry }).await? {
        Submitted::Created => (id, true),
        Submitted::Known(run) => (run, false),
        Submitted::Conflict(run) => return Err(ApiError::KeyTaken(run)),
    };
    if created {
        tracing::info!(run.id = %run, run.jobs = jobs, suite = %suite.name, "created run {run} with {jobs} jobs");
    }
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let location = [(header::LOCATION, format!("/v1/runs/{run}"))];
    Ok((status, location, Json(Accepted { run, revision, created, jobs, estimate, sights, warnings }))
        .into_response())
}

/// What the run of a suite, whose dataset is stored, may take.
async fn estimated(api: &Api, suite: Suite) -> Result<(Suite, Estimate), ApiError> {
    let store = &api.environment.store;
    let vars = store.vars_at(suite.dataset.digest.clone(), sample(&suite)).await?;
    let config = Arc::clone(&api.environment.config);
    let estimated = tokio::task::spawn_blocking(move || {
        let estimate = estimate(&suite, &config, &vars);
        (suite, estimate)
    });
    estimated.await.map_err(|error| ApiError::Internal(error.to_string()))
}

/// The key under which the same submission makes no second run.
fn key(headers: &HeaderMap) -> Result<String, ApiError> {
    let key = only(headers, &IDEMPOTENCY_KEY)?.unwrap_or_default();
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(ApiError::BadRequest(format!(
            "the header Idempotency-Key holds 1 to {MAX_KEY_BYTES} visible ASCII characters: a submission that is sent \
             twice under one key makes one run"
        )));
    }
    Ok(key.to_owned())
}

/// The suite that was read from `sent`, if it can be run here.
pub(super) async fn admitted(api: &Api, suite: Suite, sent: Value) -> Result<Suite, ApiError> {
    let config = Arc::clone(&api.environment.config);
    let checked = tokio::task::spawn_blocking(move || {
        let objections = admit(&suite, &sent, &config);
        (suite, objections)
    });
    let (suite, mut objections) = checked.await.map_err(|error| ApiError::Internal(error.to_string()))?;
    let store = &api.environment.store;
    let missing = |place: &str, what: &str| Objection {
        place: place.to_owned(),
        message: format!("{what} is not here"),
        hint: Some(format!("PUT /v1/{place}/… it first")),
    };
    match store.dataset(suite.dataset.digest.clone()).await? {
        None => objections.push(missing("datasets", &format!("dataset {}", suite.dataset.digest))),
        Some(found) if found != suite.dataset => objections.push(Objection {
            place: "dataset".to_owned(),
            message: format!("the dataset has {} cases, clustered: {}", found.cases, found.clustered),
            hint: None,
        }),
        Some(_) => {}
    }
    for recording in suite.models.iter().filter_map(|model| model.recording.as_ref()) {
        if !store.has_recording(recording).await? {
            objections.push(missing("recordings", &format!("recording {recording}")));
        }
    }
    if objections.is_empty() { Ok(suite) } else { Err(ApiError::Suite(objections)) }
}
