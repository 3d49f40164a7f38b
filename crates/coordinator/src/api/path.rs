//! What stands in a path, as a type.

use assay_common::id::{Digest, RunId};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::error::ApiError;
use crate::limits::Kind;

/// Characters of a wrong id that are shown.
const SHOWN_CHARS: usize = 80;
const DIGEST: &str = "a digest; digests are 64 lower-case hex digits";

/// The run that a path names.
pub(super) struct RunPath(pub(super) RunId);

/// The digest that a path names.
pub(super) struct DigestPath(pub(super) Digest);

impl<S: Send + Sync> FromRequestParts<S> for RunPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parsed(parts, state, "the id of a run, such as 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DigestPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parsed(parts, state, DIGEST).await.map(Self)
    }
}

/// The prompt that a path names.
pub(super) struct PromptPath(pub(super) String);

/// The schedule that a path names.
pub(super) struct SchedulePath(pub(super) String);

/// The prompt and the version that a path names.
pub(super) struct PromptVersion(pub(super) String, pub(super) String);

/// The channel and the prompt that a path names.
pub(super) struct ChannelPrompt(pub(super) String, pub(super) String);

/// The channel and the digest that a path names.
pub(super) struct ChannelDigest(pub(super) String, pub(super) Digest);

/// The account or model that a path names.
pub(super) struct ScopePath(pub(super) String);

/// The limit that a path names.
pub(super) struct LimitPath(pub(super) String, pub(super) Kind);

/// The number that a path names.
pub(super) struct NumberPath(pub(super) i64);

impl<S: Send + Sync> FromRequestParts<S> for PromptPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parsed(parts, state, "the name of a prompt").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SchedulePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parsed(parts, state, "the name of a schedule").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NumberPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parsed(parts, state, "the number of an incident or a risk").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PromptVersion {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        pair(parts, state).await.map(|(name, which)| Self(name, which))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ChannelPrompt {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        pair(parts, state).await.map(|(channel, name)| Self(channel, name))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ChannelDigest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (channel, digest) = pair(parts, state).await?;
        let digest = digest.parse().map_err(|_| wrong(&digest, DIGEST))?;
        Ok(Self(channel, digest))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ScopePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parsed(parts, state, "the name of an account or of a model").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LimitPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (scope, kind) = pair(parts, state).await?;
        let shown: String = kind.chars().take(SHOWN_CHARS).collect();
        Ok(Self(scope, shown.parse().map_err(ApiError::BadRequest)?))
    }
}

async fn pair<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<(String, String), ApiError> {
    let pair = Path::<(String, String)>::from_request_parts(parts, state).await;
    pair.map(|Path(pair)| pair).map_err(|rejection| ApiError::BadRequest(rejection.body_text()))
}

async fn parsed<T: std::str::FromStr, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    wanted: &str,
) -> Result<T, ApiError> {
    let text =
        Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
    text.parse().map_err(|_| wrong(&text, wanted))
}

fn wrong(text: &str, wanted: &str) -> ApiError {
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    ApiError::BadRequest(format!("{shown:?} is not {wanted}"))
}
