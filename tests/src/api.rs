//! The coordinator's API in this process, on a loopback port, and a client that shows whole answers.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::sync::Arc;

use assay_common::clock::{Clock, Micros};
use assay_common::config::Config;
use assay_common::id::AuditId;
use assay_common::trace::Tracer;
use assay_coordinator::api::hosts::Hosts;
use assay_coordinator::api::{router, token};
use assay_coordinator::suite::{Loaded, Outgoing, load_structure};
use assay_coordinator::{Environment, Silences, Timings};
use assay_queue::Queue;
use assay_store::{AuditEntry, Schema, Scope, Store, StoreUrl, Token};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::assay::Workplace;

/// A served API; it ends when this is dropped.
pub struct Api {
    /// What is behind it.
    pub store: Store,
    /// Where it answers, such as `http://127.0.0.1:4711`.
    pub base: String,
    serving: JoinHandle<()>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub text: String,
}

impl Api {
    /// Serves the store at `place` on a free port, under the text of an assay.toml.
    pub async fn start(place: &StoreUrl, config: &str) -> Self {
        Self::start_at(place, config, "127.0.0.1:0").await
    }

    /// The same on a given address.
    pub async fn start_at(place: &StoreUrl, config: &str, address: &str) -> Self {
        let store = Store::open(place, Schema::Migrate).await.unwrap();
        let environment = Environment {
            store: store.clone(),
            queue: Queue::memory(),
            clock: Clock::system(),
            config: Arc::new(Config::parse(config).unwrap()),
            timings: Timings::default(),
            tracer: Tracer::default(),
            silences: Silences::default(),
        };
        let listener = TcpListener::bind(address).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            axum::serve(listener, router(environment, Hosts::default())).await.unwrap();
        });
        Self { store, base, serving }
    }

    /// Makes a token that holds.
    pub async fn token(&self, name: &str, scopes: &[Scope]) -> String {
        self.token_until(name, scopes, None).await
    }

    /// Makes a token that holds until a moment.
    pub async fn token_until(&self, name: &str, scopes: &[Scope], expires_at: Option<Micros>) -> String {
        let secret = token::mint(
            [Uuid::now_v7().into_bytes(), Uuid::now_v7().into_bytes()].concat().try_into().unwrap(),
        );
        let token = Token {
            name: name.to_owned(),
            hash: token::hash(&secret),
            scopes: scopes.iter().copied().collect(),
            created_at: Clock::system().now(),
            expires_at,
            revoked_at: None,
        };
        assert!(self.store.create_token(token, entry("token.create", name)).await.unwrap());
        secret
    }

    /// A request to a path under a token.
    pub fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        assay_worker::install_tls();
        reqwest::Client::new().request(method, format!("{}{path}", self.base)).bearer_auth(token)
    }

    /// GET.
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.request(Method::GET, path, token)).await
    }

    /// POST of a JSON document.
    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path, token).json(body)).await
    }

    /// POST of a suite under a key.
    pub async fn submit(&self, token: &str, key: &str, suite: &Value) -> Answer {
        let request = self.request(Method::POST, "/v1/runs", token).header("Idempotency-Key", key);
        Answer::of(request.json(&json!({ "suite": suite }))).await
    }

    /// PUT of JSON lines.
    pub async fn put(&self, path: &str, token: &str, lines: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::PUT, path, token).header("Content-Type", "application/x-ndjson");
        Answer::of(request.body(lines)).await
    }

    /// PUT of everything a suite refers to.
    pub async fn upload(&self, token: &str, loaded: &Loaded) {
        for outgoing in loaded.outgoing() {
            let path = format!("/v1/datasets/{}", outgoing.digest);
            self.put(&path, token, lines_of(&outgoing).await).await.expect(201);
        }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Answer {
    /// Sends a request.
    pub async fn of(request: RequestBuilder) -> Self {
        let response: Response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    /// The same with its status checked.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let document = serde_json::from_str(&self.text);
        assert!(document.is_ok(), "the body is no JSON:\n{}", self.text);
        document.unwrap()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A row of the audit, by the tests.
pub fn entry(action: &str, subject: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(Uuid::now_v7()),
        at: Clock::system().now(),
        actor: "tests".to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: json!({}),
    }
}

/// The suite of a workplace.
pub fn loaded(place: &Workplace) -> Loaded {
    load_structure(&place.path().join("suite.yaml")).unwrap()
}

/// The lines of an upload.
pub async fn lines_of(outgoing: &Outgoing<'_>) -> Vec<u8> {
    let (mut lines, mut all) = (outgoing.lines(), Vec::new());
    while let Some(some) = lines.recv().await {
        all.extend(some.unwrap());
    }
    all
}
