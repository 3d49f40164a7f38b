//! Risks that a team has taken: what may go wrong, who answers for it, and until when.

use assay_common::clock::Micros;

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::plain;

pub(crate) const SQL: &[&str] = &[ADD_RISK, CLOSE_RISK, RISK, RISKS];

/// A risk that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    /// 1, 2, 3, …
    pub number: i64,
    /// What it is, and who took it.
    pub taken: NewRisk,
    /// When it was closed.
    pub closed_at: Option<Micros>,
    /// By whom.
    pub closed_by: Option<String>,
    /// What was done about it.
    pub outcome: Option<String>,
}

/// A risk to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRisk {
    /// What may go wrong.
    pub title: String,
    /// The prompt it is of.
    pub prompt: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Until when something is done about it.
    pub deadline_at: Micros,
    /// When it was written down.
    pub added_at: Micros,
    /// By whom.
    pub added_by: String,
}

// Who comes second at the same moment waits, or takes the next number.
const ADD_RISK: &str = "
    INSERT INTO risks (number, title, prompt, owner, deadline_at, added_at, added_by)
    SELECT COALESCE(MAX(number), 0) + 1, $1, $2, $3, $4, $5, $6 FROM risks
    WHERE TRUE
    ON CONFLICT DO NOTHING
    RETURNING number";

const CLOSE_RISK: &str = "
    UPDATE risks SET closed_at = $2, closed_by = $3, outcome = $4 WHERE number = $1 AND closed_at IS NULL";

impl Store {
    /// Writes a risk down; returns its number.
    pub async fn add_risk(&self, risk: NewRisk, entry: AuditEntry) -> Result<i64, StoreError> {
        writing!(self, |conn| {
            let number: i64 = loop {
                let query = sqlx::query_scalar(ADD_RISK).bind(plain(&risk.title)).bind(&risk.prompt);
                let query = query.bind(plain(&risk.owner)).bind(risk.deadline_at.0).bind(risk.added_at.0);
                let query = query.bind(plain(&risk.added_by));
                if let Some(number) = query.fetch_optional(&mut *conn).await? {
                    break number;
                }
            };
            append_audit!(conn, &entry);
            Ok(number)
        })
    }

    /// Closes a risk at the moment and by the actor of `entry`. `false`: there is none, or it is closed.
    pub async fn close_risk(
        &self,
        number: i64,
        outcome: String,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            let query = sqlx::query(CLOSE_RISK).bind(number).bind(entry.at.0);
            let query = query.bind(plain(&entry.actor)).bind(plain(&outcome));
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            append_audit!(conn, &entry);
            Ok(true)
        })
    }
}

#[derive(sqlx::FromRow)]
struct RiskRow {
    number: i64,
    title: String,
    prompt: Option<String>,
    owner: String,
    deadline_at: i64,
    added_at: i64,
    added_by: String,
    closed_at: Option<i64>,
    closed_by: Option<String>,
    outcome: Option<String>,
}

impl RiskRow {
    fn into_risk(self) -> Risk {
        Risk {
            number: self.number,
            taken: NewRisk {
                title: self.title,
                prompt: self.prompt,
                owner: self.owner,
                deadline_at: Micros(self.deadline_at),
                added_at: Micros(self.added_at),
                added_by: self.added_by,
            },
            closed_at: self.closed_at.map(Micros),
            closed_by: self.closed_by,
            outcome: self.outcome,
        }
    }
}

const RISK: &str = "
    SELECT number, title, prompt, owner, deadline_at, added_at, added_by, closed_at, closed_by, outcome
    FROM risks WHERE number = $1";

const RISKS: &str = "
    SELECT number, title, prompt, owner, deadline_at, added_at, added_by, closed_at, closed_by, outcome
    FROM risks WHERE added_at < $1 AND ($2 = TRUE OR closed_at IS NULL OR closed_at >= $1)
    ORDER BY deadline_at, number";

impl Store {
    /// A risk.
    pub async fn risk(&self, number: i64) -> Result<Option<Risk>, StoreError> {
        let row: Option<RiskRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(RISK).bind(number).fetch_optional(&mut *conn).await?)
        })?;
        Ok(row.map(RiskRow::into_risk))
    }

    /// The risks that were open just before a moment, the most pressing first; `all`: also those that were closed.
    pub async fn risks(&self, before: Micros, all: bool) -> Result<Vec<Risk>, StoreError> {
        let rows: Vec<RiskRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(RISKS).bind(before.0).bind(all).fetch_all(&mut *conn).await?)
        })?;
        Ok(rows.into_iter().map(RiskRow::into_risk).collect())
    }
}
