//! Steering: a run paused, resumed or stopped by somebody, who is written down with it. Each says how the run stood in that
//! same transaction: a moment later somebody else may have steered it elsewhere.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::RunId;

use crate::audit::{AuditEntry, append_audit};
use crate::cancel::{CANCEL_RUN, LOCK_RUN};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Speaks as _, writing};
use crate::row::plain;
use crate::run::{RUN, Run, RunRow};

pub(crate) const SQL: &[&str] = &[PAUSE_RUN, RESUME_RUN];

const PAUSE_RUN: &str = "UPDATE runs SET state = 'paused' WHERE id = $1 AND state = 'running'";
// Its deadline begins anew: whoever paused it did not mean to end it.
const RESUME_RUN: &str = "
    UPDATE runs SET state = 'running', reason = NULL, deadline_at = $2 WHERE id = $1 AND state = 'paused'";

/// What a statement that steers a run binds beside its id.
enum Bound {
    Nothing,
    Moment(Micros),
    ReasonAndMoment(String),
}

/// What became of a run that somebody steered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steered {
    /// Whether this changed it.
    pub changed: bool,
    /// How it stands with that.
    pub run: Run,
}

impl Store {
    /// Pauses a run: no claim is granted after this returns, what is running finishes. Changes nothing when it is not
    /// running. `None`: there is no such run.
    pub async fn pause(&self, run: RunId, entry: AuditEntry) -> Result<Option<Steered>, StoreError> {
        self.turn(PAUSE_RUN, run, Bound::Nothing, entry).await
    }

    /// Lets a paused run go on; its deadline begins anew. Changes nothing when it is not paused. `None`: there is no such run.
    pub async fn resume(&self, run: RunId, entry: AuditEntry) -> Result<Option<Steered>, StoreError> {
        let Some(given) = self.given(run).await? else { return Ok(None) };
        let deadline = entry.at.plus(given);
        self.turn(RESUME_RUN, run, Bound::Moment(deadline), entry).await
    }

    /// The time that a run is given by its suite. `None`: there is no such run.
    pub(crate) async fn given(&self, run: RunId) -> Result<Option<Duration>, StoreError> {
        let Some(run) = self.run(run).await? else { return Ok(None) };
        let suite = self.suite(run.revision.clone()).await?;
        let given = suite.map(|suite| Duration::from_secs(suite.deadline_seconds));
        Ok(Some(given.unwrap_or_else(|| run.deadline_at.since(run.created_at))))
    }

    /// Changes a run by a statement that binds its id, and what it says.
    async fn turn(
        &self,
        change: &'static str,
        run: RunId,
        bound: Bound,
        entry: AuditEntry,
    ) -> Result<Option<Steered>, StoreError> {
        let id = run.to_string();
        let (changed, row): (bool, Option<RunRow>) = writing!(self, |conn| {
            // Claims that are under way hold the run: see `cancel`.
            sqlx::query(LOCK_RUN.text(conn.dialect())).bind(&id).execute(&mut *conn).await?;
            let query = sqlx::query(change).bind(&id);
            let query = match &bound {
                Bound::Nothing => query,
                Bound::Moment(moment) => query.bind(moment.0),
                Bound::ReasonAndMoment(reason) => query.bind(plain(reason)).bind(entry.at.0),
            };
            let changed = query.execute(&mut *conn).await?.rows_affected() > 0;
            if changed {
                append_audit!(conn, &entry);
            }
            Ok((changed, sqlx::query_as(RUN).bind(&id).fetch_optional(&mut *conn).await?))
        })?;
        steered(changed, row)
    }

    /// [`Store::cancel`] by somebody. Changes nothing when it was being cancelled already or is over. `None`: there is no
    /// such run.
    pub async fn cancel_by(
        &self,
        run: RunId,
        reason: String,
        entry: AuditEntry,
    ) -> Result<Option<Steered>, StoreError> {
        let steered = self.turn(CANCEL_RUN, run, Bound::ReasonAndMoment(reason), entry).await?;
        self.cancel_rest(run).await?;
        Ok(steered)
    }
}

fn steered(changed: bool, row: Option<RunRow>) -> Result<Option<Steered>, StoreError> {
    Ok(row.map(RunRow::into_run).transpose()?.map(|run| Steered { changed, run }))
}
