//! `/v1/review`, `/v1/signals` and `/metrics`: what a period came to, and the signals up to now.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_store::{Signal, Subject};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::Api;
use super::authenticate::Reader;
use super::document::Page;
use super::error::ApiError;
use super::runs::bad_query;
use crate::limits::{self, metrics::escaped};
use crate::release::registry::moment;
use crate::report::civil;
use crate::review::ranges::{self, WINDOW};
use crate::review::signals::{Signals, measure};
use crate::review::{Review, Span, compile};

/// The longest time that signals are measured over, in days.
const MAX_DAYS: u64 = 366;

/// Which week or month.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    period: Span,
    at: Option<String>,
}

/// What a week or a month came to; that which goes on where no moment is named.
pub(super) async fn review(
    State(api): State<Arc<Api>>,
    _: Reader,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Review>, ApiError> {
    let Query(Which { period, at }) = which.map_err(bad_query)?;
    let now = api.now();
    let wanted = || ApiError::BadRequest("`at` is a moment, such as 2026-03-01".to_owned());
    let at = at.map_or(Some(now), |at| moment(&at)).ok_or_else(wanted)?;
    Ok(Json(compile(&api.environment.store, period, at, now).await?))
}

/// Over how long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Over {
    days: Option<u64>,
}

/// The signals of a subject.
#[derive(Serialize)]
pub(super) struct SignalsEntry {
    #[serde(flatten)]
    subject: Subject,
    #[serde(flatten)]
    signals: Signals,
    from: String,
    to: String,
}

/// The signals of everything, then of each prompt, up to now.
pub(super) async fn signals(
    State(api): State<Arc<Api>>,
    _: Reader,
    over: Result<Query<Over>, QueryRejection>,
) -> Result<Json<Page<SignalsEntry>>, ApiError> {
    let Query(Over { days }) = over.map_err(bad_query)?;
    let days = days.unwrap_or(30);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(ApiError::BadRequest(format!("`days` is 1 to {MAX_DAYS}")));
    }
    let (from, to) = window(api.now(), Duration::from_secs(days * 86_400));
    let measured = measure(&api.environment.store, from, to).await?;
    let [from, to] = [from, to].map(civil);
    let entry = |(subject, signals)| SignalsEntry { subject, signals, from: from.clone(), to: to.clone() };
    Ok(Json(Page { items: measured.into_iter().map(entry).collect(), next: None }))
}

fn window(now: Micros, length: Duration) -> (Micros, Micros) {
    (Micros(now.0 - i64::try_from(length.as_micros()).unwrap_or(i64::MAX)), Micros(now.0 + 1))
}

/// The signals of the last thirty days and the limits of now as Prometheus reads them.
pub(super) async fn metrics(State(api): State<Arc<Api>>, _: Reader) -> Result<impl IntoResponse, ApiError> {
    let store = &api.environment.store;
    let now = api.now();
    let (from, to) = window(now, WINDOW);
    let measured = measure(store, from, to).await?;
    let ranges = ranges::standing(store, now).await?;
    let mut text = String::new();
    for signal in Signal::ALL {
        let (name, help) = match signal {
            Signal::RegressionIncidents => {
                ("regression_incidents", "Incidents opened in 30 days, but for those of overrides.")
            }
            Signal::PassRate => ("eval_pass_rate", "Share of the cases scored in 30 days that passed."),
            Signal::RollbackRate => ("rollback_rate", "Rollbacks for each version released in 30 days."),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP assay_{name} {help}\n# TYPE assay_{name} gauge");
        for (subject, signals) in &measured {
            if let Some(value) = signals.value(signal) {
                let _ = writeln!(text, "assay_{name}{{{}}} {value}", labels(subject));
            }
        }
    }
    text.push_str("# HELP assay_signal_outside Whether a signal is outside its range.\n# TYPE assay_signal_outside gauge\n");
    for range in ranges {
        if let Some(outside) = range.outside {
            let (signal, labels) = (range.signal.word(), labels(&range.subject));
            let _ =
                writeln!(text, "assay_signal_outside{{signal=\"{signal}\",{labels}}} {}", u8::from(outside));
        }
    }
    let limits = limits::standing(store, &api.environment.config, now).await?;
    text.push_str(&limits::metrics::text(&limits, now));
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

fn labels(subject: &Subject) -> String {
    let (of, name) = match subject {
        Subject::All => ("all", ""),
        Subject::Owner(name) => ("owner", name.as_str()),
        Subject::Prompt(name) => ("prompt", name.as_str()),
    };
    let name = escaped(name);
    format!("of=\"{of}\",name=\"{name}\"")
}
