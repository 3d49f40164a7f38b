//! Steering: a run paused, resumed or stopped by somebody, who is written down with it.

use assay_common::id::RunId;

use crate::audit::{AuditEntry, append_audit};
use crate::cancel::{CANCEL_RUN, LOCK_RUN};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Speaks as _, writing};
use crate::row::plain;

pub(crate) const SQL: &[&str] = &[PAUSE_RUN, RESUME_RUN];

const PAUSE_RUN: &str = "UPDATE runs SET state = 'paused' WHERE id = $1 AND state = 'running'";

impl Store {
    /// Pauses a run: no claim is granted after this returns, what is running finishes. `false` when it is not running.
    pub async fn pause(&self, run: RunId, entry: AuditEntry) -> Result<bool, StoreError> {
        let id = run.to_string();
        writing!(self, |conn| {
            // Claims that are under way hold the run: see `cancel`.
            sqlx::query(LOCK_RUN.text(conn.dialect())).bind(&id).execute(&mut *conn).await?;
            let paused = sqlx::query(PAUSE_RUN).bind(&id).execute(&mut *conn).await?.rows_affected() > 0;
            if paused {
                append_audit!(conn, &entry);
            }
            Ok(paused)
        })
    }
}

const RESUME_RUN: &str =
    "UPDATE runs SET state = 'running', reason = NULL WHERE id = $1 AND state = 'paused'";

impl Store {
    /// Lets a paused run go on. `false` when it is not paused.
    pub async fn resume(&self, run: RunId, entry: AuditEntry) -> Result<bool, StoreError> {
        let id = run.to_string();
        writing!(self, |conn| {
            let resumed = sqlx::query(RESUME_RUN).bind(&id).execute(&mut *conn).await?.rows_affected() > 0;
            if resumed {
                append_audit!(conn, &entry);
            }
            Ok(resumed)
        })
    }
}

impl Store {
    /// [`Store::cancel`] by somebody. `false` when it was being cancelled already, or is over, or is unknown.
    pub async fn cancel_by(&self, run: RunId, reason: String, entry: AuditEntry) -> Result<bool, StoreError> {
        let (id, now) = (run.to_string(), entry.at);
        let why = reason.clone();
        let stopped = writing!(self, |conn| {
            sqlx::query(LOCK_RUN.text(conn.dialect())).bind(&id).execute(&mut *conn).await?;
            let query = sqlx::query(CANCEL_RUN).bind(&id).bind(plain(&why)).bind(now.0);
            let stopped = query.execute(&mut *conn).await?.rows_affected() > 0;
            if stopped {
                append_audit!(conn, &entry);
            }
            Ok(stopped)
        })?;
        // The state is changed; what is left is to cancel its pending jobs.
        self.cancel(run, reason, now).await?;
        Ok(stopped)
    }
}
