//! Whose request it is: a bearer token, looked up by its hash, and held against the scope the route needs.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use assay_store::{Scope, Token};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{AUTHORIZATION, USER_AGENT};
use axum::http::request::Parts;
use subtle::ConstantTimeEq as _;

use super::Api;
use super::error::ApiError;
use super::header::only;
use super::observe::Actor;
use super::token::hash;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 200;
/// Characters of a program's name that are kept.
const AGENT_CHARS: usize = 100;

/// Whoever may read.
pub(super) struct Reader;

/// Whoever may submit, steer runs, and have suites sweep what is live.
pub(super) struct Submitter {
    /// The token's name.
    pub(super) name: String,
    /// From where: the address, where it is known, and the program.
    pub(super) origin: String,
}

/// Whoever may release, and deal with incidents.
pub(super) struct Releaser {
    /// The token's name.
    pub(super) name: String,
    /// From where: the address, where it is known, and the program.
    pub(super) origin: String,
    scopes: BTreeSet<Scope>,
}

impl Releaser {
    /// Whether he may do so without a passing verdict.
    pub(super) fn may_override(&self) -> Result<(), ApiError> {
        match self.scopes.contains(&Scope::Admin) {
            true => Ok(()),
            false => Err(ApiError::MissingScope { token: self.name.clone(), scope: Scope::Admin }),
        }
    }
}

/// Whoever may change what all workers keep to.
pub(super) struct Operator {
    /// The token's name.
    pub(super) name: String,
    /// From where: the address, where it is known, and the program.
    pub(super) origin: String,
}

impl FromRequestParts<Arc<Api>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Token { name, .. } = authorize(parts, api, Scope::Admin).await?;
        Ok(Self { name, origin: origin(parts) })
    }
}

impl FromRequestParts<Arc<Api>> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        authorize(parts, api, Scope::Read).await.map(|_| Self)
    }
}

impl FromRequestParts<Arc<Api>> for Submitter {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Token { name, .. } = authorize(parts, api, Scope::Submit).await?;
        Ok(Self { name, origin: origin(parts) })
    }
}

impl FromRequestParts<Arc<Api>> for Releaser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Token { name, scopes, .. } = authorize(parts, api, Scope::Release).await?;
        Ok(Self { name, origin: origin(parts), scopes })
    }
}

fn origin(parts: &Parts) -> String {
    let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let agent: String = agent.unwrap_or("an unnamed client").chars().take(AGENT_CHARS).collect();
    match parts.extensions.get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(peer)) => format!("API, {agent} at {}", peer.ip()),
        None => format!("API, {agent}"),
    }
}

/// The request's token, if that holds and has the scope.
async fn authorize(parts: &Parts, api: &Api, scope: Scope) -> Result<Token, ApiError> {
    let presented = hash(bearer(parts)?);
    let token = api.environment.store.token(&presented).await?.ok_or(ApiError::UnknownToken)?;
    if !bool::from(token.hash.as_str().as_bytes().ct_eq(presented.as_str().as_bytes())) {
        return Err(ApiError::UnknownToken);
    }
    if let Some(actor) = parts.extensions.get::<Actor>() {
        actor.set(&token.name);
    }
    if token.revoked_at.is_some() {
        return Err(ApiError::RevokedToken(token.name));
    }
    if token.expires_at.is_some_and(|expires| expires <= api.now()) {
        return Err(ApiError::ExpiredToken(token.name));
    }
    if !token.scopes.contains(&scope) {
        return Err(ApiError::MissingScope { token: token.name, scope });
    }
    Ok(token)
}

fn bearer(parts: &Parts) -> Result<&str, ApiError> {
    let value = only(&parts.headers, &AUTHORIZATION)?;
    let (scheme, token) = value.and_then(|value| value.split_once(' ')).ok_or(ApiError::NoToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::NoToken);
    }
    let token = token.trim();
    match token.len() {
        0 => Err(ApiError::NoToken),
        1..=MAX_TOKEN_BYTES => Ok(token),
        _ => Err(ApiError::UnknownToken),
    }
}
