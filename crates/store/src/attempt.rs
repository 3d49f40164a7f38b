//! Attempts of a gate at a run: ended early once it is decided, given more jobs while it is not.

use assay_common::clock::Micros;
use assay_common::id::RunId;

use crate::error::StoreError;
use crate::leader::{Mandate, assert_mandate};
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{integer, whole};

pub(crate) const SQL: &[&str] = &[STOP_RUN, TOP_UP, PUT_ATTEMPT, ATTEMPTS];

/// What a gate said when everything planned up to then was in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Jobs planned up to then.
    pub jobs: u64,
    /// Cases among them.
    pub cases: u64,
    /// Trials of each case under each variant.
    pub trials: u32,
    /// The word of the verdict.
    pub outcome: String,
    /// When.
    pub judged_at: Micros,
}

const STOP_RUN: &str = "
    UPDATE runs SET state = 'cancelling', reason = $2, cancelled_at = $3, stopped_early = TRUE
    WHERE id = $1 AND state = 'running'";

impl Store {
    /// Ends a run because its gate has decided: no claim is granted after this returns, what is running finishes, the rest
    /// is cancelled, and the run then counts as completed. `false` when it was not running.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended; nothing is done then.
    pub async fn stop_early(
        &self,
        mandate: Mandate,
        run: RunId,
        reason: String,
        now: Micros,
    ) -> Result<bool, StoreError> {
        self.end(mandate, STOP_RUN, run, reason, now).await
    }
}

const TOP_UP: &str = "
    UPDATE runs SET planned = $3, expanded = FALSE WHERE id = $1 AND planned = $2 AND state = 'running'";

const PUT_ATTEMPT: &str = "
    INSERT INTO attempts (run_id, number, jobs, cases, trials, outcome, judged_at)
    VALUES ($1, (SELECT COUNT(*) + 1 FROM attempts WHERE run_id = $1), $2, $3, $4, $5, $6)";

impl Store {
    /// Gives a run more jobs, `planned` in all, and writes down what its gate said of those it had. `false`, and nothing
    /// done, when it is not running or was given more already.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended.
    pub async fn top_up(
        &self,
        mandate: Mandate,
        run: RunId,
        planned: u64,
        attempt: Attempt,
    ) -> Result<bool, StoreError> {
        let id = run.to_string();
        writing!(self, |conn| {
            assert_mandate!(conn, mandate);
            let jobs = integer(attempt.jobs);
            let query = sqlx::query(TOP_UP).bind(&id).bind(jobs).bind(integer(planned));
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            let query = sqlx::query(PUT_ATTEMPT).bind(&id).bind(jobs).bind(integer(attempt.cases));
            let query = query.bind(i64::from(attempt.trials)).bind(&attempt.outcome);
            query.bind(attempt.judged_at.0).execute(&mut *conn).await?;
            Ok(true)
        })
    }
}

const ATTEMPTS: &str = "
    SELECT jobs, cases, trials, outcome, judged_at FROM attempts WHERE run_id = $1 ORDER BY number";

impl Store {
    /// What the gate of a run said before it was given more, in order.
    pub async fn attempts(&self, run: RunId) -> Result<Vec<Attempt>, StoreError> {
        let id = run.to_string();
        let rows: Vec<(i64, i64, i64, String, i64)> =
            reading!(self, |conn| { Ok(sqlx::query_as(ATTEMPTS).bind(&id).fetch_all(&mut *conn).await?) })?;
        let attempt = |(jobs, cases, trials, outcome, judged_at)| {
            Ok(Attempt {
                jobs: whole(jobs, "attempts.jobs")?,
                cases: whole(cases, "attempts.cases")?,
                trials: whole(trials, "attempts.trials")?,
                outcome,
                judged_at: Micros(judged_at),
            })
        };
        rows.into_iter().map(attempt).collect()
    }
}
