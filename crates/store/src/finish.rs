//! Finish: a run comes to its end when no job of it is open. Rows decide, never a counter.

use assay_common::clock::Micros;
use assay_common::id::RunId;

use crate::error::StoreError;
use crate::leader::{Mandate, assert_mandate};
use crate::open::Store;
use crate::pools::writing;
use crate::response::FORGET_RESPONSES_OF;
use crate::run::{RUN, Run, RunRow};

pub(crate) const SQL: &[&str] = &[HAS_PENDING, HAS_RUNNING, FINISH_RUN];

const HAS_PENDING: &str = "SELECT ordinal FROM jobs WHERE run_id = $1 AND state = 'pending' LIMIT 1";

pub(crate) const HAS_RUNNING: &str =
    "SELECT ordinal FROM jobs WHERE run_id = $1 AND state = 'running' LIMIT 1";

// The counts are those of the rows. The two looks before it keep a run with open jobs from being counted each time; the
// condition on `open` decides. A run that was told to end while its last jobs were in flight, and has a result of every job
// all the same, lacks nothing.
const FINISH_RUN: &str = "
    UPDATE runs
    SET state = CASE WHEN state = 'cancelling' AND COALESCE(stopped_early, FALSE) = FALSE
            AND counted.passed + counted.failed + counted.errored < planned THEN 'cancelled'
            ELSE 'completed' END, finished_at = $2,
        passed = counted.passed, failed = counted.failed, errored = counted.errored, cancelled = counted.cancelled
    FROM (
        SELECT
            CAST(COALESCE(SUM(CASE WHEN state = 'terminal' THEN 0 ELSE 1 END), 0) AS BIGINT) AS open,
            CAST(COALESCE(SUM(CASE WHEN outcome = 'passed' THEN 1 ELSE 0 END), 0) AS BIGINT) AS passed,
            CAST(COALESCE(SUM(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END), 0) AS BIGINT) AS failed,
            CAST(COALESCE(SUM(CASE WHEN outcome = 'errored' THEN 1 ELSE 0 END), 0) AS BIGINT) AS errored,
            CAST(COALESCE(SUM(CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END), 0) AS BIGINT) AS cancelled
        FROM jobs WHERE run_id = $1
    ) AS counted
    WHERE runs.id = $1 AND counted.open = 0
        AND (runs.state = 'cancelling' OR (runs.state IN ('running', 'paused') AND runs.expanded = TRUE))";

impl Store {
    /// Brings a run to its end if nothing of it is open: expansion has ended or it is being cancelled, and every job
    /// is terminal. `None` while something is; a run that is over already comes back as it is. One that was being cancelled
    /// is cancelled only if a planned job has no result.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended.
    pub async fn finish(&self, mandate: Mandate, run: RunId, now: Micros) -> Result<Option<Run>, StoreError> {
        self.cancel_rest(run).await?;
        let id = run.to_string();
        let row: Option<RunRow> = writing!(self, |conn| {
            assert_mandate!(conn, mandate);
            for open in [HAS_PENDING, HAS_RUNNING] {
                let ordinal: Option<i64> =
                    sqlx::query_scalar(open).bind(&id).fetch_optional(&mut *conn).await?;
                if ordinal.is_some() {
                    return Ok(None);
                }
            }
            sqlx::query(FINISH_RUN).bind(&id).bind(now.0).execute(&mut *conn).await?;
            sqlx::query(FORGET_RESPONSES_OF).bind(&id).execute(&mut *conn).await?;
            Ok(sqlx::query_as(RUN).bind(&id).fetch_optional(&mut *conn).await?)
        })?;
        let over = row.map(RunRow::into_run).transpose()?.filter(|run| run.state.is_over());
        if let (Some(journal), Some(over)) = (self.journal(), &over) {
            journal.forget_run(over.id);
        }
        Ok(over)
    }
}
