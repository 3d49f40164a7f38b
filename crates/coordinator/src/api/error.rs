//! Why a request was not done, with its status and what to do about it: one enum for the whole API.

use std::time::Duration;

use assay_common::id::{Digest, RunId};
use assay_common::outcome::ErrorKind;
use assay_store::{Scope, StoreError};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::{PROBLEM_JSON, Problem};
use crate::release::ReleaseError;
use crate::steer::{SteerError, as_kind, hint_of};
use crate::suite::{FreezeError, LineFault, Objection};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("the request brings no bearer token")]
    NoToken,
    #[error("nobody has this token")]
    UnknownToken,
    #[error("the token `{0}` has expired")]
    ExpiredToken(String),
    #[error("the token `{0}` was revoked")]
    RevokedToken(String),
    #[error("the token `{token}` lacks the scope `{scope}`")]
    MissingScope { token: String, scope: Scope },
    #[error("the coordinator does not go by the name {0:?}")]
    UnknownHost(String),
    #[error("a page of another site asks: {0}")]
    CrossOrigin(String),
    #[error("there is no such route")]
    NoRoute,
    #[error("the route does not take this method")]
    MethodNotAllowed,
    #[error("there is no run {0}")]
    NoRun(RunId),
    #[error("{0}")]
    NothingSuch(String),
    #[error("nothing is stored under {0}")]
    NoUpload(Digest),
    #[error("{0}")]
    BadRequest(String),
    #[error("the body is not {0}")]
    MediaType(&'static str),
    #[error("the body has more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("nothing of the body came for {} s", .0.as_secs())]
    Silence(Duration),
    #[error("the body came slower than {0} bytes a second")]
    TooSlow(u64),
    #[error("{number} {kind} are under way, as many as this coordinator bears at once")]
    Busy { number: usize, kind: &'static str },
    #[error("{0}")]
    Line(LineFault),
    #[error("what was sent has the digest {found}, not {named}")]
    OtherDigest { named: Digest, found: Digest },
    #[error("the suite cannot be run: {}", summary(.0))]
    Suite(Vec<Objection>),
    #[error("the idempotency key was used for another suite; its run is {0}")]
    KeyTaken(RunId),
    #[error("run {run} is {state}")]
    WrongState { run: RunId, state: &'static str },
    #[error("run {run} has no job that errored{}", as_kind(*.kind))]
    NothingErrored { run: RunId, kind: Option<ErrorKind> },
    #[error("the results of run {0} were removed; its report is kept")]
    Pruned(RunId),
    #[error(transparent)]
    Release(ReleaseError),
    #[error("the store does not answer")]
    Store(#[source] StoreError),
    #[error("the store has no room for more")]
    Full(#[source] StoreError),
    #[error("the coordinator failed")]
    Internal(String),
}

impl ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::UnknownToken | Self::ExpiredToken(_) | Self::RevokedToken(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::MissingScope { .. } | Self::CrossOrigin(_) => StatusCode::FORBIDDEN,
            Self::UnknownHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::NoRoute | Self::NoRun(_) | Self::NothingSuch(_) | Self::NoUpload(_) => {
                StatusCode::NOT_FOUND
            }
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Pruned(_) => StatusCode::GONE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Silence(_) | Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Line(_) | Self::OtherDigest { .. } | Self::Suite(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::KeyTaken(_) | Self::WrongState { .. } | Self::NothingErrored { .. } => StatusCode::CONFLICT,
            Self::Release(error) => match error {
                ReleaseError::Unknown { .. } => StatusCode::NOT_FOUND,
                ReleaseError::Input(_) => StatusCode::BAD_REQUEST,
                _ => StatusCode::CONFLICT,
            },
            Self::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) if error.may_pass() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The last part of its type, and its title.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoToken | Self::UnknownToken | Self::ExpiredToken(_) | Self::RevokedToken(_) => {
                ("unauthorized", "No valid token")
            }
            Self::MissingScope { .. } => ("missing-scope", "The token does not allow this"),
            Self::UnknownHost(_) => ("unknown-host", "The coordinator has another name"),
            Self::CrossOrigin(_) => ("cross-origin", "Pages of other sites may not ask"),
            Self::NoRoute => ("no-route", "No such route"),
            Self::MethodNotAllowed => ("method-not-allowed", "Method not allowed"),
            Self::NoRun(_) => ("unknown-run", "Unknown run"),
            Self::NothingSuch(_) => ("unknown", "There is nothing such"),
            Self::NoUpload(_) => ("unknown-digest", "Nothing under this digest"),
            Self::BadRequest(_) => ("bad-request", "The request cannot be read"),
            Self::MediaType(_) => ("media-type", "Another media type is wanted"),
            Self::TooLarge { .. } => ("too-large", "The body is too large"),
            Self::Silence(_) => ("silence", "The body stopped coming"),
            Self::TooSlow(_) => ("too-slow", "The body came too slowly"),
            Self::Busy { .. } => ("busy", "Others are being served"),
            Self::Line(_) => ("line", "A line cannot be used"),
            Self::OtherDigest { .. } => ("digest-mismatch", "The digest is another"),
            Self::Suite(_) => ("suite", "The suite cannot be run"),
            Self::KeyTaken(_) => ("idempotency-key", "The idempotency key is taken"),
            Self::Pruned(_) => ("pruned", "The results were removed"),
            Self::NothingErrored { .. } => ("nothing-errored", "There is nothing to ask again"),
            Self::WrongState { .. } => ("state", "The run's state does not allow this"),
            Self::Release(error) => match error {
                ReleaseError::Unknown { .. } => ("unknown-release", "What was named is not there"),
                ReleaseError::Input(_) => ("bad-request", "The request cannot be read"),
                ReleaseError::Refused(_) => ("release-refused", "The verdicts do not carry it"),
                ReleaseError::Raced(_) => ("release-raced", "Somebody else was first"),
                _ => ("release-state", "Things do not stand so"),
            },
            Self::Store(_) => ("store", "The store failed"),
            Self::Full(_) => ("store-full", "The store has no room"),
            Self::Internal(_) => ("internal", "The coordinator failed"),
        }
    }

    /// What to do, where that can be told.
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoToken => "send `Authorization: Bearer TOKEN`; `assay token create` makes one".into(),
            Self::UnknownToken => {
                "check that the whole token was sent, and to the coordinator of its store".into()
            }
            Self::ExpiredToken(_) | Self::RevokedToken(_) => {
                "have another one made with `assay token create`".into()
            }
            Self::MissingScope { scope, .. } => {
                format!("use a token made with `assay token create NAME --scopes {scope}`")
            }
            Self::UnknownHost(_) => {
                "ask for it by its address, or name it where it starts: `assay coordinator --host NAME`, or ASSAY_HOSTS".into()
            }
            Self::WrongState { state, .. } => return hint_of(state).map(Into::into),
            Self::NoRun(_) => "`assay status`, or GET /v1/runs, lists the latest".into(),
            Self::Pruned(run) => format!("`assay status {run}`, or GET /v1/runs/{run}, has the report"),
            Self::MediaType(wanted) => format!("send `Content-Type: {wanted}`"),
            Self::OtherDigest { .. } => "a file may have changed while it was sent: send it again".into(),
            Self::KeyTaken(_) => "choose a new key for another suite".into(),
            Self::Busy { .. } => "try again in a moment".into(),
            Self::Full(_) => "nothing was kept: make room on the disk of its database, then try again".into(),
            Self::Store(error) if error.may_pass() => "try again in a moment".into(),
            Self::Store(_) | Self::Internal(_) => {
                "the coordinator's log says more, under the id in x-request-id".into()
            }
            _ => return None,
        })
    }
}

fn summary(objections: &[Objection]) -> String {
    let told: Vec<_> =
        objections.iter().map(|one| format!("{}: {}", one.place, one.message)).take(3).collect();
    let more = objections.len() - told.len();
    format!("{}{}", told.join("; "), if more > 0 { format!("; and {more} more") } else { String::new() })
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            full @ StoreError::Unwritable { .. } => Self::Full(full),
            StoreError::NoText => Self::BadRequest(error.to_string()),
            error => Self::Store(error),
        }
    }
}

impl From<ReleaseError> for ApiError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Store(error) => error.into(),
            error => Self::Release(error),
        }
    }
}

impl From<SteerError> for ApiError {
    fn from(error: SteerError) -> Self {
        match error {
            SteerError::Store(error) => error.into(),
            SteerError::NoRun(run) => Self::NoRun(run),
            SteerError::WrongState { run, state } => Self::WrongState { run, state },
            SteerError::NothingErrored { run, kind } => Self::NothingErrored { run, kind },
        }
    }
}

impl From<FreezeError> for ApiError {
    fn from(error: FreezeError) -> Self {
        match error {
            FreezeError::Store(error) => error.into(),
            changed @ FreezeError::Changed(_) => Self::Internal(changed.to_string()),
        }
    }
}

/// What was told of a refusal, left on its response for the log and the audit.
#[derive(Clone, Debug)]
pub(super) struct Told(pub(super) String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match &self {
            Self::Store(error) | Self::Full(error) => {
                tracing::error!(%error, source = ?error, "the store failed under a request: {error}");
            }
            Self::Internal(error) => tracing::error!(%error, "a request failed: {error}"),
            _ => {}
        }
        let (status, (kind, title)) = (self.status_code(), self.kind());
        let (detail, hint) = (self.to_string(), self.hint());
        let told = Told(detail.clone());
        let errors = if let Self::Suite(objections) = self { objections } else { Vec::new() };
        let kind = format!("urn:assay:problem:{kind}");
        let problem =
            Problem { kind, title: title.to_owned(), status: status.as_u16(), detail, hint, errors };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"assay\""));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(told);
        response
    }
}
