//! Suspects: jobs that were running when their member died, time after time. After [`SUSPECTED_AFTER`] such claims a job runs
//! alone, so that its neighbours clear their names; the burial of the second that dies with it alone ends it as poison.
//!
//! **Invariant:** of a suspected job only a claim that it had for itself can end in a death: [`CONVICTED_AFTER`] deaths are poison.

use assay_common::id::RunId;
use assay_common::job::CONVICTED_AFTER;
#[cfg(doc)]
use assay_common::job::SUSPECTED_AFTER;

use crate::error::StoreError;
use crate::open::Store;
use crate::pools::reading;
use crate::row::whole;

pub(crate) const SQL: &[&str] = &[SUSPECTS, CONVICT, END_CONVICTED, COUNT_CONVICTED];

/// A job that is suspected of ending the processes that run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Its place in the run.
    pub ordinal: u64,
    /// The case it asks.
    pub case_id: String,
    /// Claims of it that ended with the death of their member.
    pub deaths: u32,
    /// Whether it is running, alone.
    pub running: bool,
}

const SUSPECTS: &str = "
    SELECT jobs.ordinal, cases.case_id, jobs.crash_claims, jobs.state = 'running'
    FROM jobs JOIN runs ON runs.id = jobs.run_id
    JOIN suite_revisions ON suite_revisions.revision = runs.revision
    JOIN cases ON cases.dataset = suite_revisions.dataset AND cases.position = jobs.position
    WHERE jobs.run_id = $1 AND jobs.crash_claims > 1 AND jobs.state <> 'terminal'
    ORDER BY jobs.ordinal";

impl Store {
    /// The open jobs of a run that are suspected, by ordinal: a worker's hands full at most for each death.
    pub async fn suspects(&self, run: RunId) -> Result<Vec<Suspect>, StoreError> {
        let rows: Vec<(i64, String, i64, bool)> = reading!(self, |conn| {
            Ok(sqlx::query_as(SUSPECTS).bind(run.to_string()).fetch_all(&mut *conn).await?)
        })?;
        let suspect = |(ordinal, case_id, deaths, running)| {
            let (ordinal, deaths) = (whole(ordinal, "jobs.ordinal")?, whole(deaths, "jobs.crash_claims")?);
            Ok(Suspect { ordinal, case_id, deaths, running })
        };
        rows.into_iter().map(suspect).collect()
    }
}

pub(crate) const CONVICT: &str = "
    INSERT INTO results (run_id, ordinal, generation, attempt, variant, outcome, error_kind, error, finished_at, scores)
    SELECT run_id, ordinal, generation, attempt, variant, 'errored', 'poison', CAST($2 AS TEXT), CAST($3 AS BIGINT), '[]'
    FROM jobs WHERE run_id = $1 AND state = 'pending' AND not_before > 0 AND crash_claims >= $4
    ON CONFLICT DO NOTHING";

pub(crate) const END_CONVICTED: &str = "
    UPDATE jobs SET state = 'terminal', outcome = 'errored'
    WHERE run_id = $1 AND state = 'pending' AND not_before > 0 AND crash_claims >= $2";

pub(crate) const COUNT_CONVICTED: &str = "UPDATE runs SET errored = errored + $2 WHERE id = $1";

/// Why such a job errored, for a person.
pub(crate) const POISON: &str =
    "four claims of it ended with the death of their worker, the last two of them alone";

/// Whether a job that a burial has freed was alone with its member too often.
pub(crate) fn is_convicted(crash_claims: i64) -> bool {
    crash_claims >= i64::from(CONVICTED_AFTER)
}

/// Ends the jobs of a run that were just freed by the death of who ran them alone. Runs before the transaction changes the
/// run itself, as `cancel_returned!` does.
macro_rules! convict {
    ($conn:ident, $run:expr, $now:expr) => {{
        let run = $run;
        let query = sqlx::query($crate::suspect::CONVICT).bind(run).bind($crate::suspect::POISON);
        let after = i64::from(assay_common::job::CONVICTED_AFTER);
        query.bind($now.0).bind(after).execute(&mut *$conn).await?;
        let query = sqlx::query($crate::suspect::END_CONVICTED).bind(run).bind(after);
        let convicted = query.execute(&mut *$conn).await?.rows_affected();
        let query = sqlx::query($crate::suspect::COUNT_CONVICTED).bind(run);
        query.bind($crate::row::integer(convicted)).execute(&mut *$conn).await?;
    }};
}

pub(crate) use convict;
