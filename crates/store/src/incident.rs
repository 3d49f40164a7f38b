//! Incidents: something is wrong with a version that was released. Of a version on a channel one is open at a time for what opened
//! it: an override, somebody, or the sweeps of one schedule. What is told of it again by the same is noted with it.
//!
//! **Invariant:** whatever changes an incident adds an event to it, in one transaction with its row of the audit.

use std::str::FromStr;

use assay_common::clock::Micros;
use assay_common::id::Digest;
use serde::{Deserialize, Serialize};

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::parsed;

pub(crate) const SQL: &[&str] = &[
    OPEN_ON,
    KNOWN,
    OPEN,
    ADD_EVENT,
    HOLD,
    ACKNOWLEDGE,
    LINK,
    UNLINK,
    RESOLVE,
    REOPEN,
    INCIDENT,
    INCIDENTS,
    OPEN_REGRESSIONS,
    EVENTS,
];

/// What opened an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentKind {
    /// A promotion by override.
    Override,
    /// Somebody.
    Manual,
    /// A sweep that found the version worse than its baseline.
    Regression,
}

impl IncidentKind {
    const ALL: [Self; 3] = [Self::Override, Self::Manual, Self::Regression];

    /// The word in rows and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Manual => "manual",
            Self::Regression => "regression",
        }
    }
}

impl FromStr for IncidentKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.word() == word);
        found.ok_or_else(|| format!("`{word}` is no kind of incident"))
    }
}

/// An incident to open, unless one of the same version on the same channel is open that the same opened: its kind, and of sweeps
/// the same schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIncident {
    /// The prompt.
    pub prompt: String,
    /// Where the version is or was live.
    pub channel: String,
    /// The version's number.
    pub version: i64,
    /// The version.
    pub digest: Digest,
    /// What opens it.
    pub kind: IncidentKind,
    /// What is wrong.
    pub summary: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When the version went live; of a regression the last clean sweep since.
    pub began_at: Micros,
    /// When it is opened.
    pub opened_at: Micros,
    /// By whom.
    pub opened_by: String,
}

/// What became of a [`NewIncident`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It has this number.
    New(i64),
    /// This one was open, and has a note of it now.
    Known(i64),
}

impl Opened {
    /// The incident's number.
    pub fn number(self) -> i64 {
        match self {
            Self::New(number) | Self::Known(number) => number,
        }
    }
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// 1, 2, 3, …
    pub number: i64,
    /// What is wrong with what, since when, and who says so.
    pub opening: NewIncident,
    /// When somebody took it up.
    pub acknowledged_at: Option<Micros>,
    /// When a rollback took the version off the channel, where it has not come back there since.
    pub recovered_at: Option<Micros>,
    /// The place of that rollback in the channel's history.
    pub rollback: Option<i64>,
    /// When it was closed.
    pub resolved_at: Option<Micros>,
    /// What it came from.
    pub cause: Option<String>,
}

/// A change of an incident by somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncidentChange {
    /// Somebody takes it up.
    Acknowledge,
    /// A release took the version off the channel.
    Link {
        /// The release's place in the channel's history.
        seq: i64,
        /// When that was.
        at: Micros,
    },
    /// It is over, and this was the cause.
    Resolve {
        /// What it came from.
        cause: String,
    },
    /// It is not over after all.
    Reopen,
}

/// One thing that happened to an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentEvent {
    /// When.
    pub at: Micros,
    /// Who.
    pub actor: String,
    /// opened, noted, acknowledged, linked, unlinked, resolved or reopened.
    pub action: String,
    /// What was said.
    pub detail: String,
}

pub(crate) const OPEN_ON: &str = "
    SELECT number FROM incidents WHERE prompt = $1 AND channel = $2 AND digest = $3 AND resolved_at IS NULL
    ORDER BY number DESC";

pub(crate) const KNOWN: &str = "
    SELECT number FROM incidents
    WHERE prompt = $1 AND channel = $2 AND digest = $3 AND resolved_at IS NULL
        AND kind = $4 AND (kind <> 'regression' OR opened_by = $5)";

pub(crate) const OPEN: &str = "
    INSERT INTO incidents (number, prompt, channel, version, digest, kind, summary, owner, began_at, opened_at, opened_by)
    SELECT COALESCE(MAX(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM incidents
    WHERE TRUE
    ON CONFLICT DO NOTHING
    RETURNING number";

// The row's lock puts what happens to an incident in an order.
pub(crate) const HOLD: &str = "UPDATE incidents SET number = number WHERE number = $1";

pub(crate) const ADD_EVENT: &str = "
    INSERT INTO incident_events (incident, seq, happened_at, actor, action, detail)
    SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5 FROM incident_events WHERE incident = $1";

/// Adds an event to an incident whose row this transaction holds, and tells of it outside.
macro_rules! add_event {
    ($conn:ident, $number:expr, $at:expr, $actor:expr, $action:expr, $detail:expr) => {{
        sqlx::query($crate::incident::ADD_EVENT)
            .bind($number)
            .bind($at.0)
            .bind($crate::row::plain($actor))
            .bind($action)
            .bind($crate::row::plain($detail))
            .execute(&mut *$conn)
            .await?;
        let query = sqlx::query_as($crate::incident::INCIDENT).bind($number);
        let row: $crate::incident::IncidentRow = query.fetch_one(&mut *$conn).await?;
        if let Some(event) = $crate::event::of_incident(&row.into_incident()?, $at, $actor, $action, $detail)
        {
            $crate::event::append_event!($conn, &event);
        }
    }};
}

/// Says of an open incident whose row this transaction holds that it is not recovered from, if its version is live again.
macro_rules! unlink_returned {
    ($conn:ident, $number:expr, $at:expr, $actor:expr) => {{
        let query = sqlx::query($crate::incident::UNLINK).bind($number);
        if query.execute(&mut *$conn).await?.rows_affected() > 0 {
            $crate::incident::add_event!($conn, $number, $at, $actor, "unlinked", "it is live again");
        }
    }};
}

/// Opens a [`NewIncident`], or notes it with the one that is open.
macro_rules! open_incident {
    ($conn:ident, $incident:expr) => {{
        let incident: &$crate::incident::NewIncident = $incident;
        loop {
            let query =
                sqlx::query_scalar($crate::incident::OPEN).bind(&incident.prompt).bind(&incident.channel);
            let query =
                query.bind(incident.version).bind(incident.digest.as_str()).bind(incident.kind.word());
            let query = query.bind($crate::row::plain(&incident.summary)).bind(&incident.owner);
            let query = query.bind(incident.began_at.0).bind(incident.opened_at.0);
            let query = query.bind($crate::row::plain(&incident.opened_by));
            let (opened, action): (_, &str) = match query.fetch_optional(&mut *$conn).await? {
                Some(number) => ($crate::incident::Opened::New(number), "opened"),
                None => {
                    let query = sqlx::query_scalar($crate::incident::KNOWN).bind(&incident.prompt);
                    let query = query.bind(&incident.channel).bind(incident.digest.as_str());
                    let query = query.bind(incident.kind.word());
                    let query = query.bind($crate::row::plain(&incident.opened_by));
                    match query.fetch_optional(&mut *$conn).await? {
                        Some(number) => ($crate::incident::Opened::Known(number), "noted"),
                        // Another incident took the number in the same moment: the next one is free.
                        None => continue,
                    }
                }
            };
            let number: i64 = opened.number();
            sqlx::query($crate::incident::HOLD).bind(number).execute(&mut *$conn).await?;
            $crate::incident::add_event!(
                $conn,
                number,
                incident.opened_at,
                &incident.opened_by,
                action,
                &incident.summary
            );
            $crate::incident::unlink_returned!($conn, number, incident.opened_at, &incident.opened_by);
            break opened;
        }
    }};
}

/// Changes an incident as [`Store::change_incident`] says, `told` with it.
macro_rules! change_incident {
    ($conn:ident, $number:expr, $change:expr, $told:expr, $entry:expr) => {{
        let entry: &$crate::audit::AuditEntry = $entry;
        let (text, action, bound) = $crate::incident::step($change, entry.at);
        let mut query = sqlx::query(text).bind($number);
        for value in &bound {
            query = match value {
                $crate::incident::Bound::Number(number) => query.bind(*number),
                $crate::incident::Bound::Words(words) => query.bind($crate::row::plain(words)),
            };
        }
        let changed = query.execute(&mut *$conn).await?.rows_affected() > 0;
        if changed {
            $crate::incident::add_event!($conn, $number, entry.at, &entry.actor, action, $told);
            if matches!($change, $crate::incident::IncidentChange::Reopen) {
                $crate::incident::unlink_returned!($conn, $number, entry.at, &entry.actor);
            }
            $crate::audit::append_audit!($conn, entry);
        }
        changed
    }};
}

pub(crate) use {add_event, change_incident, open_incident, unlink_returned};

impl Store {
    /// Opens an incident, or notes it with the one that is open as [`NewIncident`] says.
    pub async fn open_incident(
        &self,
        incident: NewIncident,
        entry: AuditEntry,
    ) -> Result<Opened, StoreError> {
        writing!(self, |conn| {
            let opened = open_incident!(conn, &incident);
            append_audit!(conn, &entry);
            Ok(opened)
        })
    }
}

pub(crate) const ACKNOWLEDGE: &str = "
    UPDATE incidents SET acknowledged_at = $2
    WHERE number = $1 AND acknowledged_at IS NULL AND resolved_at IS NULL";

pub(crate) const LINK: &str = "
    UPDATE incidents SET rollback = $2, recovered_at = $3
    WHERE number = $1 AND resolved_at IS NULL AND (rollback IS NULL OR rollback <> $2)";

// What is live is read when the change is made: a sweep may tell of a version that was taken off meanwhile.
pub(crate) const UNLINK: &str = "
    UPDATE incidents SET rollback = NULL, recovered_at = NULL
    WHERE number = $1 AND resolved_at IS NULL AND recovered_at IS NOT NULL AND EXISTS (
        SELECT 1 FROM releases AS live
        WHERE live.prompt = incidents.prompt AND live.channel = incidents.channel AND live.digest = incidents.digest
        AND live.seq = (SELECT MAX(seq) FROM releases
            WHERE prompt = incidents.prompt AND channel = incidents.channel))";

const RESOLVE: &str = "
    UPDATE incidents SET resolved_at = $2, cause = $3, acknowledged_at = COALESCE(acknowledged_at, $2)
    WHERE number = $1 AND resolved_at IS NULL";

const REOPEN: &str = "
    UPDATE incidents SET resolved_at = NULL
    WHERE number = $1 AND resolved_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM incidents AS other
        WHERE other.prompt = incidents.prompt AND other.channel = incidents.channel
            AND other.digest = incidents.digest AND other.resolved_at IS NULL
            AND other.kind = incidents.kind
            AND (other.kind <> 'regression' OR other.opened_by = incidents.opened_by))";

impl Store {
    /// Changes an incident at the moment and by the actor of `entry`; `told` is what is said of it. `false`: it does not
    /// stand so that it could be, and nothing is changed.
    pub async fn change_incident(
        &self,
        number: i64,
        change: IncidentChange,
        told: String,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| { Ok(change_incident!(conn, number, &change, &told, &entry)) })
    }
}

/// A value of a statement that changes an incident.
pub(crate) enum Bound<'c> {
    Number(i64),
    Words(&'c str),
}

/// The statement of a change at the moment `at`, the event's word, and what is bound after the incident's number.
pub(crate) fn step(change: &IncidentChange, at: Micros) -> (&'static str, &'static str, Vec<Bound<'_>>) {
    match change {
        IncidentChange::Acknowledge => (ACKNOWLEDGE, "acknowledged", vec![Bound::Number(at.0)]),
        IncidentChange::Link { seq, at } => (LINK, "linked", vec![Bound::Number(*seq), Bound::Number(at.0)]),
        IncidentChange::Resolve { cause } => {
            (RESOLVE, "resolved", vec![Bound::Number(at.0), Bound::Words(cause)])
        }
        IncidentChange::Reopen => (REOPEN, "reopened", Vec::new()),
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct IncidentRow {
    number: i64,
    prompt: String,
    channel: String,
    version: i64,
    digest: String,
    kind: String,
    summary: String,
    owner: Option<String>,
    began_at: i64,
    opened_at: i64,
    opened_by: String,
    acknowledged_at: Option<i64>,
    recovered_at: Option<i64>,
    rollback: Option<i64>,
    resolved_at: Option<i64>,
    cause: Option<String>,
}

impl IncidentRow {
    pub(crate) fn into_incident(self) -> Result<Incident, StoreError> {
        let opening = NewIncident {
            prompt: self.prompt,
            channel: self.channel,
            version: self.version,
            digest: parsed(&self.digest, "incidents.digest")?,
            kind: parsed(&self.kind, "incidents.kind")?,
            summary: self.summary,
            owner: self.owner,
            began_at: Micros(self.began_at),
            opened_at: Micros(self.opened_at),
            opened_by: self.opened_by,
        };
        Ok(Incident {
            number: self.number,
            opening,
            acknowledged_at: self.acknowledged_at.map(Micros),
            recovered_at: self.recovered_at.map(Micros),
            rollback: self.rollback,
            resolved_at: self.resolved_at.map(Micros),
            cause: self.cause,
        })
    }
}

pub(crate) const INCIDENT: &str = "
    SELECT number, prompt, channel, version, digest, kind, summary, owner, began_at, opened_at, opened_by,
        acknowledged_at, recovered_at, rollback, resolved_at, cause
    FROM incidents WHERE number = $1";

const INCIDENTS: &str = "
    SELECT number, prompt, channel, version, digest, kind, summary, owner, began_at, opened_at, opened_by,
        acknowledged_at, recovered_at, rollback, resolved_at, cause
    FROM incidents WHERE $1 = TRUE OR resolved_at IS NULL ORDER BY number DESC";

const OPEN_REGRESSIONS: &str = "
    SELECT number, prompt, channel, version, digest, kind, summary, owner, began_at, opened_at, opened_by,
        acknowledged_at, recovered_at, rollback, resolved_at, cause
    FROM incidents WHERE resolved_at IS NULL AND kind = 'regression' AND prompt = $1 AND channel = $2 ORDER BY number";

impl Store {
    /// The open incidents of a prompt on a channel that sweeps have opened.
    pub async fn open_regressions(&self, prompt: &str, channel: &str) -> Result<Vec<Incident>, StoreError> {
        let rows: Vec<IncidentRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(OPEN_REGRESSIONS).bind(prompt).bind(channel).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(IncidentRow::into_incident).collect()
    }
}

const EVENTS: &str = "
    SELECT happened_at, actor, action, detail FROM incident_events WHERE incident = $1 ORDER BY seq";

impl Store {
    /// An incident.
    pub async fn incident(&self, number: i64) -> Result<Option<Incident>, StoreError> {
        let row: Option<IncidentRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(INCIDENT).bind(number).fetch_optional(&mut *conn).await?)
        })?;
        row.map(IncidentRow::into_incident).transpose()
    }

    /// The incidents, newest first; `all`: also those that are resolved.
    pub async fn incidents(&self, all: bool) -> Result<Vec<Incident>, StoreError> {
        let rows: Vec<IncidentRow> =
            reading!(self, |conn| { Ok(sqlx::query_as(INCIDENTS).bind(all).fetch_all(&mut *conn).await?) })?;
        rows.into_iter().map(IncidentRow::into_incident).collect()
    }

    /// What happened to an incident, in order.
    pub async fn incident_events(&self, number: i64) -> Result<Vec<IncidentEvent>, StoreError> {
        let rows: Vec<(i64, String, String, String)> =
            reading!(self, |conn| { Ok(sqlx::query_as(EVENTS).bind(number).fetch_all(&mut *conn).await?) })?;
        let event = |(at, actor, action, detail)| IncidentEvent { at: Micros(at), actor, action, detail };
        Ok(rows.into_iter().map(event).collect())
    }
}
