//! The HTTP API: what CI and people ask of a coordinator. Every answer comes from the store, and so does everything it
//! changes; the broker may be down.
//!
//! In the order in which a request passes through:
//!
//! - `observe`: its id, its span, its line in the log; what was refused is written to the audit
//! - [`hosts`]: under which name it asks, and whether a page of another site does
//! - `authenticate`: whose it is and what that token allows; [`token`]: what a token looks like
//! - `path`, `query`: what stands in its path and behind it, as types; `header`: what stands there once; `body`: bounded, with a limit on silence
//!   and slowness; `turns`: how many at once
//! - one file a resource: `uploads`, `submit`, `runs`, `results`, `steer`, `compare`, `flakes`, `quarantine`, `releases`, `incidents`,
//!   [`schedules`], `reviews`, `risks`, `ranges`, `limits`, `notifications`
//! - [`document`]: the shapes that go out, which the client reads; [`problem`]: the shape of a refusal; `error`
//!
//! **Invariant:** a token or another secret stands in no log line, row, reply or error.
//! **Invariant:** bearer tokens alone: no cookie is set or read, so no page of another site can act for anybody.

mod authenticate;
mod body;
mod compare;
pub mod document;
mod error;
mod flakes;
mod header;
pub mod hosts;
mod incidents;
mod limits;
mod notifications;
mod observe;
mod path;
pub mod problem;
mod quarantine;
mod query;
mod ranges;
mod releases;
mod results;
mod reviews;
mod risks;
mod runs;
pub mod schedules;
mod steer;
mod submit;
pub mod token;
mod turns;
mod uploads;

use std::sync::Arc;

use assay_common::clock::Micros;
use assay_common::id::AuditId;
use assay_store::AuditEntry;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use rand::TryRng as _;
use rand::rngs::SysRng;
use serde_json::Value;
use tokio::sync::Semaphore;
use uuid::{Builder, Uuid};

use self::error::ApiError;
use self::hosts::Hosts;
use self::observe::Strangers;
use self::turns::Turns;
use crate::environment::Environment;

/// Uploads received at once.
const UPLOADS: usize = 4;
/// Answers with results at once, from the first to the last byte.
const RESULTS: usize = 32;
/// Reports assembled at once; further ones wait.
const REPORTS: usize = 2;

/// What every request shares.
struct Api {
    environment: Environment,
    hosts: Hosts,
    uploads: Turns,
    results: Turns,
    reports: Semaphore,
    strangers: Strangers,
}

/// The routes of the API, complete with authentication, limits and log lines, for whoever asks for one of `hosts`.
pub fn router(environment: Environment, hosts: Hosts) -> Router {
    let api = Arc::new(Api {
        environment,
        hosts,
        uploads: Turns::new(UPLOADS, "uploads"),
        results: Turns::new(RESULTS, "answers with results"),
        reports: Semaphore::new(REPORTS),
        strangers: Strangers::default(),
    });
    Router::new()
        .route("/v1/datasets/{digest}", get(uploads::dataset).put(uploads::put_dataset))
        .route("/v1/recordings/{digest}", get(uploads::recording).put(uploads::put_recording))
        .route("/v1/runs", get(runs::list).post(submit::submit))
        .route("/v1/runs/{id}", get(runs::show))
        .route("/v1/comparison", get(compare::comparison))
        .route("/v1/flakes", get(flakes::ledger))
        .route("/v1/quarantine", get(quarantine::list).post(quarantine::add))
        .route("/v1/quarantine/remove", post(quarantine::remove))
        .route("/v1/runs/{id}/results", get(results::results))
        .route("/v1/runs/{id}/cancel", post(steer::cancel))
        .route("/v1/runs/{id}/pause", post(steer::pause))
        .route("/v1/runs/{id}/resume", post(steer::resume))
        .route("/v1/runs/{id}/retry", post(steer::retry))
        .route("/v1/prompts", get(releases::prompts))
        .route("/v1/prompts/{name}/versions", get(releases::versions))
        .route("/v1/prompts/{name}/versions/{version}", get(releases::version))
        .route("/v1/prompts/{name}/history", get(releases::history))
        .route("/v1/channels/{channel}/prompts/{name}", get(releases::live))
        .route("/v1/channels/{channel}/prompts/{name}/promote", post(releases::promote))
        .route("/v1/channels/{channel}/prompts/{name}/rollback", post(releases::rollback))
        .route("/v1/channels/{channel}/prompts/{name}/rehearse", post(releases::rehearse))
        .route("/v1/channels/{channel}/verify/{digest}", get(releases::verified))
        .route("/v1/incidents", get(incidents::list).post(incidents::open))
        .route("/v1/incidents/{number}", get(incidents::show))
        .route("/v1/incidents/{number}/ack", post(incidents::acknowledge))
        .route("/v1/incidents/{number}/link", post(incidents::link))
        .route("/v1/incidents/{number}/resolve", post(incidents::resolve))
        .route("/v1/incidents/{number}/reopen", post(incidents::reopen))
        .route("/v1/schedules", get(schedules::list).post(schedules::add))
        .route("/v1/schedules/{name}", get(schedules::show).delete(schedules::remove))
        .route("/v1/schedules/{name}/pause", post(schedules::pause))
        .route("/v1/schedules/{name}/resume", post(schedules::resume))
        .route("/v1/schedules/{name}/run", post(schedules::run))
        .route("/v1/review", get(reviews::review))
        .route("/v1/signals", get(reviews::signals))
        .route("/metrics", get(reviews::metrics))
        .route("/v1/risks", get(risks::list).post(risks::add))
        .route("/v1/risks/{number}/close", post(risks::close))
        .route("/v1/ranges", get(ranges::list).post(ranges::set))
        .route("/v1/ranges/remove", post(ranges::remove))
        .route("/v1/limits", get(limits::list))
        .route("/v1/limits/{scope}", delete(limits::clear_all))
        .route("/v1/limits/{scope}/resume", post(limits::resume))
        .route("/v1/limits/{scope}/{dimension}", put(limits::set).delete(limits::clear))
        .route("/v1/notifications", get(notifications::list))
        .route("/v1/notifications/test", post(notifications::test))
        .route("/v1/notifications/retry", post(notifications::retry))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .fallback(async || ApiError::NoRoute)
        .layer(from_fn_with_state(Arc::clone(&api), hosts::admit))
        .layer(from_fn_with_state(Arc::clone(&api), observe::observe))
        .with_state(api)
}

impl Api {
    fn now(&self) -> Micros {
        self.environment.clock.now()
    }

    /// A version 7 UUID.
    fn uuid(&self) -> Result<Uuid, ApiError> {
        let millis = u64::try_from(self.now().0 / 1_000).unwrap_or(0);
        Ok(Builder::from_unix_timestamp_millis(millis, &random()?).into_uuid())
    }

    /// A row of the audit, of this moment.
    fn entry(
        &self,
        actor: &str,
        action: &str,
        subject: String,
        detail: Value,
    ) -> Result<AuditEntry, ApiError> {
        Ok(AuditEntry {
            id: AuditId::new(self.uuid()?),
            at: self.now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject,
            detail,
        })
    }
}

/// Randomness of the system: ids and seeds have to be beyond guessing.
fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(bytes)
}
