//! Any server that speaks OpenAI's chat completions over HTTP.
//!
//! One client for a provider, HTTP/1.1 with kept connections; no redirects and no retries of its own. What goes out
//! is written by [`request`], what comes back is read by [`response`].

mod request;
mod response;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use assay_common::clock::Clock;
use assay_common::config::Provider as Settings;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::timeout;

use super::meter::Meters;
use super::observation::{Measured, Observation, Reply};
use super::wire::{Server, Wire, WireFault, WireReply};
use super::{ProviderError, Question};
use crate::keys::Secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest silence, before the reply or inside it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest call where assay.toml does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Below what servers and balancers keep a connection for, so that ours is rarely closed as we write to it.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest body of an answer, counted after decompression.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// What is read of a body that says why there is no answer.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;
/// What is kept of a body that is too long.
const KEPT_OF_TOO_LONG_BYTES: usize = 64 * 1024;
/// Names the job's claim: (run, ordinal, generation, attempt), with slashes between.
const JOB_HEADER: HeaderName = HeaderName::from_static("x-assay-job");

/// A chat server.
#[derive(Debug)]
pub(crate) struct OpenAi {
    transport: Transport,
    url: Url,
    key: Option<Secret>,
    clock: Clock,
}

#[derive(Debug)]
enum Transport {
    Http(Client),
    /// A model of the server, and how long it may take.
    Model(Arc<dyn Server>, Duration),
}

/// What came back.
struct Received {
    reply: Reply,
    retry_after: Option<Duration>,
    meters: Meters,
}

/// A body as far as it was read.
enum Body {
    Whole(Vec<u8>),
    TooLong(Vec<u8>),
    /// It cannot be decompressed.
    Garbled {
        read: Vec<u8>,
        problem: String,
    },
    Broken(String),
}

impl OpenAi {
    pub(super) fn new(
        settings: &Settings,
        key: Option<&Secret>,
        in_flight: u32,
        clock: Clock,
        wire: &Wire,
    ) -> Result<Self, ProviderError> {
        let url = endpoint(settings.base_url.as_deref().unwrap_or_default())?;
        let total = settings.timeout.map_or(DEFAULT_TIMEOUT, |span| span.0);
        let transport = match wire {
            Wire::Network => Transport::Http(Self::client(settings, &url, key, in_flight, total)?),
            Wire::Model(server) => Transport::Model(Arc::clone(server), total),
        };
        Ok(Self { transport, url, key: key.cloned(), clock })
    }

    fn client(
        settings: &Settings,
        url: &Url,
        key: Option<&Secret>,
        in_flight: u32,
        total: Duration,
    ) -> Result<Client, ProviderError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            // A resolved key is visible ASCII, which every header can hold.
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", key.expose()))
                .map_err(|_| ProviderError::Client("the key does not fit into a header".into()))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        // Whoever allows long calls allows the silence before a long answer too.
        let idle = settings.timeout.map_or(IDLE_TIMEOUT, |span| span.0.max(IDLE_TIMEOUT));
        let builder = match url.scheme() {
            // Nobody's certificate is looked at: the roots are not read.
            "http" => Client::builder().tls_certs_only([]),
            _ => Client::builder(),
        };
        builder
            .default_headers(headers)
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(idle)
            .timeout(total)
            .tcp_nodelay(true)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(in_flight as usize)
            .build()
            .map_err(|error| ProviderError::Client(describe(&error)))
    }

    pub(super) fn server(&self) -> Option<(&str, u16)> {
        self.url.host_str().zip(self.url.port_or_known_default())
    }

    /// Makes one call. It takes at most the provider's `timeout`.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Observation {
        let (job, body) = (request::job(question), request::body(question.model, question.prompt));
        let Received { reply, retry_after, meters } = match &self.transport {
            Transport::Http(client) => self.ask_server(client, &job, body).await,
            Transport::Model(server, total) => self.ask_model(&**server, *total, job, body).await,
        };
        Observation { reply: self.without_key(reply), retry_after, meters, measured: Measured::Here }
    }

    async fn ask_server(&self, client: &Client, job: &str, body: Vec<u8>) -> Received {
        let mut request = client.post(self.url.clone()).body(body);
        if let Ok(job) = HeaderValue::try_from(job) {
            request = request.header(JOB_HEADER, job);
        }
        match request.send().await {
            Ok(response) => self.receive(response).await,
            Err(error) if error.is_connect() => {
                Received::nothing(Reply::Unsent(format!("{}: {}", authority(&self.url), describe(&error))))
            }
            Err(error) => Received::nothing(Reply::Broken(describe(&error))),
        }
    }

    async fn ask_model(&self, server: &dyn Server, total: Duration, job: String, body: Vec<u8>) -> Received {
        match timeout(total, server.answer(job, body)).await {
            Ok(Ok(WireReply { status, retry_after, body })) => {
                let asked = retry_after.and_then(|asked| HeaderValue::try_from(asked).ok());
                let headers = asked.map(|asked| (RETRY_AFTER, asked)).into_iter().collect();
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                self.understand(status, &headers, Body::Whole(body))
            }
            Ok(Err(WireFault::Unsent(why))) => Received::nothing(Reply::Unsent(why)),
            Ok(Err(WireFault::Broken(why))) => Received::nothing(Reply::Broken(why)),
            Err(_) => Received::nothing(Reply::Broken("no reply in time".into())),
        }
    }

    async fn receive(&self, response: Response) -> Received {
        let (status, headers) = (response.status(), response.headers().clone());
        let limit = if status.is_success() { MAX_BODY_BYTES } else { MAX_ERROR_BODY_BYTES };
        let body = read(response, limit).await;
        self.understand(status, &headers, body)
    }

    /// What a reply says.
    fn understand(&self, status: StatusCode, headers: &HeaderMap, body: Body) -> Received {
        let now = self.clock.now();
        Received {
            reply: self.reply(status, body),
            retry_after: (!status.is_success()).then(|| response::retry_after(headers, now)).flatten(),
            meters: Meters::read(headers, response::written(headers, now)),
        }
    }

    fn reply(&self, status: StatusCode, body: Body) -> Reply {
        if !status.is_success() {
            let read = match body {
                Body::Whole(read) | Body::TooLong(read) | Body::Garbled { read, .. } => read,
                // The status says enough.
                Body::Broken(_) => Vec::new(),
            };
            return Reply::Status { status: status.as_u16(), error: response::error(&read) };
        }
        let (bytes, problem) = match body {
            Body::Whole(bytes) => (bytes, None),
            Body::TooLong(mut bytes) => {
                bytes.truncate(KEPT_OF_TOO_LONG_BYTES);
                (bytes, Some(format!("it is longer than {MAX_BODY_BYTES} bytes")))
            }
            Body::Garbled { read, problem } => (read, Some(problem)),
            Body::Broken(why) => return Reply::Broken(why),
        };
        let bytes = match &self.key {
            Some(key) => key.strike_out_of_body(bytes),
            None => bytes,
        };
        let read = problem.map_or_else(|| response::answer(&bytes, status.as_u16()), Err);
        match read {
            Ok(answer) => Reply::Answer(answer),
            Err(problem) => Reply::Malformed { status: status.as_u16(), bytes, problem },
        }
    }

    /// What a provider says about a request may repeat its headers.
    fn without_key(&self, reply: Reply) -> Reply {
        let Some(key) = &self.key else { return reply };
        match reply {
            Reply::Status { status, mut error } => {
                error.message = key.strike_out(&error.message);
                Reply::Status { status, error }
            }
            Reply::Malformed { status, bytes, problem } => {
                Reply::Malformed { status, bytes, problem: key.strike_out(&problem) }
            }
            other => other,
        }
    }
}

impl Received {
    /// No headers came.
    fn nothing(reply: Reply) -> Self {
        Self { reply, retry_after: None, meters: Meters::default() }
    }
}

/// Where completions are asked for. Whatever the reason, the URL itself is not repeated: it may hold a password.
fn endpoint(base_url: &str) -> Result<Url, ProviderError> {
    let url = Url::parse(&format!("{}/chat/completions", base_url.trim_end_matches('/')))
        .map_err(|error| ProviderError::BaseUrl(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(ProviderError::BaseUrl(format!("its scheme is `{other}`"))),
    }
}

/// Reads at most `limit` bytes, counted after decompression.
async fn read(mut response: Response, limit: usize) -> Body {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut read = Vec::with_capacity(announced.min(limit).min(64 * 1024));
    loop {
        match response.chunk().await {
            Ok(None) => return Body::Whole(read),
            Ok(Some(chunk)) => {
                let room = limit - read.len();
                read.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return Body::TooLong(read);
                }
            }
            Err(error) if is_garbled(&error) => return Body::Garbled { read, problem: describe(&error) },
            Err(error) => return Body::Broken(describe(&error)),
        }
    }
}

/// Whether the bytes arrived and could not be decompressed.
fn is_garbled(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput);
        }
        source = error.source();
    }
    false
}

/// Host and port, without a user or password that the base URL may hold.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The innermost reason, which is the one that says something, without the URL.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return if error.is_connect() { "no connection in time" } else { "no reply in time" }.into();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests;
