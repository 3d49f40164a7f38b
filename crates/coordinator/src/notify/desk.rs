//! Notifications by hand: what is on its way, a test of a webhook, and another try of what was not taken.

use assay_common::config::Config;
use assay_store::{Delivery, Event, Store};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::release::{Desk, ReleaseError};
use crate::report::civil;
use crate::suite::hint::did_you_mean;

/// Deliveries that are listed at most.
const LISTED: u32 = 200;

/// An event on its way to a webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryEntry {
    /// The event's id; what is sent as `webhook-id`.
    pub event: String,
    /// What it is.
    pub kind: String,
    /// When it happened.
    pub at: String,
    /// What happened.
    pub summary: String,
    /// The webhook.
    pub webhook: String,
    /// waiting, delivered or given up.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next; null where it is not.
    pub next_at: Option<String>,
    /// Why it was not taken the last time.
    pub problem: Option<String>,
}

impl DeliveryEntry {
    fn of(delivery: Delivery) -> Self {
        let Delivery { event, webhook, attempts, not_before, delivered_at, given_up_at, problem } = delivery;
        let state = match (delivered_at, given_up_at) {
            (Some(_), _) => "delivered",
            (None, Some(_)) => "given up",
            (None, None) => "waiting",
        };
        Self {
            event: event.id,
            kind: event.kind,
            at: civil(event.at),
            summary: event.summary,
            webhook,
            state: state.to_owned(),
            attempts,
            next_at: (state == "waiting").then(|| civil(not_before)),
            problem,
        }
    }
}

/// The latest deliveries, newest first; `all`: also those that were taken.
pub async fn list(store: &Store, all: bool) -> Result<Vec<DeliveryEntry>, ReleaseError> {
    Ok(store.deliveries(all, LISTED).await?.into_iter().map(DeliveryEntry::of).collect())
}

impl Desk<'_> {
    /// Addresses a test to a webhook, or to all of them; returns what is on its way to each.
    pub async fn test_webhooks(
        &mut self,
        config: &Config,
        webhook: Option<&str>,
    ) -> Result<Vec<Delivery>, ReleaseError> {
        let names = named(config, webhook)?;
        let entry = self.entry("notify.test", webhook.unwrap_or("all").to_owned(), json!({}));
        let summary = format!("a test, asked for by {}", entry.actor);
        let data = json!({"by": entry.actor});
        let event = Event::new("test", &entry.id.to_string(), entry.at, summary, data);
        self.store.address_event(event.clone(), names.clone(), entry).await?;
        let addressed = |webhook| Delivery {
            webhook,
            attempts: 0,
            not_before: event.at,
            delivered_at: None,
            given_up_at: None,
            problem: None,
            event: event.clone(),
        };
        Ok(names.into_iter().map(addressed).collect())
    }

    /// Has everything that was not taken, of a webhook or of all of them, tried again; returns how many those are.
    pub async fn retry_webhooks(
        &mut self,
        config: &Config,
        webhook: Option<&str>,
    ) -> Result<u64, ReleaseError> {
        named(config, webhook)?;
        let entry = self.entry("notify.retry", webhook.unwrap_or("all").to_owned(), json!({}));
        Ok(self.store.retry_deliveries(webhook.map(str::to_owned), entry).await?)
    }
}

/// The webhook of this name, or all of them; that there is none is said.
fn named(config: &Config, webhook: Option<&str>) -> Result<Vec<String>, ReleaseError> {
    let names: Vec<_> = config.webhooks.keys().cloned().collect();
    let unknown = |what: String, hint| Err(ReleaseError::Unknown { what, hint });
    match webhook {
        _ if names.is_empty() => unknown(
            "assay.toml has no webhook".to_owned(),
            Some("add one as [webhooks.NAME] with `url` and `secret_env`".to_owned()),
        ),
        Some(name) if !names.iter().any(|known| known == name) => {
            let hint = did_you_mean(name, names.iter().map(String::as_str));
            unknown(format!("assay.toml has no webhook `{name}`"), hint)
        }
        Some(name) => Ok(vec![name.to_owned()]),
        None => Ok(names),
    }
}
