//! Limits as Prometheus reads them: the numbers of [`LimitsDocument`], by scope and dimension.

use std::fmt::Write as _;

use assay_common::clock::Micros;

use super::document::{LimitEntry, LimitsDocument, MoneyEntry};
use crate::release::registry::moment;

/// A gauge of one limit: its name, its help, and how it is read; `None` where there is nothing to show.
type OfLimit = (&'static str, &'static str, fn(&LimitEntry, Micros) -> Option<f64>);
type OfMoney = (&'static str, &'static str, fn(&MoneyEntry) -> Option<f64>);

const LIMITS: [OfLimit; 7] = [
    ("limit", "What a provider account or a model of it allows, a minute or at once.", |limit, _| {
        limit.limit.map(|limit| limit as f64)
    }),
    (
        "limit_configured",
        "What files say that a limit is, the least of them, a minute or at once.",
        |limit, _| limit.configured.map(|configured| configured.least as f64),
    ),
    ("limit_learned", "What the provider says that a limit is, a minute.", |limit, _| {
        limit.learned.as_ref().map(|learned| learned.limit as f64)
    }),
    (
        "limit_granted",
        "What all workers together may use of a limit now, a minute or at once.",
        |limit, _| limit.granted,
    ),
    ("limit_used", "What was used of a limit in the last minute, or is held now.", |limit, _| {
        Some(limit.used as f64)
    }),
    ("limit_workers", "Workers that may use a part of a limit now.", |limit, _| {
        Some(limit.leases.iter().filter(|lease| lease.granted != Some(0.0)).count() as f64)
    }),
    ("limit_paused_seconds", "For how long no call of an account begins.", |limit, now| {
        let until = limit.paused_until.as_deref().and_then(moment);
        Some(until.map_or(0.0, |until| until.since(now).as_secs_f64()))
    }),
];

const MONEY: [OfMoney; 3] = [
    ("account_cap_usd", "What an account's calls may cost in a day of UTC.", |money| Some(money.cap)),
    ("account_spent_usd", "What an account's calls have cost today.", |money| Some(money.spent)),
    ("account_reserved_usd", "What is set aside today for calls whose cost is not known yet.", |money| {
        Some(money.reserved)
    }),
];

/// The gauges of all limits at a moment.
pub fn text(document: &LimitsDocument, now: Micros) -> String {
    let mut text = String::new();
    for (name, help, value) in LIMITS {
        let values = document.limits.iter().filter_map(|limit| {
            let labels = format!("scope=\"{}\",dimension=\"{}\"", escaped(&limit.scope), limit.dimension);
            Some((labels, value(limit, now)?))
        });
        gauge(&mut text, name, help, values);
    }
    for (name, help, value) in MONEY {
        let values = document
            .money
            .iter()
            .filter_map(|money| Some((format!("account=\"{}\"", escaped(&money.account)), value(money)?)));
        gauge(&mut text, name, help, values);
    }
    text
}

fn gauge(text: &mut String, name: &str, help: &str, values: impl Iterator<Item = (String, f64)>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP assay_{name} {help}\n# TYPE assay_{name} gauge");
    for (labels, value) in values {
        let _ = writeln!(text, "assay_{name}{{{labels}}} {value}");
    }
}

/// A label's value as the text format wants it.
pub fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
