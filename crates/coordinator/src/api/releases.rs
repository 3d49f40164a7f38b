//! `/v1/prompts` and `/v1/channels`: what there is, what is live where, and how it gets there.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::authenticate::{Reader, Releaser};
use super::document::Page;
use super::error::ApiError;
use super::path::{ChannelDigest, ChannelPrompt, PromptPath, PromptVersion};
use super::query::Query;
use super::{Api, body, random};
use crate::release::document::{
    HistoryDocument, PromptDocument, RehearsalDocument, ReleaseEntry, VerifyDocument, VersionDocument,
    VersionEntry,
};
use crate::release::registry::moment;
use crate::release::verify::verify;
use crate::release::{Desk, Promote, Which, registry};

/// The longest body, in bytes.
pub(super) const MAX_BODY_BYTES: u64 = 64 << 10;
/// What stands in a path for the newest version.
const NEWEST: &str = "newest";

/// Every prompt.
pub(super) async fn prompts(
    State(api): State<Arc<Api>>,
    _: Reader,
) -> Result<Json<Page<PromptDocument>>, ApiError> {
    let items = registry::prompts(&api.environment.store).await?;
    Ok(Json(items.into()))
}

/// Which page of versions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    before: Option<i64>,
}

/// A page of versions, newest first.
pub(super) async fn versions(
    State(api): State<Arc<Api>>,
    _: Reader,
    PromptPath(name): PromptPath,
    Query(Before { before }): Query<Before>,
) -> Result<Json<Page<VersionEntry>>, ApiError> {
    let items = registry::versions(&api.environment.store, &name, before).await?;
    let next = items.last().map(|version| version.version).filter(|number| *number > 1);
    Ok(Json(Page { items, next: next.map(|number| number.to_string()) }))
}

/// A version with its content and its verdicts.
pub(super) async fn version(
    State(api): State<Arc<Api>>,
    _: Reader,
    PromptVersion(name, which): PromptVersion,
) -> Result<Json<VersionDocument>, ApiError> {
    let which = Some(which).filter(|which| which != NEWEST).map(|which| to_which(&which));
    Ok(Json(registry::show(&api.environment.store, &name, which.as_ref()).await?))
}

/// Which part of a history.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    channel: Option<String>,
    at: Option<String>,
}

/// What was released, or was live at a moment.
pub(super) async fn history(
    State(api): State<Arc<Api>>,
    _: Reader,
    PromptPath(name): PromptPath,
    Query(Part { channel, at }): Query<Part>,
) -> Result<Json<HistoryDocument>, ApiError> {
    let at = at
        .map(|at| {
            let wanted = "`at` is a moment, such as 2026-03-01T09:00:00Z";
            moment(&at).ok_or_else(|| ApiError::BadRequest(wanted.to_owned()))
        })
        .transpose()?;
    Ok(Json(registry::history(&api.environment.store, &name, channel.as_deref(), at).await?))
}

/// What is live, with its content. Its `ETag` is the digest: who has it already is told so.
pub(super) async fn live(
    State(api): State<Arc<Api>>,
    _: Reader,
    ChannelPrompt(channel, name): ChannelPrompt,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let live = registry::pull(&api.environment.store, &channel, &name).await?;
    let tag = format!("\"{}\"", live.digest);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|value| value.split(',')).any(|value| {
        let value = value.trim();
        value == "*" || value.strip_prefix("W/").unwrap_or(value) == tag
    });
    let about = [(ETAG, tag), (CACHE_CONTROL, "private, no-cache".to_owned())];
    Ok(match known {
        true => (StatusCode::NOT_MODIFIED, about).into_response(),
        false => (about, Json(live)).into_response(),
    })
}

/// Which prompt a content has to be of, and whether the channel may be new.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    prompt: Option<String>,
    #[serde(default)]
    new_channel: bool,
}

/// Whether a content may be deployed.
pub(super) async fn verified(
    State(api): State<Arc<Api>>,
    _: Reader,
    ChannelDigest(channel, digest): ChannelDigest,
    Query(Of { prompt, new_channel }): Query<Of>,
) -> Result<Json<VerifyDocument>, ApiError> {
    let store = &api.environment.store;
    Ok(Json(verify(store, &digest, &channel, prompt.as_deref(), new_channel, api.now()).await?))
}

/// A promotion.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PromoteBody {
    version: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default, rename = "override")]
    overriding: bool,
    #[serde(default)]
    new_channel: bool,
}

/// Puts a version on a channel. Without a passing verdict that takes one more scope.
pub(super) async fn promote(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    ChannelPrompt(channel, prompt): ChannelPrompt,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ReleaseEntry>, ApiError> {
    let PromoteBody { version, reason, overriding, new_channel } =
        body::json(&headers, body, MAX_BODY_BYTES).await?;
    if overriding {
        releaser.may_override()?;
    }
    let version = to_which(&version);
    let asked = Promote { prompt, version, channel, reason, overriding, new_channel };
    Ok(Json(desk(&api, releaser)?.promote(asked).await?))
}

/// A rollback.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    reason: String,
    #[serde(default)]
    from: Option<String>,
}

/// Puts the version that was live before back on a channel.
pub(super) async fn rollback(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    ChannelPrompt(channel, prompt): ChannelPrompt,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ReleaseEntry>, ApiError> {
    let RollbackBody { reason, from } = body::json(&headers, body, MAX_BODY_BYTES).await?;
    let from = from.as_deref().map(to_which);
    Ok(Json(desk(&api, releaser)?.rollback(&prompt, &channel, from.as_ref(), &reason).await?))
}

/// Rehearses that on a scratch channel.
pub(super) async fn rehearse(
    State(api): State<Arc<Api>>,
    releaser: Releaser,
    ChannelPrompt(channel, prompt): ChannelPrompt,
) -> Result<Json<RehearsalDocument>, ApiError> {
    Ok(Json(desk(&api, releaser)?.rehearse(&prompt, &channel).await?))
}

/// The desk of a token's holder.
pub(super) fn desk(api: &Api, releaser: Releaser) -> Result<Desk<'_>, ApiError> {
    let environment = &api.environment;
    let Releaser { name, origin, .. } = releaser;
    Ok(Desk::new(&environment.store, environment.clock.clone(), name, origin, random()?))
}

fn to_which(text: &str) -> Which {
    match text.parse() {
        Ok(which) => which,
        Err(never) => match never {},
    }
}
