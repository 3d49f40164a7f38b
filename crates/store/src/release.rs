//! Release: jobs that were claimed and not begun go back.

use std::collections::BTreeSet;

use assay_common::clock::Micros;
use assay_common::committed::Committed;
use assay_common::id::MemberId;
use assay_common::job::JobKey;

use crate::bulk::{Bulk, executed};
use crate::cancel::cancel_returned;
use crate::error::StoreError;
use crate::member::given_back_at;
use crate::open::Store;
use crate::pools::writing;
use crate::row::integer;

pub(crate) static BULKS: &[&Bulk] = &[&RELEASE];

static RELEASE: Bulk = Bulk::new(
    "WITH holder (not_before, member) AS (VALUES ($, $)), given (run_id, ordinal, generation) AS (VALUES",
    "($, $, $)",
    ") UPDATE jobs SET state = 'pending', member = NULL, not_before = holder.not_before
    FROM given CROSS JOIN holder
    WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal AND jobs.generation = given.generation
        AND jobs.state = 'running' AND jobs.member = holder.member",
);

impl Store {
    /// Gives back jobs that `member` holds and has not begun: each is pending again and due at once. Those it does not
    /// hold are left alone.
    pub async fn release(
        &self,
        member: MemberId,
        jobs: Vec<JobKey>,
        now: Micros,
    ) -> Result<Committed, StoreError> {
        let jobs: BTreeSet<_> = jobs.into_iter().collect();
        let runs: BTreeSet<_> = jobs.iter().map(|job| job.run.to_string()).collect();
        let jobs: Vec<_> = jobs
            .into_iter()
            .map(|job| (job.run.to_string(), integer(job.ordinal), i64::from(job.generation)))
            .collect();
        let member = member.to_string();
        writing!(self, |conn| {
            executed!(conn, RELEASE(given_back_at(now), &member), &jobs, |(run, ordinal, generation)| (
                run, ordinal, generation
            ));
            for run in &runs {
                cancel_returned!(conn, run);
            }
            Ok(())
        })?;
        Ok(Committed::after_commit())
    }
}
