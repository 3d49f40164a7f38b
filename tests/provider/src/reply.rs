//! Decisions as HTTP: the bytes of good answers and of bad ones.

use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{StreamExt as _, future, stream};
use serde_json::json;

use crate::plan::Decision;
use crate::script::Reaction;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A completion before it is written down.
pub(crate) struct Completion<'c> {
    /// The call's number, from 1.
    pub(crate) number: u64,
    /// The model, as it was asked for.
    pub(crate) model: &'c str,
    /// What it says.
    pub(crate) answer: &'c str,
    /// Tokens of the request.
    pub(crate) input_tokens: u64,
    /// Tokens of the answer.
    pub(crate) output_tokens: u64,
}

/// The reply to a call. Reactions without a reply are not its business; they get an empty one.
pub(crate) fn reply(decision: Decision<'_>, completion: &Completion<'_>) -> Response {
    let Some(reaction) = decision.reaction else { return ok(completion.json(&Parts::default())) };
    match reaction {
        Reaction::Status { code, retry_after, error } => {
            refusal(*code, retry_after.as_deref(), error.as_deref())
        }
        Reaction::Reply { status, headers, body } => verbatim(*status, headers, body),
        Reaction::Hang | Reaction::Close | Reaction::Reset => Response::default(),
        Reaction::Cut => halved(&completion.json(&Parts::default()), true),
        Reaction::Stall => halved(&completion.json(&Parts::default()), false),
        Reaction::Drip => dripped(completion.json(&Parts::default())),
        Reaction::TruncatedJson => {
            let mut body = completion.json(&Parts::default());
            body.truncate(body.len() / 2);
            ok(body)
        }
        Reaction::InvalidUtf8 => {
            ok(completion.json(&Parts { content: Some(b"\"\xff\xfe\""), ..Parts::default() }))
        }
        Reaction::Nul => ok(completion.json(&Parts { content: Some(br#""a\u0000b""#), ..Parts::default() })),
        Reaction::LoneSurrogate => {
            ok(completion.json(&Parts { content: Some(br#""a\ud800b""#), ..Parts::default() }))
        }
        Reaction::Huge(_) => ok(decision.body.clone()),
        Reaction::GzipBomb(_) => {
            let mut response = ok(decision.body.clone());
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        Reaction::Refusal(reason) => {
            ok(completion.json(&Parts { content: Some(b"null"), refusal: Some(reason), ..Parts::default() }))
        }
        Reaction::Finish(reason) => ok(completion.json(&Parts { finish_reason: reason, ..Parts::default() })),
        Reaction::AbsurdUsage => ok(completion.json(&Parts { usage: Usage::Absurd, ..Parts::default() })),
        Reaction::MissingUsage => ok(completion.json(&Parts { usage: Usage::Missing, ..Parts::default() })),
        Reaction::SlowMs(_) => ok(completion.json(&Parts::default())),
    }
}

/// In what a completion differs from a good one.
struct Parts<'p> {
    /// The JSON of `content` as it stands; `None`: the answer.
    content: Option<&'p [u8]>,
    refusal: Option<&'p str>,
    finish_reason: &'p str,
    usage: Usage,
}

enum Usage {
    Counted,
    Absurd,
    Missing,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self { content: None, refusal: None, finish_reason: "stop", usage: Usage::Counted }
    }
}

impl Completion<'_> {
    /// OpenAI's `chat.completion` object, written piece by piece: this is the hot path of benchmarks.
    fn json(&self, parts: &Parts<'_>) -> Vec<u8> {
        let mut body = Vec::with_capacity(320 + self.model.len() + self.answer.len() * 2);
        // Neither writing to a Vec nor serialising a string can fail.
        let _ = write!(
            body,
            r#"{{"id":"chatcmpl-{}","object":"chat.completion","created":0,"model":"#,
            self.number
        );
        let _ = serde_json::to_writer(&mut body, self.model);
        body.extend_from_slice(br#","choices":[{"index":0,"message":{"role":"assistant","content":"#);
        match parts.content {
            Some(raw) => body.extend_from_slice(raw),
            None => drop(serde_json::to_writer(&mut body, self.answer)),
        }
        body.extend_from_slice(br#","refusal":"#);
        let _ = serde_json::to_writer(&mut body, &parts.refusal);
        body.extend_from_slice(br#"},"logprobs":null,"finish_reason":"#);
        let _ = serde_json::to_writer(&mut body, parts.finish_reason);
        body.extend_from_slice(b"}]");
        let (input, output) = (self.input_tokens, self.output_tokens);
        let _ = match parts.usage {
            Usage::Counted => write!(
                body,
                r#","usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}}}"#,
                input + output
            ),
            // Below zero, and one more than 64 bits hold.
            Usage::Absurd => {
                body.write_all(br#","usage":{"prompt_tokens":-1,"completion_tokens":18446744073709551616}}"#)
            }
            Usage::Missing => body.write_all(b"}"),
        };
        body
    }
}

fn ok(body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// An error in OpenAI's shape.
fn refusal(status: u16, retry_after: Option<&str>, error: Option<&str>) -> Response {
    let usual = match status {
        401 => "invalid_api_key",
        402 => "insufficient_quota",
        403 => "unsupported_country_region_territory",
        404 => "model_not_found",
        429 => "rate_limit_exceeded",
        529 => "overloaded_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let code = error.unwrap_or(usual);
    let body = json!({"error": {"message": format!("scripted error {status}: {code}"), "type": code, "param": null, "code": code}});
    let mut response = ok(body.to_string());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn verbatim(status: u16, headers: &[(String, String)], body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// A body of announced length, a byte at a time: it never stops coming, and takes half a minute.
fn dripped(body: Vec<u8>) -> Response {
    let length = body.len();
    let drops = stream::iter(body).then(async |byte| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, std::io::Error>(Bytes::from(vec![byte]))
    });
    let mut response = Response::new(Body::from_stream(drops));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

/// The first half of a body of announced length; then the connection is cut, or nothing happens for ever.
fn halved(body: &[u8], cut: bool) -> Response {
    let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
    let rest = stream::once(async move {
        if !cut {
            future::pending::<()>().await;
        }
        // Time for the first half to leave before the connection goes.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    let mut response = Response::new(Body::from_stream(stream::iter([Ok(half)]).chain(rest)));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    response
}
