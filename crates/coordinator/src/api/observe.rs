//! Around every request: its id, its span, one line in the log. A change that was asked for and refused goes to the audit.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use assay_common::trace::TraceParent;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::Api;
use super::error::Told;

/// Characters of a path that are written down.
const PATH_CHARS: usize = 200;
/// Refusals of requests without a valid token that are written to the audit in any minute: anybody can cause one.
const STRANGERS_A_MINUTE: u32 = 60;

/// Who makes a request, once that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Actor(Arc<OnceLock<String>>);

impl Actor {
    pub(super) fn set(&self, name: &str) {
        // A request has one token, so a second name would be the same.
        let _ = self.0.set(name.to_owned());
    }
}

/// The trace that a request belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace(pub(super) Option<TraceParent>);

/// Follows a request from its arrival to its answer.
pub(super) async fn observe(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = api.uuid().map(|id| id.to_string()).unwrap_or_default();
    let actor = Actor::default();
    request.extensions_mut().insert(actor.clone());
    let (method, path) =
        (request.method().clone(), request.uri().path().chars().take(PATH_CHARS).collect::<String>());
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request.id = %id, http.method = %method, http.route = %route, otel.kind = "server",
        http.response.status_code = Empty);
    let caller = caller(request.headers());
    api.environment.tracer.follow(&span, caller);
    request.extensions_mut().insert(Trace(api.environment.tracer.context(&span).or(caller)));
    let mut response = next.run(request).instrument(span.clone()).await;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", value);
    }
    // Names and answers are untrusted: what is JSON stays JSON for every browser, and rests in no cache.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let _entered = span.enter();
    let status = response.status();
    span.record("http.response.status_code", i64::from(status.as_u16()));
    let actor = actor.0.get().map(String::as_str);
    let who = actor.unwrap_or("nobody");
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let why = response.extensions().get::<Told>().map(|told| told.0.clone());
    let said = why.as_deref().unwrap_or("done");
    tracing::info!(
        http.status = status.as_u16(),
        actor = who,
        duration_ms,
        "answered {method} {path:?} of {who:?} with {}: {said:?}",
        status.as_u16()
    );
    drop(_entered);
    let changes = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let refused = changes && (status.is_client_error() || status.is_server_error());
    if refused && (actor.is_some() || api.strangers.may_be_written(Instant::now())) {
        let detail = json!({"status": status.as_u16(), "why": why, "request": id});
        let entry = api.entry(who, &format!("refused {method} {route}"), path, detail);
        let written = match entry {
            Ok(entry) => api.environment.store.append_audit(entry).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = written {
            tracing::error!(request.id = %id, error, "cannot write request {id} to the audit: {error}");
        }
    }
    response
}

/// The span that made a request, if it says so.
fn caller(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TraceParent::HEADER)?.to_str().ok()?.parse().ok()
}

/// How many refusals of strangers were written down in the present minute.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Option<(Instant, u32)>>);

impl Strangers {
    fn may_be_written(&self, now: Instant) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = minute.get_or_insert((now, 0));
        if now.duration_since(*since) >= Duration::from_secs(60) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= STRANGERS_A_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_fill_a_bounded_part_of_the_audit() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        let written = |seconds, attempts: u32| {
            let now = start + Duration::from_secs(seconds);
            (0..attempts).filter(|_| strangers.may_be_written(now)).count()
        };
        assert_eq!(written(0, 40), 40);
        assert_eq!(written(59, 1_000), 20);
        assert_eq!(written(60, 1_000), 60);
    }
}
