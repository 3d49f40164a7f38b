//! Baselines: the run that says what a version came to when it went live, one for each version and the terms of a schedule.
//! Its results are never pruned.

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::leader::{Mandate, assert_mandate};
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::parsed;
use crate::run::{NewRun, insert_run};

pub(crate) const SQL: &[&str] = &[ASK, BASELINE];

/// A baseline to measure.
#[derive(Clone, Debug)]
pub struct NewBaseline {
    /// The prompt.
    pub prompt: String,
    /// The version.
    pub digest: Digest,
    /// What it holds for.
    pub terms: Digest,
    /// The run that measures it.
    pub run: NewRun,
    /// The run that measured it before, and is not believed.
    pub replaces: Option<RunId>,
}

// One that was cancelled or is not believed is measured anew.
const ASK: &str = "
    INSERT INTO baselines (prompt, digest, terms, run_id, asked_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (prompt, digest, terms) DO UPDATE SET run_id = excluded.run_id, asked_at = excluded.asked_at
    WHERE baselines.run_id = CAST($6 AS TEXT)
        OR EXISTS (SELECT 1 FROM runs WHERE runs.id = baselines.run_id AND runs.state = 'cancelled')";

impl Store {
    /// Makes the run of a baseline, unless there is one that was not cancelled and is not to be replaced; `false` then.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended; nothing is done then.
    pub async fn ask_baseline(
        &self,
        mandate: Mandate,
        baseline: NewBaseline,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            assert_mandate!(conn, mandate);
            let NewBaseline { prompt, digest, terms, run, replaces } = &baseline;
            let query = sqlx::query(ASK).bind(prompt).bind(digest.as_str()).bind(terms.as_str());
            let query = query.bind(run.id.to_string()).bind(run.created_at.0);
            let query = query.bind(replaces.map(|run| run.to_string()));
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            insert_run!(conn, run);
            append_audit!(conn, &entry);
            Ok(true)
        })
    }
}

const BASELINE: &str = "
    SELECT run_id, asked_at FROM baselines WHERE prompt = $1 AND digest = $2 AND terms = $3";

impl Store {
    /// The run that measures a version under some terms, and when it was asked for.
    pub async fn baseline(
        &self,
        prompt: &str,
        digest: &Digest,
        terms: &Digest,
    ) -> Result<Option<(RunId, Micros)>, StoreError> {
        let row: Option<(String, i64)> = reading!(self, |conn| {
            let query = sqlx::query_as(BASELINE).bind(prompt).bind(digest.as_str()).bind(terms.as_str());
            Ok(query.fetch_optional(&mut *conn).await?)
        })?;
        row.map(|(run, at)| Ok((parsed(&run, "baselines.run_id")?, Micros(at)))).transpose()
    }
}
