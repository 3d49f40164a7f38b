//! An OTLP collector in this process: takes spans over HTTP and gives them back to be looked at.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Wire;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Status;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A collector on a loopback port; it ends when this is dropped.
pub struct Collector {
    /// What OTEL_EXPORTER_OTLP_ENDPOINT is set to.
    pub endpoint: String,
    bodies: Arc<Mutex<Vec<Bytes>>>,
    serving: JoinHandle<()>,
}

/// Attributes by name.
pub type Attributes = BTreeMap<String, Value>;

/// A span as it came.
#[derive(Clone, Debug)]
pub struct Span {
    /// `service.name` of the process that made it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace.
    pub trace: Vec<u8>,
    /// Its id.
    pub id: Vec<u8>,
    /// Its parent's id; empty: none.
    pub parent: Vec<u8>,
    /// What it is in a conversation.
    pub kind: SpanKind,
    /// Whether it ended in an error.
    pub failed: bool,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its events: name and attributes.
    pub events: Vec<(String, Attributes)>,
    /// The ids of the spans it is linked to.
    pub links: Vec<Vec<u8>>,
    /// When it ended, in nanoseconds.
    pub ended: u64,
}

impl Collector {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let bodies: Arc<Mutex<Vec<Bytes>>> = Arc::default();
        let kept = Arc::clone(&bodies);
        let take = async move |body: Bytes| {
            kept.lock().unwrap().push(body);
            StatusCode::OK
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(take));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, bodies, serving }
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for body in self.bodies.lock().unwrap().iter() {
            let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
            for resource in request.resource_spans {
                let of = attributes(&resource.resource.unwrap().attributes);
                let service = of["service.name"].as_str().unwrap().to_owned();
                let all = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(all.map(|span| Span::of(&service, span)));
            }
        }
        spans
    }

    /// Whether a text occurs anywhere in what came.
    pub fn mentions(&self, text: &str) -> bool {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().any(|body| body.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Span {
    fn of(service: &str, wire: Wire) -> Self {
        Self {
            service: service.to_owned(),
            kind: wire.kind(),
            failed: wire.status.is_some_and(|status| status.code() == Status::Error),
            name: wire.name,
            trace: wire.trace_id,
            id: wire.span_id,
            parent: wire.parent_span_id,
            attributes: attributes(&wire.attributes),
            events: wire
                .events
                .into_iter()
                .map(|event| (event.name, attributes(&event.attributes)))
                .collect(),
            links: wire.links.into_iter().map(|link| link.span_id).collect(),
            ended: wire.end_time_unix_nano,
        }
    }

    /// An attribute; null where there is none.
    pub fn get(&self, name: &str) -> Value {
        self.attributes.get(name).cloned().unwrap_or_default()
    }
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    pairs.iter().map(|pair| (pair.key.clone(), value(pair.value.as_ref()))).collect()
}

fn value(any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(yes)) => json!(yes),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(array)) => array.values.iter().map(|item| value(Some(item))).collect(),
        _ => Value::Null,
    }
}
