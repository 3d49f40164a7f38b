//! Quarantine: cases known to waver, each with a reason, an owner and an end.

use assay_common::clock::Micros;

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Locking, Speaks as _, locking, reading, writing};
use crate::row::{integer, plain, whole};

pub(crate) const SQL: &[&str] = &[LOCK_SUITE.sqlite, LOCK_SUITE.postgres, HELD, ADD, LIST, REMOVE];

/// A case under quarantine on one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The suite's name.
    pub suite: String,
    /// The case.
    pub case: String,
    /// The model, as tables name it.
    pub model: String,
    /// Runs created from then on look at it.
    pub added_at: Micros,
    /// Runs created from then on do not.
    pub expires_at: Micros,
    /// When it was taken out before its time.
    pub removed_at: Option<Micros>,
    /// Who sees to it that the case stops wavering.
    pub owner: String,
    /// Why, for a person.
    pub reason: String,
    /// The evidence: repeats under the baseline when it was added.
    pub trials: u64,
    /// How many of them passed.
    pub passed: u64,
}

impl Quarantine {
    /// Whether it holds at a moment: that at which a run was created, or now.
    pub fn holds_at(&self, moment: Micros) -> bool {
        let end = self.removed_at.map_or(self.expires_at, |removed| removed.min(self.expires_at));
        self.added_at <= moment && moment < end
    }
}

// Whoever adds holds the suite's first run until it is committed: whoever comes second counts what the first added.
const LOCK_SUITE: Locking =
    locking!("SELECT id FROM runs WHERE suite_name = $1 ORDER BY id LIMIT 1", "FOR UPDATE");

const HELD: &str = "
    SELECT COUNT(*) FROM quarantine
    WHERE suite_name = $1 AND model = $2 AND added_at <= $3 AND expires_at > $3 AND (removed_at IS NULL OR removed_at > $3)";

const ADD: &str = "
    INSERT INTO quarantine (suite_name, case_id, model, added_at, expires_at, owner, reason, trials, passed)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

impl Store {
    /// Puts a case under quarantine, where fewer than `most` cases of its suite are on its model; returns whether it did.
    pub async fn add_quarantine(
        &self,
        added: Quarantine,
        most: u64,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            sqlx::query(LOCK_SUITE.text(conn.dialect())).bind(&added.suite).execute(&mut *conn).await?;
            let query = sqlx::query_scalar(HELD).bind(&added.suite).bind(&added.model).bind(added.added_at.0);
            let held: i64 = query.fetch_one(&mut *conn).await?;
            if whole::<u64>(held, "quarantine")? >= most {
                return Ok(false);
            }
            sqlx::query(ADD)
                .bind(&added.suite)
                .bind(&added.case)
                .bind(&added.model)
                .bind(added.added_at.0)
                .bind(added.expires_at.0)
                .bind(plain(&added.owner))
                .bind(plain(&added.reason))
                .bind(integer(added.trials))
                .bind(integer(added.passed))
                .execute(&mut *conn)
                .await?;
            append_audit!(conn, &entry);
            Ok(true)
        })
    }
}

const LIST: &str = "
    SELECT suite_name, case_id, model, added_at, expires_at, removed_at, owner, reason, trials, passed FROM quarantine
    WHERE (CAST($1 AS TEXT) IS NULL OR suite_name = $1) ORDER BY suite_name, added_at, case_id, model";

/// A row of [`LIST`].
#[derive(sqlx::FromRow)]
struct Row {
    suite_name: String,
    case_id: String,
    model: String,
    added_at: i64,
    expires_at: i64,
    removed_at: Option<i64>,
    owner: String,
    reason: String,
    trials: i64,
    passed: i64,
}

impl Store {
    /// Every quarantine there was, of a suite or of all: by suite, oldest first. People make them, so they are few.
    pub async fn quarantines(&self, suite: Option<String>) -> Result<Vec<Quarantine>, StoreError> {
        let rows: Vec<Row> =
            reading!(self, |conn| { Ok(sqlx::query_as(LIST).bind(&suite).fetch_all(&mut *conn).await?) })?;
        rows.into_iter().map(Row::into_quarantine).collect()
    }
}

impl Row {
    fn into_quarantine(self) -> Result<Quarantine, StoreError> {
        Ok(Quarantine {
            suite: self.suite_name,
            case: self.case_id,
            model: self.model,
            added_at: Micros(self.added_at),
            expires_at: Micros(self.expires_at),
            removed_at: self.removed_at.map(Micros),
            owner: self.owner,
            reason: self.reason,
            trials: whole(self.trials, "quarantine.trials")?,
            passed: whole(self.passed, "quarantine.passed")?,
        })
    }
}

const REMOVE: &str = "
    UPDATE quarantine SET removed_at = $4
    WHERE suite_name = $1 AND case_id = $2 AND model = $3 AND removed_at IS NULL AND expires_at > $4";

impl Store {
    /// Takes a case out of quarantine; `false` where it is not under any.
    pub async fn remove_quarantine(
        &self,
        suite: String,
        case: String,
        model: String,
        now: Micros,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            let query = sqlx::query(REMOVE).bind(&suite).bind(&case).bind(&model).bind(now.0);
            let removed = query.execute(&mut *conn).await?.rows_affected() > 0;
            if removed {
                append_audit!(conn, &entry);
            }
            Ok(removed)
        })
    }
}
