//! Cancel: a run told to stop. Nothing is claimed after it, what is pending is cancelled, what is running is still
//! recorded.
//!
//! **Invariant:** a job that is given back in a run that is being cancelled does not stay pending: whoever gives jobs
//! back runs `cancel_pending!` in the same transaction. [`Store::finish`] does so as well, for a job that was given back
//! while the cancellation was being committed.

use assay_common::clock::Micros;
use assay_common::id::RunId;

use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Locking, Speaks as _, locking, writing};
use crate::row::plain;

pub(crate) const SQL: &[&str] =
    &[LOCK_RUN.sqlite, LOCK_RUN.postgres, CANCEL_RUN, CANCEL_PENDING, COUNT_CANCELLED];

// A claim holds its run FOR KEY SHARE until it is committed. Only FOR UPDATE waits for those; the update of `state`
// would pass them by, and their grants would come after the cancellation.
pub(crate) const LOCK_RUN: Locking = locking!("SELECT state FROM runs WHERE id = $1", "FOR UPDATE");

pub(crate) const CANCEL_RUN: &str = "
    UPDATE runs SET state = 'cancelling', reason = $2, cancelled_at = $3
    WHERE id = $1 AND state IN ('running', 'paused')";

// In portions, so that the writers of other runs get their turn.
pub(crate) const CANCEL_PENDING: &str = "
    UPDATE jobs SET state = 'terminal', outcome = 'cancelled'
    WHERE run_id = $1 AND state = 'pending'
        AND ordinal IN (SELECT ordinal FROM jobs WHERE run_id = $1 AND state = 'pending' LIMIT 10000)
        AND EXISTS (SELECT 1 FROM runs WHERE id = $1 AND state = 'cancelling')";

pub(crate) const COUNT_CANCELLED: &str = "UPDATE runs SET cancelled = cancelled + $2 WHERE id = $1";

/// In a run that is being cancelled, cancels jobs that are pending and counts them; in any other does nothing.
macro_rules! cancel_pending {
    ($conn:ident, $run:expr) => {{
        let run = $run;
        let cancelled = sqlx::query($crate::cancel::CANCEL_PENDING).bind(run).execute(&mut *$conn).await?;
        let cancelled = cancelled.rows_affected();
        if cancelled > 0 {
            let query = sqlx::query($crate::cancel::COUNT_CANCELLED).bind(run);
            query.bind($crate::row::integer(cancelled)).execute(&mut *$conn).await?;
        }
        cancelled
    }};
}

pub(crate) use cancel_pending;

impl Store {
    /// Stops a run: no claim is granted after this returns, and its pending jobs are cancelled. What was not expanded
    /// stays so; what is running finishes. `false` when it was being cancelled already, or is over, or is unknown.
    pub async fn cancel(&self, run: RunId, reason: String, now: Micros) -> Result<bool, StoreError> {
        let id = run.to_string();
        let stopped = writing!(self, |conn| {
            sqlx::query(LOCK_RUN.text(conn.dialect())).bind(&id).execute(&mut *conn).await?;
            let query = sqlx::query(CANCEL_RUN).bind(&id).bind(plain(&reason)).bind(now.0);
            Ok(query.execute(&mut *conn).await?.rows_affected() > 0)
        })?;
        // Also when it was being cancelled already: whoever began may have died half-way.
        loop {
            let id = run.to_string();
            let cancelled = writing!(self, |conn| { Ok(cancel_pending!(conn, &id)) })?;
            if cancelled == 0 {
                return Ok(stopped);
            }
        }
    }
}
