//! A coordinator as the command line meets it: one connection pool, one token, errors that say what, where, and what to do.
//!
//! - [`upload`]: what the server lacks of a suite's files; [`runs`]: submitting, reading and steering runs; [`releases`]:
//!   prompts, channels, incidents; [`schedules`]: schedules; [`reviews`]: what they came to; [`limits`]: limits
//! - [`error`]: what can go wrong between the two

pub(crate) mod error;
mod limits;
mod releases;
mod reviews;
mod runs;
mod schedules;
mod upload;

use std::time::Duration;

use assay_common::trace::{TraceParent, Tracer};
use assay_coordinator::api::problem::{PROBLEM_JSON, Problem};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::Span;

pub(crate) use self::error::ClientError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer, or the next piece of one, may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an answer may take before the one who waits for it is told so.
const SOON: Duration = Duration::from_secs(2);
/// The most that is read of a refusal, in bytes.
const MAX_PROBLEM_BYTES: usize = 1 << 20;

/// A coordinator.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    tracer: Tracer,
}

impl Client {
    /// A client of the coordinator at `server`; connects with the first request.
    pub(crate) fn new(server: &str, token: Option<&str>, tracer: Tracer) -> Result<Self, ClientError> {
        assay_worker::install_tls();
        let base = base(server)?;
        let token = token.map(str::trim).filter(|token| !token.is_empty()).ok_or(ClientError::NoToken)?;
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ClientError::BadToken)?;
        bearer.set_sensitive(true);
        let http = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(ANSWER_TIMEOUT)
            .build();
        let http = http.map_err(|source| ClientError::Unreachable { server: shown(&base), source })?;
        Ok(Self { http, base, tracer })
    }

    /// The URL of a path beneath the server's.
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// Sends a request and reads its answer as JSON.
    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let response = self.send(request, ANSWER_TIMEOUT).await?;
        let body = timeout(ANSWER_TIMEOUT, response.bytes()).await.map_err(|_| self.silent())?;
        let body = body.map_err(|source| self.broken(source))?;
        serde_json::from_slice(&body).map_err(|_| self.stranger("200 and something else than JSON"))
    }

    /// Sends a request, with the trace it belongs to; an answer that is no success becomes an error.
    async fn send(&self, request: RequestBuilder, patience: Duration) -> Result<Response, ClientError> {
        let request = match self.tracer.context(&Span::current()) {
            Some(trace) => request.header(TraceParent::HEADER, trace.to_string()),
            None => request,
        };
        let response = timeout(patience, self.patiently(request)).await.map_err(|_| self.silent())?;
        let response = response.map_err(|source| self.broken(source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|value| value.starts_with(PROBLEM_JSON)) {
            return Err(match status.as_u16() {
                // A proxy in front of a coordinator that is away.
                502..=504 => ClientError::Away { server: self.shown(), status: status.as_u16() },
                _ => self.stranger(&status.to_string()),
            });
        }
        let problem = self.problem(response).await?;
        Err(ClientError::Refused { server: self.shown(), problem: Box::new(problem) })
    }

    /// Sends a request, and says so when the answer takes its time.
    async fn patiently(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let answer = request.send();
        tokio::pin!(answer);
        match timeout(SOON, &mut answer).await {
            Ok(answered) => answered,
            Err(_) => {
                tracing::warn!("waiting for an answer of {}: its store may be slow, or away", self.shown());
                answer.await
            }
        }
    }

    async fn problem(&self, mut response: Response) -> Result<Problem, ClientError> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(&mut response).await? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_PROBLEM_BYTES {
                break;
            }
        }
        serde_json::from_slice(&body).map_err(|_| self.stranger("a problem that cannot be read"))
    }

    /// The next piece of an answer.
    async fn piece(&self, response: &mut Response) -> Result<Option<Vec<u8>>, ClientError> {
        let piece = timeout(ANSWER_TIMEOUT, response.chunk()).await.map_err(|_| self.silent())?;
        Ok(piece.map_err(|source| self.broken(source))?.map(|piece| piece.to_vec()))
    }

    fn shown(&self) -> String {
        shown(&self.base)
    }

    fn silent(&self) -> ClientError {
        self.silent_for(ANSWER_TIMEOUT)
    }

    /// What to say of a coordinator that has not answered for so long.
    pub(crate) fn silent_for(&self, waited: Duration) -> ClientError {
        ClientError::Silent { server: self.shown(), seconds: waited.as_secs() }
    }

    fn broken(&self, source: reqwest::Error) -> ClientError {
        ClientError::Unreachable { server: self.shown(), source: source.without_url() }
    }

    fn stranger(&self, answer: &str) -> ClientError {
        ClientError::Stranger { server: self.shown(), answer: answer.to_owned() }
    }
}

/// A server as people write it.
fn shown(base: &Url) -> String {
    base.as_str().trim_end_matches('/').to_owned()
}

/// Reads `--server`.
fn base(server: &str) -> Result<Url, ClientError> {
    // What stands before an @ may be a password, also where the rest is no URL: such a text is not repeated.
    let wrong = || match server.contains('@') {
        true => ClientError::Credentials,
        false => ClientError::Url(server.to_owned()),
    };
    let url = Url::parse(server.trim()).map_err(|_| wrong())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Credentials);
    }
    let plain = url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !plain {
        return Err(wrong());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_http_url_and_paths_go_beneath_it() {
        let check = |server: &str, expected: Option<&str>| {
            let url = Client::new(server, Some("t"), Tracer::default())
                .ok()
                .map(|client| client.url("/v1/runs").to_string());
            assert_eq!(url.as_deref(), expected, "{server}");
        };
        check("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/v1/runs"));
        check("https://evals.example/assay/", Some("https://evals.example/assay/v1/runs"));
        check("evals.example", None);
        check("ftp://evals.example", None);
        check("http://ann:secret@evals.example", None);
        check("http://evals.example/?a=b", None);
    }

    #[test]
    fn a_password_in_it_is_not_repeated() {
        let check = |server: &str| {
            let error = base(server).unwrap_err().to_string();
            assert!(!error.contains("s3cret") && error.contains("ASSAY_TOKEN"), "{server}: {error}");
        };
        check("http://ann:s3cret@evals.example");
        check("ftp://ann:s3cret@evals.example");
        check("http://ann:s3cret@evals.example:port");
        check("ann:s3cret@evals.example");
    }
}
