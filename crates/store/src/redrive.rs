//! Redrive: the jobs of a run that errored are asked again, under a new generation; their earlier results stay.

use assay_common::id::RunId;
use assay_common::outcome::ErrorKind;

use crate::audit::{AuditEntry, append_audit};
use crate::cancel::LOCK_RUN;
use crate::error::StoreError;
use crate::member::given_back_at;
use crate::open::Store;
use crate::pools::{Speaks as _, writing};
use crate::row::integer;

pub(crate) const SQL: &[&str] = &[MAY_GO_ON, START_GENERATION, REOPEN_RUN];

const MAY_GO_ON: &str = "
    SELECT id FROM runs WHERE id = $1 AND state IN ('running', 'paused', 'completed') AND pruned_at IS NULL";

// As given back: they go before what was never asked.
const START_GENERATION: &str = "
    UPDATE jobs SET state = 'pending', outcome = NULL, generation = generation + 1, attempt = 0, tries = 0, ambiguous = 0,
        malformed = 0, crash_claims = 0, first_claimed_at = NULL, not_before = $2
    WHERE run_id = $1 AND state = 'terminal' AND outcome = 'errored'
        AND (CAST($3 AS TEXT) IS NULL OR EXISTS (
            SELECT 1 FROM results WHERE results.run_id = jobs.run_id AND results.ordinal = jobs.ordinal
                AND results.generation = jobs.generation AND results.error_kind = $3))";

// A deadline that has passed begins again, as long as it was.
const REOPEN_RUN: &str = "
    UPDATE runs SET state = CASE WHEN state = 'completed' THEN 'running' ELSE state END, finished_at = NULL,
        errored = errored - $2, short_nano = NULL,
        deadline_at = CASE WHEN deadline_at > $3 THEN deadline_at ELSE $3 + deadline_at - created_at END
    WHERE id = $1";

impl Store {
    /// Starts a new generation of every job of `run` that errored, or of those that errored in one way, and opens the run
    /// again; returns how many those are. `None`: the run was cancelled, or its results were removed. With none, nothing is
    /// changed.
    pub async fn redrive(
        &self,
        run: RunId,
        kind: Option<ErrorKind>,
        entry: AuditEntry,
    ) -> Result<Option<u64>, StoreError> {
        let (id, now) = (run.to_string(), entry.at);
        writing!(self, |conn| {
            sqlx::query(LOCK_RUN.text(conn.dialect())).bind(&id).execute(&mut *conn).await?;
            let found: Option<String> =
                sqlx::query_scalar(MAY_GO_ON).bind(&id).fetch_optional(&mut *conn).await?;
            if found.is_none() {
                return Ok(None);
            }
            let query = sqlx::query(START_GENERATION).bind(&id).bind(given_back_at(now));
            let query = query.bind(kind.map(ErrorKind::word));
            let jobs = query.execute(&mut *conn).await?.rows_affected();
            if jobs > 0 {
                let query = sqlx::query(REOPEN_RUN).bind(&id).bind(integer(jobs)).bind(now.0);
                query.execute(&mut *conn).await?;
                append_audit!(conn, &entry);
            }
            Ok(Some(jobs))
        })
    }
}
