//! Ranges: what a team takes for acceptable in a signal. One that is set ends the one before; nothing is altered but its end,
//! and what was last seen of it.

use std::str::FromStr;

use assay_common::clock::Micros;
use serde::{Deserialize, Serialize};

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::event::{Event, append_event};
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{parsed, plain};

pub(crate) const SQL: &[&str] = &[SET_RANGE, END_RANGE, RANGES, MARK_RANGE];

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Incidents opened, but for those that an override opens.
    RegressionIncidents,
    /// Of the cases that runs scored, the share that passed.
    PassRate,
    /// Rollbacks for each version that was released.
    RollbackRate,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RegressionIncidents, Self::PassRate, Self::RollbackRate];

    /// The word in rows, documents and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::RegressionIncidents => "regression_incidents",
            Self::PassRate => "pass_rate",
            Self::RollbackRate => "rollback_rate",
        }
    }
}

impl FromStr for Signal {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|signal| signal.word() == word);
        found.ok_or_else(|| {
            format!("`{word}` is no signal; there is `regression_incidents`, `pass_rate` and `rollback_rate`")
        })
    }
}

/// Whose signal it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "of", content = "name")]
pub enum Subject {
    /// Of every prompt.
    All,
    /// Of the prompts of an owner.
    Owner(String),
    /// Of a prompt.
    Prompt(String),
}

impl Subject {
    fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::All => ("all", ""),
            Self::Owner(name) => ("owner", name),
            Self::Prompt(name) => ("prompt", name),
        }
    }

    fn of(scope: &str, name: String) -> Result<Self, StoreError> {
        match scope {
            "all" => Ok(Self::All),
            "owner" => Ok(Self::Owner(name)),
            "prompt" => Ok(Self::Prompt(name)),
            _ => Err(StoreError::Unreadable(format!("ranges.scope is `{scope}`"))),
        }
    }
}

/// What is acceptable in a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The signal.
    pub signal: Signal,
    /// Whose.
    pub subject: Subject,
    /// From when on it holds.
    pub set_at: Micros,
    /// Who set it.
    pub set_by: String,
    /// The least that is acceptable.
    pub low: Option<f64>,
    /// The most that is acceptable.
    pub high: Option<f64>,
    /// Over how many microseconds up to now the signal is measured.
    pub window_us: i64,
    /// Whether the signal was outside when last looked at; `None` before it could be measured.
    pub outside: Option<bool>,
}

const END_RANGE: &str = "
    UPDATE ranges SET removed_at = $4 WHERE signal = $1 AND scope = $2 AND subject = $3 AND removed_at IS NULL";

const SET_RANGE: &str = "
    INSERT INTO ranges (signal, scope, subject, set_at, set_by, low, high, window_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (signal, scope, subject, set_at) DO UPDATE
    SET set_by = excluded.set_by, low = excluded.low, high = excluded.high, window_us = excluded.window_us,
        removed_at = NULL, outside = NULL";

impl Store {
    /// Sets a range, in place of the one before.
    pub async fn set_range(&self, range: Range, entry: AuditEntry) -> Result<(), StoreError> {
        writing!(self, |conn| {
            let (scope, name) = range.subject.columns();
            let query = sqlx::query(END_RANGE).bind(range.signal.word()).bind(scope).bind(plain(name));
            query.bind(range.set_at.0).execute(&mut *conn).await?;
            let query = sqlx::query(SET_RANGE).bind(range.signal.word()).bind(scope).bind(plain(name));
            let query =
                query.bind(range.set_at.0).bind(plain(&range.set_by)).bind(range.low).bind(range.high);
            query.bind(range.window_us).execute(&mut *conn).await?;
            append_audit!(conn, &entry);
            Ok(())
        })
    }

    /// Ends a range at the moment of `entry`. `false`: there is none.
    pub async fn remove_range(
        &self,
        signal: Signal,
        subject: Subject,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            let (scope, name) = subject.columns();
            let query = sqlx::query(END_RANGE).bind(signal.word()).bind(scope).bind(plain(name));
            if query.bind(entry.at.0).execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            append_audit!(conn, &entry);
            Ok(true)
        })
    }
}

#[derive(sqlx::FromRow)]
struct RangeRow {
    signal: String,
    scope: String,
    subject: String,
    set_at: i64,
    set_by: String,
    low: Option<f64>,
    high: Option<f64>,
    window_us: i64,
    outside: Option<bool>,
}

impl RangeRow {
    fn into_range(self) -> Result<Range, StoreError> {
        Ok(Range {
            signal: parsed(&self.signal, "ranges.signal")?,
            subject: Subject::of(&self.scope, self.subject)?,
            set_at: Micros(self.set_at),
            set_by: self.set_by,
            low: self.low,
            high: self.high,
            window_us: self.window_us,
            outside: self.outside,
        })
    }
}

const RANGES: &str = "
    SELECT signal, scope, subject, set_at, set_by, low, high, window_us, outside FROM ranges
    WHERE set_at <= $1 AND (removed_at IS NULL OR removed_at > $1) ORDER BY scope, subject, signal";

const MARK_RANGE: &str = "
    UPDATE ranges SET outside = $5
    WHERE signal = $1 AND scope = $2 AND subject = $3 AND set_at = $4 AND removed_at IS NULL
        AND (outside IS NULL OR outside <> $5)";

impl Store {
    /// The ranges that held at a moment.
    pub async fn ranges(&self, at: Micros) -> Result<Vec<Range>, StoreError> {
        let rows: Vec<RangeRow> =
            reading!(self, |conn| { Ok(sqlx::query_as(RANGES).bind(at.0).fetch_all(&mut *conn).await?) })?;
        rows.into_iter().map(RangeRow::into_range).collect()
    }

    /// Says whether the signal of a range is outside, and tells of it where that is news. `false`: it was known.
    pub async fn mark_range(
        &self,
        range: &Range,
        outside: bool,
        event: Option<Event>,
    ) -> Result<bool, StoreError> {
        let range = range.clone();
        writing!(self, |conn| {
            let (scope, name) = range.subject.columns();
            let query = sqlx::query(MARK_RANGE).bind(range.signal.word()).bind(scope).bind(name);
            let query = query.bind(range.set_at.0).bind(outside);
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            if let Some(event) = &event {
                append_event!(conn, event);
            }
            Ok(true)
        })
    }
}
