//! Cancel: a run told to stop. It is marked first, so that nothing is claimed after it; then what is pending is cancelled,
//! portion by portion. What is running is still recorded.
//!
//! **Invariant:** a job that is given back in a run that is being cancelled does not stay pending: whoever gives jobs
//! back runs `cancel_returned!` in the same transaction. [`Store::finish`] cancels what is left, for a job that was given
//! back while the cancellation was being committed, and for whoever died half-way.

use assay_common::clock::Micros;
use assay_common::id::RunId;

use crate::error::StoreError;
use crate::leader::Mandate;
use crate::open::Store;
use crate::pools::{Locking, locking, reading, writing};

pub(crate) const SQL: &[&str] = &[
    LOCK_RUN.sqlite,
    LOCK_RUN.postgres,
    CANCEL_RUN,
    PENDING_SPAN,
    CANCEL_PENDING,
    CANCEL_RETURNED,
    COUNT_CANCELLED,
];

/// Ordinals whose jobs are cancelled in one transaction, so that other writers get their turn.
const PORTION: i64 = 5_000;

// A claim holds its run FOR KEY SHARE until it is committed. Only FOR UPDATE waits for those; the update of `state`
// would pass them by, and their grants would come after the cancellation.
pub(crate) const LOCK_RUN: Locking = locking!("SELECT state FROM runs WHERE id = $1", "FOR UPDATE");

pub(crate) const CANCEL_RUN: &str = "
    UPDATE runs SET state = 'cancelling', reason = $2, cancelled_at = $3
    WHERE id = $1 AND state IN ('running', 'paused')";

const PENDING_SPAN: &str = "
    SELECT MIN(ordinal), MAX(ordinal) FROM jobs
    WHERE run_id = $1 AND state = 'pending' AND EXISTS (SELECT 1 FROM runs WHERE id = $1 AND state = 'cancelling')";

// By a range of ordinals: whatever the planner believes of a table that has grown a hundredfold since it was counted, each
// row is read once. Rows chosen by a sub-query it may join row by row.
const CANCEL_PENDING: &str = "
    UPDATE jobs SET state = 'terminal', outcome = 'cancelled'
    WHERE run_id = $1 AND ordinal >= $2 AND ordinal < $3 AND state = 'pending'
        AND EXISTS (SELECT 1 FROM runs WHERE id = $1 AND state = 'cancelling')";

// A job that was given back has a `not_before`.
pub(crate) const CANCEL_RETURNED: &str = "
    UPDATE jobs SET state = 'terminal', outcome = 'cancelled'
    WHERE run_id = $1 AND state = 'pending' AND not_before > 0
        AND EXISTS (SELECT 1 FROM runs WHERE id = $1 AND state = 'cancelling')";

pub(crate) const COUNT_CANCELLED: &str = "UPDATE runs SET cancelled = cancelled + $2 WHERE id = $1";

/// In a run that is being cancelled, cancels jobs that were given back and counts them; in any other does nothing. Runs
/// before the transaction changes the run itself, as portions of a cancellation do: else each could wait for the other.
macro_rules! cancel_returned {
    ($conn:ident, $run:expr) => {{
        let run = $run;
        let query = sqlx::query($crate::cancel::CANCEL_RETURNED).bind(run);
        let cancelled = query.execute(&mut *$conn).await?.rows_affected();
        $crate::cancel::count_cancelled!($conn, run, cancelled);
    }};
}

macro_rules! count_cancelled {
    ($conn:ident, $run:expr, $cancelled:expr) => {
        if $cancelled > 0 {
            let query = sqlx::query($crate::cancel::COUNT_CANCELLED).bind($run);
            query.bind($crate::row::integer($cancelled)).execute(&mut *$conn).await?;
        }
    };
}

pub(crate) use {cancel_returned, count_cancelled};

impl Store {
    /// Stops a run: no claim is granted after this returns, and its pending jobs are cancelled. What was not expanded
    /// stays so; what is running finishes. `false` when it was being cancelled already, or is over, or is unknown.
    pub async fn cancel(&self, run: RunId, reason: String, now: Micros) -> Result<bool, StoreError> {
        self.end(Mandate::Own, CANCEL_RUN, run, reason, now).await
    }

    /// Cancels what is pending in a run that is being cancelled, in any other nothing. Also where that was so before:
    /// whoever began may have died half-way.
    pub(crate) async fn cancel_rest(&self, run: RunId) -> Result<(), StoreError> {
        let id = run.to_string();
        let span: (Option<i64>, Option<i64>) = reading!(self, |conn| {
            Ok(sqlx::query_as(PENDING_SPAN).bind(&id).fetch_one(&mut *conn).await?)
        })?;
        let (Some(first), Some(last)) = span else { return Ok(()) };
        let mut from = first;
        while from <= last {
            let (id, to) = (id.clone(), from + PORTION);
            writing!(self, |conn| {
                let query = sqlx::query(CANCEL_PENDING).bind(&id).bind(from).bind(to);
                let cancelled = query.execute(&mut *conn).await?.rows_affected();
                count_cancelled!(conn, &id, cancelled);
                Ok(())
            })?;
            from = to;
        }
        Ok(())
    }
}
