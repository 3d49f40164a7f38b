//! The audit: what was changed, or tried, by whom. What changes something appends its row in the same transaction.
//!
//! **Invariant:** rows are appended; no statement alters or deletes one.

use assay_common::clock::Micros;
use assay_common::id::AuditId;
use serde_json::Value;

use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{json, parsed};

pub(crate) const SQL: &[&str] = &[APPEND, AUDIT, LAST];

/// One row of the audit.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Its id, drawn by the caller.
    pub id: AuditId,
    /// When it happened.
    pub at: Micros,
    /// Who did it: the name of a token, or how it came without one.
    pub actor: String,
    /// What was done, such as `run.cancel`.
    pub action: String,
    /// What it was done to: a run, a digest, a token's name, a path.
    pub subject: String,
    /// Whatever else is to be known.
    pub detail: Value,
}

pub(crate) const APPEND: &str = "
    INSERT INTO audit (id, happened_at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)";

/// Appends an [`AuditEntry`] in the transaction of what it tells of.
macro_rules! append_audit {
    ($conn:ident, $entry:expr) => {{
        let entry: &$crate::audit::AuditEntry = $entry;
        sqlx::query($crate::audit::APPEND)
            .bind(entry.id.to_string())
            .bind(entry.at.0)
            .bind($crate::row::plain(&entry.actor))
            .bind(&entry.action)
            .bind($crate::row::plain(&entry.subject))
            .bind($crate::row::to_json(&entry.detail)?)
            .execute(&mut *$conn)
            .await?;
    }};
}

pub(crate) use append_audit;

impl Store {
    /// Appends a row that tells of no other change of the store, such as an attempt that was refused.
    pub async fn append_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        writing!(self, |conn| {
            append_audit!(conn, &entry);
            Ok(())
        })
    }
}

type Row = (String, i64, String, String, String, String);

const AUDIT: &str = "
    SELECT id, happened_at, actor, action, subject, detail FROM audit
    WHERE CAST($1 AS TEXT) IS NULL OR id < $1 ORDER BY id DESC LIMIT $2";

impl Store {
    /// A page of the audit, newest first: rows before `before`, else the newest of all.
    pub async fn audit(&self, before: Option<AuditId>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before.map(|id| id.to_string());
        let rows: Vec<Row> = reading!(self, |conn| {
            let query = sqlx::query_as(AUDIT).bind(&before).bind(i64::from(limit));
            Ok(query.fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(entry).collect()
    }
}

const LAST: &str = "
    SELECT id, happened_at, actor, action, subject, detail FROM audit
    WHERE subject = $1 AND action = $2 ORDER BY id DESC LIMIT 1";

impl Store {
    /// The last time `action` was done to `subject`.
    pub async fn last_audit(&self, subject: String, action: &str) -> Result<Option<AuditEntry>, StoreError> {
        let row: Option<Row> = reading!(self, |conn| {
            Ok(sqlx::query_as(LAST).bind(&subject).bind(action).fetch_optional(&mut *conn).await?)
        })?;
        row.map(entry).transpose()
    }
}

fn entry((id, at, actor, action, subject, detail): Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: parsed(&id, "audit.id")?,
        at: Micros(at),
        actor,
        action,
        subject,
        detail: json(&detail, "audit.detail")?,
    })
}
