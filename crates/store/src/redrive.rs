//! Redrive: the jobs of a run that errored are asked again, under a new generation; their earlier results stay. What was
//! answered and could not be scored is scored again, and not asked.

use assay_common::id::RunId;
use assay_common::job::Response;
use assay_common::money::NanoUsd;
use assay_common::outcome::ErrorKind;

use crate::audit::{AuditEntry, append_audit};
use crate::bulk::executed;
use crate::cancel::LOCK_RUN;
use crate::error::StoreError;
use crate::member::given_back_at;
use crate::open::Store;
use crate::pools::{Speaks as _, writing};
use crate::response::KEEP_RESPONSES;
use crate::row::{integer, to_json, usage};

pub(crate) const SQL: &[&str] = &[MAY_GO_ON, START_GENERATION, UNSCORED, REOPEN_RUN];

/// Answers that are kept again at a time; each may be some megabytes long.
const UNSCORED_AT_ONCE: i64 = 16;

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

// Those of the generation before the one that begins. An answer with NUL stands in output_bytes.
const UNSCORED: &str = "
    SELECT results.ordinal, jobs.generation, results.output, results.output_bytes, results.finish_reason,
        results.input_tokens, results.output_tokens, results.latency_us, results.cost_nano
    FROM results
    JOIN jobs ON jobs.run_id = results.run_id AND jobs.ordinal = results.ordinal
        AND jobs.generation = results.generation + 1
    WHERE results.run_id = $1 AND results.ordinal > $2 AND results.error_kind = 'scorer' AND jobs.state = 'pending'
        AND (results.output IS NOT NULL OR results.output_bytes IS NOT NULL)
    ORDER BY results.ordinal LIMIT $3";

// A deadline that has passed begins anew.
const REOPEN_RUN: &str = "
    UPDATE runs SET state = CASE WHEN state = 'completed' THEN 'running' ELSE state END, finished_at = NULL,
        errored = errored - $2, short_nano = NULL,
        deadline_at = CASE WHEN deadline_at > $3 THEN deadline_at ELSE $4 END
    WHERE id = $1";

impl Store {
    /// Starts a new generation of every job of `run` that errored, or of those that errored in one way, and opens the run
    /// again; returns how many those are. Whoever claims one whose scorer failed is granted it with its answer. `None`: the run was cancelled, or its results were removed. With none, nothing is
    /// changed.
    pub async fn redrive(
        &self,
        run: RunId,
        kind: Option<ErrorKind>,
        entry: AuditEntry,
    ) -> Result<Option<u64>, StoreError> {
        let (id, now) = (run.to_string(), entry.at);
        let Some(given) = self.given(run).await? else { return Ok(None) };
        let deadline = now.plus(given);
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
            if jobs == 0 {
                return Ok(Some(0));
            }
            let mut after = -1;
            loop {
                let query = sqlx::query_as(UNSCORED).bind(&id).bind(after).bind(UNSCORED_AT_ONCE);
                let answers: Vec<Unscored> = query.fetch_all(&mut *conn).await?;
                let Some(last) = answers.last() else { break };
                after = last.ordinal;
                let kept: Vec<_> =
                    answers.into_iter().filter_map(|row| row.kept().transpose()).collect::<Result<_, _>>()?;
                executed!(conn, KEEP_RESPONSES(), &kept, |(ordinal, generation, content)| (
                    &id, ordinal, generation, content
                ));
            }
            let query = sqlx::query(REOPEN_RUN).bind(&id).bind(integer(jobs)).bind(now.0).bind(deadline.0);
            query.execute(&mut *conn).await?;
            append_audit!(conn, &entry);
            Ok(Some(jobs))
        })
    }
}

/// A row of [`UNSCORED`].
#[derive(sqlx::FromRow)]
struct Unscored {
    ordinal: i64,
    generation: i64,
    output: Option<String>,
    output_bytes: Option<Vec<u8>>,
    finish_reason: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    latency_us: Option<i64>,
    cost_nano: Option<i64>,
}

impl Unscored {
    /// The job and its answer as it is kept; its calls are in the ledger. `None`: it is no text, and was never scored.
    fn kept(self) -> Result<Option<(i64, i64, String)>, StoreError> {
        let bytes = self.output_bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(text) = self.output.or(bytes) else { return Ok(None) };
        let response = Response {
            text,
            finish_reason: self.finish_reason,
            usage: usage(self.input_tokens, self.output_tokens)?,
            latency_us: self.latency_us,
            cost: self.cost_nano.map(NanoUsd),
            calls: Vec::new(),
        };
        Ok(Some((self.ordinal, self.generation, to_json(&response)?)))
    }
}
