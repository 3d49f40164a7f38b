//! Responses: answers committed before they are scored. A claim reads what an earlier one left; settling removes it.

use assay_common::id::RunId;
use assay_common::job::{JobKey, Response};

use crate::bulk::{Bulk, executed};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Durability, reading, stating};
use crate::row::{integer, to_json, whole};

pub(crate) const SQL: &[&str] = &[FORGET_RESPONSES_OF, KEPT_RESPONSES];
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
    /// Keeps answers that were paid for. Whoever claims one of these jobs from now on is granted it with its answer;
    /// of two answers for one job the first that is committed stays. What is kept survives the end of any process; a
    /// SQLite file may lose the last second of it with the power of its machine. Not one transaction: each answer stands
    /// for itself.
    pub async fn keep_responses(&self, mut responses: Vec<(JobKey, Response)>) -> Result<(), StoreError> {
        responses.sort_by_key(|(key, _)| *key);
        let row = |(key, response): (JobKey, Response)| {
            Ok::<_, StoreError>((
                key.run.to_string(),
                integer(key.ordinal),
                i64::from(key.generation),
                to_json(&response)?,
            ))
        };
        let rows = responses.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
        stating!(self, Durability::Process, |conn| {
            executed!(conn, KEEP_RESPONSES(), &rows, |(run, ordinal, generation, content)| (
                run, ordinal, generation, content
            ));
            Ok(())
        })
    }
}

const KEPT_RESPONSES: &str = "SELECT COUNT(*) FROM responses WHERE run_id = $1";

impl Store {
    /// How many answers of a run are kept and not settled.
    pub async fn kept_responses(&self, run: RunId) -> Result<u64, StoreError> {
        let count: i64 = reading!(self, |conn| {
            Ok(sqlx::query_scalar(KEPT_RESPONSES).bind(run.to_string()).fetch_one(&mut *conn).await?)
        })?;
        whole(count, "COUNT(*)")
    }
}
