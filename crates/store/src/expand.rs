//! Expansion: a run's jobs inserted chunk by chunk, each with a move of the run's cursor.

use assay_common::id::RunId;

use crate::bulk::{Bulk, executed};
use crate::error::StoreError;
use crate::leader::{Mandate, assert_mandate};
use crate::open::Store;
use crate::pools::{Durability, writing};
use crate::row::integer;

pub(crate) const SQL: &[&str] = &[MOVE_CURSOR];
pub(crate) static BULKS: &[&Bulk] = &[&INSERT_JOBS];

/// A job to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its place in the run's product.
    pub ordinal: u64,
    /// Its case's place in the dataset.
    pub position: u64,
    /// Index of its variant.
    pub variant: u32,
    /// Its trial, from 1.
    pub trial: u32,
    /// The queue it waits in.
    pub pool: String,
}

// The row lock it takes makes a second expander wait and then find another cursor.
const MOVE_CURSOR: &str = "
    UPDATE runs SET cursor = $3, expanded = $4
    WHERE id = $1 AND cursor = $2 AND expanded = FALSE AND state IN ('running', 'paused')";

static INSERT_JOBS: Bulk = Bulk::new(
    "INSERT INTO jobs (run_id, ordinal, position, variant, trial, pool, generation, state, not_before, attempt, tries,
        crash_claims) VALUES",
    "($, $, $, $, $, $, 0, 'pending', 0, 0, 0, 0)",
    "ON CONFLICT DO NOTHING",
);

impl Store {
    /// Inserts the jobs that follow `from_cursor`, with no gap, and moves the run's cursor behind them; `ended`: there
    /// are no more. `false`, and nothing done, when the cursor is elsewhere or the run takes no more jobs.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended.
    pub async fn expand(
        &self,
        mandate: Mandate,
        run: RunId,
        from_cursor: u64,
        jobs: Vec<NewJob>,
        ended: bool,
    ) -> Result<bool, StoreError> {
        debug_assert!(jobs.iter().zip(from_cursor..).all(|(job, ordinal)| job.ordinal == ordinal));
        let run = run.to_string();
        let cursor = integer(from_cursor) + integer(jobs.len() as u64);
        // Undone by a power cut, the run is expanded again from where it then is.
        writing!(self, Durability::Process, |conn| {
            assert_mandate!(conn, mandate);
            let query =
                sqlx::query(MOVE_CURSOR).bind(&run).bind(integer(from_cursor)).bind(cursor).bind(ended);
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            executed!(conn, INSERT_JOBS(), &jobs, |job| (
                &run,
                integer(job.ordinal),
                integer(job.position),
                i64::from(job.variant),
                i64::from(job.trial),
                &job.pool
            ));
            Ok(true)
        })
    }
}
