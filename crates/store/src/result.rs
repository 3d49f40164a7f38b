//! Results: everything known of terminal jobs, in pages by ordinal, and single outputs.

use assay_common::clock::Micros;
use assay_common::id::RunId;
use assay_common::job::Output;
use assay_common::outcome::ErrorKind;

use crate::bulk::{Bulk, fetched};
use crate::error::StoreError;
use crate::open::Store;
use crate::outcome::{OutcomeRow, SlimRow};
use crate::pools::reading;
use crate::row::{before, integer, output, whole};

pub(crate) const SQL: &[&str] = &[RESULTS, EARLIER_RESULTS];
pub(crate) static BULKS: &[&Bulk] = &[&OUTPUTS];

/// Everything known of a terminal job.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultRow {
    /// How it ended.
    pub row: OutcomeRow,
    /// Why it ended in an error, by kind.
    pub error_kind: Option<ErrorKind>,
    /// Why it ended in an error, for a person.
    pub error: Option<String>,
    /// The full answer, or what came instead of one.
    pub output: Option<Output>,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<String>,
    /// Calls of this generation that the provider took: those that met a limit or a trouble of the account, or were never
    /// sent, are none.
    pub attempts: u64,
    /// Claims of this generation.
    pub claims: u32,
    /// Claims that ended with the death of their member.
    pub crash_claims: u32,
    /// Calls of this generation on the ledger.
    pub calls: u64,
    /// When it was settled; `None` for a cancelled job.
    pub finished_at: Option<Micros>,
}

const RESULTS: &str = "
    SELECT jobs.ordinal, jobs.generation, jobs.variant, jobs.trial, jobs.position, jobs.outcome, cases.case_id,
        cases.cluster, cases.tags, results.error_kind, results.score, results.scores, results.input_tokens,
        results.output_tokens, results.cost_nano, results.latency_us, jobs.attempt, jobs.crash_claims, results.error,
        results.finish_reason, results.finished_at, results.output, results.output_bytes,
        (SELECT COUNT(*) FROM calls WHERE calls.run_id = jobs.run_id AND calls.ordinal = jobs.ordinal
            AND calls.generation = jobs.generation) AS calls,
        (SELECT COUNT(*) FROM calls WHERE calls.run_id = jobs.run_id AND calls.ordinal = jobs.ordinal
            AND calls.generation = jobs.generation
            AND calls.class NOT IN ('rate_limited', 'account', 'unsent')) AS attempts
    FROM jobs
    JOIN cases ON cases.position = jobs.position AND cases.dataset = (
        SELECT suite_revisions.dataset FROM runs
        JOIN suite_revisions ON suite_revisions.revision = runs.revision WHERE runs.id = $1)
    LEFT JOIN results ON results.run_id = jobs.run_id AND results.ordinal = jobs.ordinal
        AND results.generation = jobs.generation
    WHERE jobs.run_id = $1 AND jobs.ordinal > $2 AND jobs.state = 'terminal'
    ORDER BY jobs.ordinal LIMIT $3";

/// A row of [`RESULTS`].
#[derive(sqlx::FromRow)]
struct FullRow {
    #[sqlx(flatten)]
    slim: SlimRow,
    attempt: i64,
    crash_claims: i64,
    error: Option<String>,
    finish_reason: Option<String>,
    finished_at: Option<i64>,
    output: Option<String>,
    output_bytes: Option<Vec<u8>>,
    calls: i64,
    attempts: i64,
}

impl Store {
    /// A page of terminal jobs by ordinal, with everything.
    pub async fn results(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ResultRow>, StoreError> {
        let rows: Vec<FullRow> = reading!(self, |conn| {
            let query = sqlx::query_as(RESULTS).bind(run.to_string()).bind(before(after));
            Ok(query.bind(i64::from(limit)).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(FullRow::into_result).collect()
    }
}

impl FullRow {
    fn into_result(self) -> Result<ResultRow, StoreError> {
        let row = self.slim.into_outcome()?;
        Ok(ResultRow {
            error_kind: row.outcome.error_kind(),
            row,
            error: self.error,
            output: output(self.output, self.output_bytes),
            finish_reason: self.finish_reason,
            attempts: whole(self.attempts, "attempts")?,
            claims: whole(self.attempt, "jobs.attempt")?,
            crash_claims: whole(self.crash_claims, "jobs.crash_claims")?,
            calls: whole(self.calls, "calls")?,
            finished_at: self.finished_at.map(Micros),
        })
    }
}

const EARLIER_RESULTS: &str = "
    SELECT jobs.ordinal, results.generation, jobs.variant, jobs.trial, jobs.position, results.outcome, cases.case_id,
        cases.cluster, cases.tags, results.error_kind, results.score, results.scores, results.input_tokens,
        results.output_tokens, results.cost_nano, results.latency_us, results.attempt, results.error,
        CAST(0 AS BIGINT) AS crash_claims, results.finish_reason, results.finished_at, results.output,
        results.output_bytes,
        (SELECT COUNT(*) FROM calls WHERE calls.run_id = results.run_id AND calls.ordinal = results.ordinal
            AND calls.generation = results.generation) AS calls,
        (SELECT COUNT(*) FROM calls WHERE calls.run_id = results.run_id AND calls.ordinal = results.ordinal
            AND calls.generation = results.generation
            AND calls.class NOT IN ('rate_limited', 'account', 'unsent')) AS attempts
    FROM results
    JOIN jobs ON jobs.run_id = results.run_id AND jobs.ordinal = results.ordinal
    JOIN cases ON cases.position = jobs.position AND cases.dataset = (
        SELECT suite_revisions.dataset FROM runs
        JOIN suite_revisions ON suite_revisions.revision = runs.revision WHERE runs.id = $1)
    WHERE results.run_id = $1 AND results.generation < jobs.generation
        AND (results.ordinal > $2 OR (results.ordinal = $2 AND results.generation > $3))
    ORDER BY results.ordinal, results.generation LIMIT $4";

impl Store {
    /// A page of the results that later generations have replaced, by ordinal and generation, after this one. How many
    /// claims of them ended in a death is no longer known: `crash_claims` is 0.
    pub async fn earlier_results(
        &self,
        run: RunId,
        after: Option<(u64, u32)>,
        limit: u32,
    ) -> Result<Vec<ResultRow>, StoreError> {
        let (ordinal, generation) =
            after.map_or((-1, 0), |(ordinal, generation)| (integer(ordinal), generation));
        let rows: Vec<FullRow> = reading!(self, |conn| {
            let query = sqlx::query_as(EARLIER_RESULTS).bind(run.to_string()).bind(ordinal);
            let query = query.bind(i64::from(generation)).bind(i64::from(limit));
            Ok(query.fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(FullRow::into_result).collect()
    }
}

static OUTPUTS: Bulk = Bulk::new(
    "WITH given (run_id, ordinal) AS (VALUES",
    "($, $)",
    ") SELECT jobs.ordinal, results.output, results.output_bytes
    FROM given CROSS JOIN jobs CROSS JOIN results
    WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal AND results.run_id = jobs.run_id
        AND results.ordinal = jobs.ordinal AND results.generation = jobs.generation
    ORDER BY jobs.ordinal",
);

impl Store {
    /// The outputs of some jobs. One without a result is left out; `None`: its result has no output.
    pub async fn outputs(
        &self,
        run: RunId,
        ordinals: Vec<u64>,
    ) -> Result<Vec<(u64, Option<Output>)>, StoreError> {
        type Row = (i64, Option<String>, Option<Vec<u8>>);
        let run = run.to_string();
        let rows = reading!(self, |conn| {
            Ok(fetched!(conn, OUTPUTS() as Row, &ordinals, |ordinal| (&run, integer(*ordinal))))
        })?;
        rows.into_iter()
            .map(|(ordinal, text, bytes)| Ok((whole(ordinal, "jobs.ordinal")?, output(text, bytes))))
            .collect()
    }
}
