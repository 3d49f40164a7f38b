//! History: runs that are over, by the suite or the version of a prompt that is looked back on.

use assay_common::id::Digest;

use crate::error::StoreError;
use crate::open::Store;
use crate::pools::reading;
use crate::run::{Run, RunRow, run_columns};

pub(crate) const SQL: &[&str] = &[RUNS_WITH_PROMPT, RUNS_OVER];

// A revision holds its prompts with their digests. There are as many revisions as somebody changed a suite, so reading them
// all is no burden.
const RUNS_WITH_PROMPT: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs
    WHERE state = 'completed' AND pruned_at IS NULL AND EXISTS (
        SELECT 1 FROM suite_revisions WHERE suite_revisions.revision = runs.revision AND suite_revisions.content LIKE $1
    )
    ORDER BY id DESC LIMIT $2"
);

impl Store {
    /// The latest completed runs whose suite has a prompt version of this digest, newest first.
    pub async fn runs_with_prompt(&self, digest: Digest, limit: u32) -> Result<Vec<Run>, StoreError> {
        let pattern = format!("%\"digest\":\"{digest}\"%");
        let rows: Vec<RunRow> = reading!(self, |conn| {
            let query = sqlx::query_as(RUNS_WITH_PROMPT).bind(&pattern).bind(i64::from(limit));
            Ok(query.fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(RunRow::into_run).collect()
    }
}

const RUNS_OVER: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs
    WHERE state IN ('completed', 'cancelled') AND pruned_at IS NULL AND (CAST($1 AS TEXT) IS NULL OR suite_name = $1)
    ORDER BY id DESC LIMIT $2"
);

impl Store {
    /// The latest runs that are over, of the suite of this name or of that of the latest of all; newest first.
    pub async fn runs_over(&self, suite: Option<String>, limit: u32) -> Result<Vec<Run>, StoreError> {
        let rows: Vec<RunRow> = reading!(self, |conn| {
            let mut suite = suite.clone();
            if suite.is_none() {
                let query = sqlx::query_as(RUNS_OVER).bind(&suite).bind(1_i64);
                suite = query.fetch_optional(&mut *conn).await?.map(|row: RunRow| row.suite_name);
            }
            // Without a name here there is no run at all.
            let query = sqlx::query_as(RUNS_OVER).bind(&suite).bind(i64::from(limit));
            Ok(query.fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(RunRow::into_run).collect()
    }
}
