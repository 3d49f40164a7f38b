//! The outbox: events on their way to webhooks. Planned once an event is seen by somebody who knows the webhooks, claimed for
//! one attempt at a time, and delivered, tried again, or given up.
//!
//! **Invariant:** a delivery is claimed before it is tried, so that of two who deliver only one tries it at a time; whoever dies
//! meanwhile leaves it to be claimed again.

use assay_common::clock::Micros;

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::event::{Event, append_event};
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{json, plain, whole};

/// How long an event waits for somebody who knows a webhook, in microseconds: whoever sets one up is not told the whole past.
const UNPLANNED_FOR_US: i64 = 24 * 60 * 60 * 1_000_000;

pub(crate) const SQL: &[&str] = &[
    UNPLANNED,
    EXPIRE,
    MARK_PLANNED,
    PLAN,
    DUE,
    CLAIM_DELIVERY,
    DELIVERED,
    FAILED,
    DELIVERIES,
    RETRY_DELIVERIES,
];

/// An event on its way to a webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// What is to be told.
    pub event: Event,
    /// The webhook's name.
    pub webhook: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it may be tried next.
    pub not_before: Micros,
    /// When it was taken.
    pub delivered_at: Option<Micros>,
    /// When it was tried for the last time.
    pub given_up_at: Option<Micros>,
    /// Why it was not taken the last time.
    pub problem: Option<String>,
}

type EventRow = (String, String, i64, String, String);

fn event((id, kind, at, summary, data): EventRow) -> Result<Event, StoreError> {
    Ok(Event { id, kind, at: Micros(at), summary, data: json(&data, "events.data")? })
}

const UNPLANNED: &str = "
    SELECT id, kind, happened_at, summary, data FROM events
    WHERE planned = FALSE ORDER BY happened_at, id LIMIT $1";

const EXPIRE: &str = "UPDATE events SET planned = TRUE WHERE planned = FALSE AND happened_at < $1";

impl Store {
    /// Events whose deliveries were not planned, the oldest first. Those older than a day are told to nobody any more.
    pub async fn unplanned_events(&self, now: Micros, limit: u32) -> Result<Vec<Event>, StoreError> {
        let oldest = Micros(now.0.saturating_sub(UNPLANNED_FOR_US));
        let read = async || -> Result<Vec<Event>, StoreError> {
            let rows: Vec<EventRow> = reading!(self, |conn| {
                Ok(sqlx::query_as(UNPLANNED).bind(i64::from(limit)).fetch_all(&mut *conn).await?)
            })?;
            rows.into_iter().map(event).collect()
        };
        let events = read().await?;
        if events.first().is_none_or(|event| event.at >= oldest) {
            return Ok(events);
        }
        writing!(self, |conn| {
            sqlx::query(EXPIRE).bind(oldest.0).execute(&mut *conn).await?;
            Ok(())
        })?;
        read().await
    }
}

const MARK_PLANNED: &str = "UPDATE events SET planned = TRUE WHERE id = $1 AND planned = FALSE";

const PLAN: &str = "
    INSERT INTO deliveries (event_id, webhook, planned_at, attempts, not_before) VALUES ($1, $2, $3, 0, $3)";

impl Store {
    /// Plans the deliveries of an event to these webhooks, unless somebody else has.
    pub async fn plan_deliveries(
        &self,
        event: String,
        webhooks: Vec<String>,
        now: Micros,
    ) -> Result<(), StoreError> {
        writing!(self, |conn| {
            if sqlx::query(MARK_PLANNED).bind(&event).execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(());
            }
            for webhook in &webhooks {
                sqlx::query(PLAN).bind(&event).bind(webhook).bind(now.0).execute(&mut *conn).await?;
            }
            Ok(())
        })
    }

    /// Appends an event that is for these webhooks alone, such as a test.
    pub async fn address_event(
        &self,
        event: Event,
        webhooks: Vec<String>,
        entry: AuditEntry,
    ) -> Result<(), StoreError> {
        writing!(self, |conn| {
            append_event!(conn, &event, true);
            for webhook in &webhooks {
                sqlx::query(PLAN).bind(&event.id).bind(webhook).bind(entry.at.0).execute(&mut *conn).await?;
            }
            append_audit!(conn, &entry);
            Ok(())
        })
    }
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    id: String,
    kind: String,
    happened_at: i64,
    summary: String,
    data: String,
    webhook: String,
    attempts: i64,
    not_before: i64,
    delivered_at: Option<i64>,
    given_up_at: Option<i64>,
    problem: Option<String>,
}

impl DeliveryRow {
    fn into_delivery(self) -> Result<Delivery, StoreError> {
        Ok(Delivery {
            event: event((self.id, self.kind, self.happened_at, self.summary, self.data))?,
            webhook: self.webhook,
            attempts: whole(self.attempts, "deliveries.attempts")?,
            not_before: Micros(self.not_before),
            delivered_at: self.delivered_at.map(Micros),
            given_up_at: self.given_up_at.map(Micros),
            problem: self.problem,
        })
    }
}

const DUE: &str = "
    SELECT id, kind, happened_at, summary, data, webhook, attempts, not_before, delivered_at, given_up_at, problem
    FROM deliveries JOIN events ON events.id = deliveries.event_id
    WHERE webhook = $1 AND not_before <= $2 AND delivered_at IS NULL AND given_up_at IS NULL
    ORDER BY happened_at, id LIMIT $3";

impl Store {
    /// What may be delivered to a webhook now, the oldest event first.
    pub async fn due_deliveries(
        &self,
        webhook: &str,
        now: Micros,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows: Vec<DeliveryRow> = reading!(self, |conn| {
            let query = sqlx::query_as(DUE).bind(webhook).bind(now.0).bind(i64::from(limit));
            Ok(query.fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(DeliveryRow::into_delivery).collect()
    }
}

const CLAIM_DELIVERY: &str = "
    UPDATE deliveries SET attempts = attempts + 1, not_before = $4
    WHERE event_id = $1 AND webhook = $2 AND attempts = $3 AND delivered_at IS NULL AND given_up_at IS NULL";

const DELIVERED: &str = "
    UPDATE deliveries SET delivered_at = $3, problem = NULL
    WHERE event_id = $1 AND webhook = $2 AND delivered_at IS NULL";

const FAILED: &str = "
    UPDATE deliveries SET problem = $3, not_before = $4, given_up_at = $5
    WHERE event_id = $1 AND webhook = $2 AND attempts = $6 AND delivered_at IS NULL";

impl Store {
    /// Takes a delivery for an attempt that is over by `until`. `false`: somebody else has it, or had it since it was read.
    pub async fn claim_delivery(&self, delivery: &Delivery, until: Micros) -> Result<bool, StoreError> {
        let (event, webhook) = (delivery.event.id.clone(), delivery.webhook.clone());
        let attempts = i64::from(delivery.attempts);
        writing!(self, |conn| {
            let query = sqlx::query(CLAIM_DELIVERY).bind(&event).bind(&webhook).bind(attempts).bind(until.0);
            Ok(query.execute(&mut *conn).await?.rows_affected() > 0)
        })
    }

    /// A delivery that was claimed was taken.
    pub async fn delivered(&self, delivery: &Delivery, now: Micros) -> Result<(), StoreError> {
        let (event, webhook) = (delivery.event.id.clone(), delivery.webhook.clone());
        writing!(self, |conn| {
            sqlx::query(DELIVERED).bind(&event).bind(&webhook).bind(now.0).execute(&mut *conn).await?;
            Ok(())
        })
    }

    /// A delivery that was claimed was not taken: it is tried again at `next`, or given up where there is none.
    pub async fn delivery_failed(
        &self,
        delivery: &Delivery,
        problem: String,
        next: Option<Micros>,
        now: Micros,
    ) -> Result<(), StoreError> {
        let (event, webhook) = (delivery.event.id.clone(), delivery.webhook.clone());
        let attempts = i64::from(delivery.attempts) + 1;
        let given_up = next.is_none().then_some(now.0);
        writing!(self, |conn| {
            let query = sqlx::query(FAILED).bind(&event).bind(&webhook).bind(plain(&problem));
            let query = query.bind(next.unwrap_or(now).0).bind(given_up).bind(attempts);
            query.execute(&mut *conn).await?;
            Ok(())
        })
    }
}

const DELIVERIES: &str = "
    SELECT id, kind, happened_at, summary, data, webhook, attempts, not_before, delivered_at, given_up_at, problem
    FROM deliveries JOIN events ON events.id = deliveries.event_id
    WHERE $1 = TRUE OR delivered_at IS NULL ORDER BY happened_at DESC, id, webhook LIMIT $2";

const RETRY_DELIVERIES: &str = "
    UPDATE deliveries SET attempts = 0, not_before = $2, planned_at = $2, given_up_at = NULL
    WHERE delivered_at IS NULL AND (CAST($1 AS TEXT) IS NULL OR webhook = $1)";

impl Store {
    /// The latest deliveries, newest event first; `all`: also those that were taken.
    pub async fn deliveries(&self, all: bool, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let rows: Vec<DeliveryRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(DELIVERIES).bind(all).bind(i64::from(limit)).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(DeliveryRow::into_delivery).collect()
    }

    /// Has everything that was not taken, of all webhooks or of one, tried again at once; returns how many those are.
    pub async fn retry_deliveries(
        &self,
        webhook: Option<String>,
        entry: AuditEntry,
    ) -> Result<u64, StoreError> {
        writing!(self, |conn| {
            let query = sqlx::query(RETRY_DELIVERIES).bind(&webhook).bind(entry.at.0);
            let again = query.execute(&mut *conn).await?.rows_affected();
            append_audit!(conn, &entry);
            Ok(again)
        })
    }
}

// What nobody has planned within a day is told to nobody any more.
const FORGET_DELIVERIES: &str = "
    DELETE FROM deliveries WHERE event_id IN (
        SELECT id FROM events WHERE (planned = TRUE AND happened_at < $1) OR happened_at < $2)";
const FORGET_EVENTS: &str =
    "DELETE FROM events WHERE (planned = TRUE AND happened_at < $1) OR happened_at < $2";

/// The statements of [`Store::prune_events`].
pub(crate) const PRUNE_SQL: &[&str] = &[FORGET_DELIVERIES, FORGET_EVENTS];

impl Store {
    /// Removes what was told, or given up, or may not be told any more, from before a moment; returns how many events those are.
    pub async fn prune_events(&self, before: Micros) -> Result<u64, StoreError> {
        let unplanned = before.0.saturating_sub(UNPLANNED_FOR_US);
        writing!(self, |conn| {
            sqlx::query(FORGET_DELIVERIES).bind(before.0).bind(unplanned).execute(&mut *conn).await?;
            let query = sqlx::query(FORGET_EVENTS).bind(before.0).bind(unplanned);
            Ok(query.execute(&mut *conn).await?.rows_affected())
        })
    }
}
