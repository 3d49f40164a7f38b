//! The HTTP listener of the long-running commands: health and readiness, and whatever router is merged with theirs.

mod serve;
mod stall;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use assay_coordinator::api::problem::{PROBLEM_JSON, Problem};
use assay_coordinator::fleet::Role;
use assay_queue::{Health, Queue};
use assay_store::Store;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tower::ServiceExt as _;

pub(crate) use self::serve::{Bounds, serve};
use crate::exit::{Exit, chain};

/// How long the store may take to answer a probe.
const ANSWER: Duration = Duration::from_secs(2);

/// What readiness is read from.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    /// The store, once it has answered; until then why not.
    pub(crate) store: watch::Receiver<Result<Store, String>>,
    /// Where hints go.
    pub(crate) queue: Queue,
    /// What a coordinator is; `None` for a worker.
    pub(crate) role: Option<watch::Receiver<Role>>,
}

/// Listens at `HOST:PORT`; what cannot be listened at is wrong input.
pub(crate) async fn bind(place: &str) -> Result<TcpListener, Exit> {
    let listener = TcpListener::bind(place).await;
    let listener =
        listener.with_context(|| format!("--listen {place}: cannot listen there")).map_err(Exit::Input)?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(http.address = %address, "listening on http://{address}");
    }
    Ok(listener)
}

/// `/healthz`: the process runs. `/readyz`: what it needs is there, or which part is not, and why.
pub(crate) fn health(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(readiness))
}

/// The same with everything else answered by `api`, once it is there: the port is open before the store is reached.
pub(crate) fn with_api(health: Router, api: watch::Receiver<Option<Router>>) -> Router {
    health.fallback(async move |request: Request| {
        let router = api.borrow().clone();
        match router {
            Some(router) => router.oneshot(request).await.into_response(),
            None => not_yet(),
        }
    })
}

fn not_yet() -> Response {
    let problem = Problem {
        kind: "urn:assay:problem:not-ready".to_owned(),
        title: "Not ready".to_owned(),
        status: StatusCode::SERVICE_UNAVAILABLE.as_u16(),
        detail: "the coordinator has not reached its store yet".to_owned(),
        hint: Some("ask again in a second; /readyz says what it waits for".to_owned()),
        errors: Vec::new(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, [(CONTENT_TYPE, PROBLEM_JSON), (RETRY_AFTER, "1")], Json(problem))
        .into_response()
}

async fn readyz(State(readiness): State<Arc<Readiness>>) -> (StatusCode, Json<Value>) {
    let store = readiness.store.borrow().clone();
    let store = ask_store(store).await;
    let queue = match readiness.queue.health() {
        Health::Connected => Ok(()),
        Health::Blocked { reason } => Err(format!("the broker takes no messages: {reason}")),
        Health::Down { reason, .. } => Err(reason.to_string()),
    };
    // Without the broker everything else goes on: submissions, results, what is in hand.
    let (code, status) = match (&store, &queue) {
        (Err(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "unready"),
        (Ok(()), Err(_)) => (StatusCode::OK, "degraded"),
        (Ok(()), Ok(())) => (StatusCode::OK, "ready"),
    };
    let part = |state: Result<(), String>| match state {
        Ok(()) => json!({"ok": true}),
        Err(reason) => json!({"ok": false, "reason": reason}),
    };
    let role = readiness.role.as_ref().map_or("worker", |role| match *role.borrow() {
        Role::Standby => "standby",
        Role::Leading => "leading",
    });
    (code, Json(json!({"status": status, "role": role, "store": part(store), "queue": part(queue)})))
}

async fn ask_store(store: Result<Store, String>) -> Result<(), String> {
    let store = store?;
    // In a task of its own: a probe that gives up leaves no connection half-way.
    let asked = tokio::spawn(async move { store.leader().await });
    match timeout(ANSWER, asked).await {
        Ok(Ok(Ok(_))) => Ok(()),
        Ok(Ok(Err(error))) => Err(chain(&anyhow::Error::new(error))),
        Ok(Err(_)) => Err("asking it ended in a panic".to_owned()),
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
    }
}
