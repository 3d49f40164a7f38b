//! Results: everything known of terminal jobs, in pages by ordinal that are bounded in rows and in bytes, and single outputs.

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

pub(crate) const SQL: &[&str] = &[SIZES, RESULTS, EARLIER_SIZES, EARLIER_RESULTS];
pub(crate) static BULKS: &[&Bulk] = &[&OUTPUTS];

/// The most bytes of answers, errors and scores in a page, so that memory does not grow with the length of answers. A result
/// that has more alone is a page of its own.
const PAGE_BYTES: i64 = 1 << 20;

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

// What the database knows without reading the texts.
const SIZES: &str = "
    SELECT jobs.ordinal, jobs.generation, CAST(COALESCE(OCTET_LENGTH(results.output), 0)
        + COALESCE(OCTET_LENGTH(results.output_bytes), 0) + COALESCE(OCTET_LENGTH(results.error), 0)
        + COALESCE(OCTET_LENGTH(results.scores), 0) AS BIGINT) AS bytes
    FROM jobs
    LEFT JOIN results ON results.run_id = jobs.run_id AND results.ordinal = jobs.ordinal
        AND results.generation = jobs.generation
    WHERE jobs.run_id = $1 AND jobs.ordinal > $2 AND jobs.state = 'terminal'
    ORDER BY jobs.ordinal LIMIT $3";

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
    WHERE jobs.run_id = $1 AND jobs.ordinal > $2 AND jobs.ordinal <= $3 AND jobs.state = 'terminal'
    ORDER BY jobs.ordinal";

/// A row of [`SIZES`]: ordinal, generation, bytes.
type Size = (i64, i64, i64);

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
    /// A page of terminal jobs by ordinal, with everything: as many as were asked for, or fewer where their answers are
    /// long. Empty only when there are no more.
    pub async fn results(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ResultRow>, StoreError> {
        let (id, from) = (run.to_string(), before(after));
        let rows: Vec<FullRow> = reading!(self, |conn| {
            let query = sqlx::query_as(SIZES).bind(&id).bind(from).bind(i64::from(limit));
            let sizes: Vec<Size> = query.fetch_all(&mut *conn).await?;
            let Some((last, _)) = page_end(&sizes) else { return Ok(Vec::new()) };
            let query = sqlx::query_as(RESULTS).bind(&id).bind(from).bind(last);
            Ok(query.fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(FullRow::into_result).collect()
    }
}

/// The ordinal and generation of the last row of a page that begins with these.
fn page_end(sizes: &[Size]) -> Option<(i64, i64)> {
    let mut left = PAGE_BYTES;
    let fits = |(.., bytes): &&Size| {
        left -= bytes;
        left >= 0
    };
    let rows = sizes.iter().take_while(fits).count();
    sizes.get(rows.max(1) - 1).map(|(ordinal, generation, _)| (*ordinal, *generation))
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

const EARLIER_SIZES: &str = "
    SELECT results.ordinal, results.generation, CAST(COALESCE(OCTET_LENGTH(results.output), 0)
        + COALESCE(OCTET_LENGTH(results.output_bytes), 0) + COALESCE(OCTET_LENGTH(results.error), 0)
        + COALESCE(OCTET_LENGTH(results.scores), 0) AS BIGINT) AS bytes
    FROM results
    JOIN jobs ON jobs.run_id = results.run_id AND jobs.ordinal = results.ordinal
    WHERE results.run_id = $1 AND results.generation < jobs.generation
        AND (results.ordinal > $2 OR (results.ordinal = $2 AND results.generation > $3))
    ORDER BY results.ordinal, results.generation LIMIT $4";

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
        AND (results.ordinal < $4 OR (results.ordinal = $4 AND results.generation <= $5))
    ORDER BY results.ordinal, results.generation";

impl Store {
    /// A page of the results that later generations have replaced, by ordinal and generation, after this one; it ends as
    /// those of [`Store::results`] do. How many claims of them ended in a death is no longer known: `crash_claims` is 0.
    pub async fn earlier_results(
        &self,
        run: RunId,
        after: Option<(u64, u32)>,
        limit: u32,
    ) -> Result<Vec<ResultRow>, StoreError> {
        let (ordinal, generation) =
            after.map_or((-1, 0), |(ordinal, generation)| (integer(ordinal), generation));
        let (id, generation) = (run.to_string(), i64::from(generation));
        let rows: Vec<FullRow> = reading!(self, |conn| {
            let query = sqlx::query_as(EARLIER_SIZES).bind(&id).bind(ordinal).bind(generation);
            let sizes: Vec<Size> = query.bind(i64::from(limit)).fetch_all(&mut *conn).await?;
            let Some(last) = page_end(&sizes) else { return Ok(Vec::new()) };
            let query = sqlx::query_as(EARLIER_RESULTS).bind(&id).bind(ordinal).bind(generation);
            Ok(query.bind(last.0).bind(last.1).fetch_all(&mut *conn).await?)
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
