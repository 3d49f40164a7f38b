//! Responses: answers kept before they are scored. A claim reads what an earlier one left; settling removes it.
//!
//! They stand in a table, and beside a SQLite file in its [`journal`](crate::journal) until somebody may ask for them there.

use std::path::Path;

use assay_common::id::RunId;
use assay_common::job::{Hint, JobKey, Response};

use crate::bulk::{Bulk, executed};
use crate::error::StoreError;
use crate::journal;
use crate::open::Store;
use crate::pools::{Durability, reading, stating};
use crate::row::{integer, to_json, whole};

pub(crate) const SQL: &[&str] = &[FORGET_RESPONSES_OF, FORGET_SETTLED, KEPT_RESPONSES];
pub(crate) static BULKS: &[&Bulk] = &[&KEEP_RESPONSES, &FORGET_RESPONSES];

pub(crate) static KEEP_RESPONSES: Bulk = Bulk::new(
    "INSERT INTO responses (run_id, ordinal, generation, content) VALUES",
    "($, $, $, $)",
    "ON CONFLICT DO NOTHING",
)
.repeatable();

/// Removes what is kept for jobs of one run, from the first ordinal to the last. Jobs that end together stand near each
/// other; without their range PostgreSQL, which sees a table that is always almost empty, walks whatever was ever kept for
/// the run and not yet vacuumed.
pub(crate) static FORGET_RESPONSES: Bulk = Bulk::new(
    "DELETE FROM responses WHERE run_id = $ AND ordinal BETWEEN $ AND $ AND ordinal IN (VALUES",
    "($)",
    ")",
)
.repeatable();

/// Removes what is kept for a run: of jobs that were cancelled after their answer had come.
pub(crate) const FORGET_RESPONSES_OF: &str = "DELETE FROM responses WHERE run_id = $1";

impl Store {
    /// Whether keeping an answer is no transaction: then none has to wait for others to be kept with it.
    pub fn keeps_at_once(&self) -> bool {
        self.journal().is_some()
    }

    /// Keeps answers that were paid for. Whoever claims one of these jobs from now on is granted it with its answer;
    /// of two answers for one job the first that is committed stays. What is kept survives the end of any process; a
    /// SQLite file may lose the last seconds of it with the power of its machine. Not one transaction: each answer stands
    /// for itself.
    pub async fn keep_responses(&self, responses: &[(JobKey, &Response)]) -> Result<(), StoreError> {
        if let Some(journal) = self.journal() {
            return journal.keep(responses).map_err(|error| self.placed(error));
        }
        self.insert_responses(responses, Durability::Process).await
    }

    async fn insert_responses(
        &self,
        responses: &[(JobKey, &Response)],
        durability: Durability,
    ) -> Result<(), StoreError> {
        let rows = rows(responses)?;
        stating!(self, durability, |conn| {
            executed!(conn, KEEP_RESPONSES(), &rows, |(run, ordinal, generation, content)| (
                run, ordinal, generation, content
            ));
            Ok(())
        })
    }
}

/// Run, ordinal, generation and content, in key order.
fn rows(responses: &[(JobKey, &Response)]) -> Result<Vec<(String, i64, i64, String)>, StoreError> {
    let mut sorted = responses.to_vec();
    sorted.sort_by_key(|(key, _)| *key);
    let row = |(key, response): (JobKey, &Response)| {
        Ok((key.run.to_string(), integer(key.ordinal), i64::from(key.generation), to_json(response)?))
    };
    sorted.into_iter().map(row).collect()
}

/// Answers that are moved into the database in one transaction; each may be some megabytes long.
const MOVED_AT_ONCE: usize = 16;

// Also of runs that were pruned.
const FORGET_SETTLED: &str = "
    DELETE FROM responses WHERE NOT EXISTS (
        SELECT 1 FROM jobs WHERE jobs.run_id = responses.run_id AND jobs.ordinal = responses.ordinal
            AND jobs.generation = responses.generation AND jobs.state <> 'terminal')";

impl Store {
    /// Moves the journal of this process into the database, if it holds an answer of one of these jobs: they are about to be
    /// claimed once more.
    pub(crate) async fn find_responses(&self, hints: &[Hint]) -> Result<(), StoreError> {
        let Some(journal) = self.journal().filter(|journal| journal.has_any(hints)) else { return Ok(()) };
        let _moving = journal.moving.lock().await;
        for (number, segment) in journal.close_segments() {
            self.move_responses(&segment, Durability::Process).await?;
            journal.forget_segment(number);
        }
        self.forget_settled().await
    }

    /// Moves into the database what processes that are gone left in the journal.
    pub(crate) async fn recover_responses(&self) -> Result<(), StoreError> {
        let Some(journal) = self.journal() else { return Ok(()) };
        let segments = journal.left_behind()?;
        for segment in &segments {
            // It may have been on the disk for long.
            self.move_responses(segment, Durability::Machine).await?;
            if let Err(error) = std::fs::remove_file(segment) {
                // The next who takes the file finds nothing new in it.
                tracing::warn!(%error, "cannot remove {}, which is of no use any more", segment.display());
            }
        }
        if segments.is_empty() { Ok(()) } else { self.forget_settled().await }
    }

    async fn move_responses(&self, segment: &Path, durability: Durability) -> Result<(), StoreError> {
        let mut answers = journal::read(segment)?;
        loop {
            let read = answers.by_ref().take(MOVED_AT_ONCE).collect::<Result<Vec<_>, _>>()?;
            if read.is_empty() {
                return Ok(());
            }
            let read: Vec<_> = read.iter().map(|(key, response)| (*key, response)).collect();
            self.insert_responses(&read, durability).await?;
        }
    }

    /// Removes what was moved of jobs that had been settled.
    async fn forget_settled(&self) -> Result<(), StoreError> {
        stating!(self, Durability::Process, |conn| {
            sqlx::query(FORGET_SETTLED).execute(&mut *conn).await?;
            Ok(())
        })
    }
}

const KEPT_RESPONSES: &str = "SELECT COUNT(*) FROM responses WHERE run_id = $1";

impl Store {
    /// How many answers of a run are kept and not settled. One that is being moved counts twice.
    pub async fn kept_responses(&self, run: RunId) -> Result<u64, StoreError> {
        let count: i64 = reading!(self, |conn| {
            Ok(sqlx::query_scalar(KEPT_RESPONSES).bind(run.to_string()).fetch_one(&mut *conn).await?)
        })?;
        let held = self.journal().map_or(0, |journal| journal.count(run)) as u64;
        whole(count, "COUNT(*)").map(|count: u64| count + held)
    }
}
