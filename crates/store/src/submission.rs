//! Submissions: a run asked for under a key. Asked for again, under the same key, it is the same run.

use assay_common::id::RunId;

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::writing;
use crate::row::parsed;
use crate::run::{NewRun, insert_run};

pub(crate) const SQL: &[&str] = &[TAKE_KEY, SUBMISSION];

/// A run asked for under a key.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Chosen by the submitter, at most 200 bytes.
    pub key: String,
    /// The run to create if the key is new.
    pub run: NewRun,
    /// What the audit says of a new run.
    pub entry: AuditEntry,
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// The run was created.
    Created,
    /// The key was used before, for the same suite revision: this is its run.
    Known(RunId),
    /// The key was used before, for another suite revision: this is its run.
    Conflict(RunId),
}

// Whoever comes second waits here until the first has committed, and finds its row below.
const TAKE_KEY: &str = "
    INSERT INTO submissions (idempotency_key, revision, run_id, submitted_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING";

const SUBMISSION: &str = "SELECT revision, run_id FROM submissions WHERE idempotency_key = $1";

impl Store {
    /// Creates the run of a frozen suite, unless the key was used before. Key, run and audit are one transaction, so
    /// that of submissions that race one makes the run and the others find it.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, StoreError> {
        writing!(self, |conn| {
            let Submission { key, run, entry } = &submission;
            let query = sqlx::query(TAKE_KEY).bind(key).bind(run.revision.as_str());
            let query = query.bind(run.id.to_string()).bind(run.created_at.0);
            if query.execute(&mut *conn).await?.rows_affected() > 0 {
                insert_run!(conn, run);
                append_audit!(conn, entry);
                return Ok(Submitted::Created);
            }
            let (revision, known): (String, String) =
                sqlx::query_as(SUBMISSION).bind(key).fetch_one(&mut *conn).await?;
            let known = parsed(&known, "submissions.run_id")?;
            let same = revision == run.revision.as_str();
            Ok(if same { Submitted::Known(known) } else { Submitted::Conflict(known) })
        })
    }
}
