//! Prune: what old runs were made of is removed, and what they came to stays.
//!
//! A run is marked first, so that nobody asks it again; its rows go in portions, jobs last of each, so that whoever comes
//! after a death finds the rest. A dataset goes when no run that has its jobs refers to it, and no schedule. The runs of baselines
//! stay.

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Locking, Speaks as _, locking, reading, writing};
use crate::row::{integer, parsed, whole};
use crate::run::{RUN, Run, RunRow};

pub(crate) const SQL: &[&str] = &[
    OLD_RUNS,
    KEEP_REPORT,
    REPORT,
    MARK_PRUNED,
    FORGET_RUN_RESPONSES,
    FORGET_RESERVATIONS,
    PRUNE_RESULTS,
    PRUNE_CALLS,
    PRUNE_JOBS,
    UNUSED_DATASETS,
    LOCK_DATASET.sqlite,
    LOCK_DATASET.postgres,
    PRUNE_DATASET,
    PRUNE_CASES,
];

/// Jobs whose rows go in one transaction, so that other writers get their turn.
const PORTION: u64 = 5_000;

const OLD_RUNS: &str = "
    SELECT id FROM runs
    WHERE state IN ('completed', 'cancelled') AND finished_at < $1
        AND (pruned_at IS NULL OR EXISTS (SELECT 1 FROM jobs WHERE jobs.run_id = runs.id))
        AND NOT EXISTS (SELECT 1 FROM baselines WHERE baselines.run_id = runs.id)
    ORDER BY id";

impl Store {
    /// The runs that ended before a moment and still have jobs, or were never pruned; the oldest first.
    pub async fn old_runs(&self, before: Micros) -> Result<Vec<RunId>, StoreError> {
        let ids: Vec<String> = reading!(self, |conn| {
            Ok(sqlx::query_scalar(OLD_RUNS).bind(before.0).fetch_all(&mut *conn).await?)
        })?;
        ids.iter().map(|id| parsed(id, "runs.id")).collect()
    }
}

const KEEP_REPORT: &str =
    "INSERT INTO reports (run_id, content, kept_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

const MARK_PRUNED: &str = "
    UPDATE runs SET pruned_at = $2
    WHERE id = $1 AND pruned_at IS NULL AND state IN ('completed', 'cancelled') AND finished_at = $3";

impl Store {
    /// Keeps the report of a run that is over, and marks it: from now on its results count as removed. `false`, and nothing
    /// done, where it was marked before, or has been opened again since it was read.
    pub async fn mark_pruned(
        &self,
        run: &Run,
        report: String,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        let (id, finished) = (run.id.to_string(), run.finished_at.map(|at| at.0));
        writing!(self, |conn| {
            let query = sqlx::query(MARK_PRUNED).bind(&id).bind(entry.at.0).bind(finished);
            let marked = query.execute(&mut *conn).await?.rows_affected() > 0;
            if marked {
                sqlx::query(KEEP_REPORT).bind(&id).bind(&report).bind(entry.at.0).execute(&mut *conn).await?;
                append_audit!(conn, &entry);
            }
            Ok(marked)
        })
    }
}

const REPORT: &str = "SELECT content FROM reports WHERE run_id = $1";

impl Store {
    /// The report that was kept of a run.
    pub async fn kept_report(&self, run: RunId) -> Result<Option<String>, StoreError> {
        reading!(self, |conn| {
            Ok(sqlx::query_scalar(REPORT).bind(run.to_string()).fetch_optional(&mut *conn).await?)
        })
    }
}

const FORGET_RUN_RESPONSES: &str = "DELETE FROM responses WHERE run_id = $1";
const FORGET_RESERVATIONS: &str = "DELETE FROM reservations WHERE run_id = $1";
const PRUNE_RESULTS: &str = "DELETE FROM results WHERE run_id = $1 AND ordinal >= $2 AND ordinal < $3";
const PRUNE_CALLS: &str = "DELETE FROM calls WHERE run_id = $1 AND ordinal >= $2 AND ordinal < $3";
const PRUNE_JOBS: &str = "DELETE FROM jobs WHERE run_id = $1 AND ordinal >= $2 AND ordinal < $3";

impl Store {
    /// Removes the jobs, results and calls of a run that is marked; of another nothing.
    pub async fn prune_run(&self, run: RunId) -> Result<(), StoreError> {
        let id = run.to_string();
        let row: Option<RunRow> =
            reading!(self, |conn| { Ok(sqlx::query_as(RUN).bind(&id).fetch_optional(&mut *conn).await?) })?;
        let Some(row) = row.map(RunRow::into_run).transpose()?.filter(|row| row.pruned_at.is_some()) else {
            return Ok(());
        };
        let mut from = 0;
        while from < row.cursor {
            let (id, to) = (id.clone(), from + PORTION);
            writing!(self, |conn| {
                for text in [PRUNE_RESULTS, PRUNE_CALLS, PRUNE_JOBS] {
                    let query = sqlx::query(text).bind(&id).bind(integer(from)).bind(integer(to));
                    query.execute(&mut *conn).await?;
                }
                Ok(())
            })?;
            from = to;
        }
        writing!(self, |conn| {
            for text in [FORGET_RUN_RESPONSES, FORGET_RESERVATIONS] {
                sqlx::query(text).bind(&id).execute(&mut *conn).await?;
            }
            Ok(())
        })
    }
}

// A dataset that was stored a moment ago waits for its run.
const UNUSED_DATASETS: &str = "
    SELECT digest, cases FROM datasets
    WHERE sealed_at < $1 AND NOT EXISTS (
        SELECT 1 FROM runs JOIN suite_revisions ON suite_revisions.revision = runs.revision
        WHERE suite_revisions.dataset = datasets.digest AND runs.pruned_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM schedules WHERE schedules.dataset = datasets.digest)
    ORDER BY digest";

impl Store {
    /// Datasets stored before a moment that no run with results refers to, each with its number of cases.
    pub async fn unused_datasets(&self, before: Micros) -> Result<Vec<(Digest, u64)>, StoreError> {
        let rows: Vec<(String, i64)> = reading!(self, |conn| {
            Ok(sqlx::query_as(UNUSED_DATASETS).bind(before.0).fetch_all(&mut *conn).await?)
        })?;
        let dataset = |(digest, cases): (String, i64)| {
            Ok((parsed(&digest, "datasets.digest")?, whole(cases, "datasets.cases")?))
        };
        rows.into_iter().map(dataset).collect()
    }
}

// A run that is being created holds its dataset until it is committed: whoever comes second sees what the first did.
const LOCK_DATASET: Locking = locking!("SELECT digest FROM datasets WHERE digest = $1", "FOR UPDATE");

const PRUNE_DATASET: &str = "
    DELETE FROM datasets
    WHERE digest = $1 AND NOT EXISTS (
        SELECT 1 FROM runs JOIN suite_revisions ON suite_revisions.revision = runs.revision
        WHERE suite_revisions.dataset = $1 AND runs.pruned_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM schedules WHERE schedules.dataset = $1)";

const PRUNE_CASES: &str = "DELETE FROM cases WHERE dataset = $1";

impl Store {
    /// Removes a dataset and its cases, if no run with results refers to it; returns whether it did. Whoever submits a suite
    /// with it brings it again.
    pub async fn prune_dataset(&self, dataset: Digest) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            sqlx::query(LOCK_DATASET.text(conn.dialect())).bind(dataset.as_str()).execute(&mut *conn).await?;
            let query = sqlx::query(PRUNE_DATASET).bind(dataset.as_str());
            let gone = query.execute(&mut *conn).await?.rows_affected() > 0;
            if gone {
                sqlx::query(PRUNE_CASES).bind(dataset.as_str()).execute(&mut *conn).await?;
            }
            Ok(gone)
        })
    }
}
