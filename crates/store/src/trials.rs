//! Trials: how often each case passed in a run, which is what the ledger of flakes adds up.

use assay_common::id::{Digest, RunId};

use crate::bulk::{Bulk, fetched};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::reading;
use crate::row::{integer, whole};

pub(crate) const SQL: &[&str] = &[TRIALS];
pub(crate) static BULKS: &[&Bulk] = &[&CASE_IDS];

/// The judged trials of a case under a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaseTrials {
    /// Index of the variant.
    pub variant: u32,
    /// The case's place in the dataset.
    pub position: u64,
    /// Trials that passed or failed.
    pub trials: u64,
    /// Trials that passed.
    pub passed: u64,
}

const TRIALS: &str = "
    SELECT variant, position, COUNT(*),
        CAST(SUM(CASE WHEN outcome = 'passed' THEN 1 ELSE 0 END) AS BIGINT)
    FROM jobs WHERE run_id = $1 AND outcome IN ('passed', 'failed') GROUP BY variant, position";

impl Store {
    /// The judged trials of every case and variant of a run, in no order.
    pub async fn trials(&self, run: RunId) -> Result<Vec<CaseTrials>, StoreError> {
        let rows: Vec<(i64, i64, i64, i64)> = reading!(self, |conn| {
            Ok(sqlx::query_as(TRIALS).bind(run.to_string()).fetch_all(&mut *conn).await?)
        })?;
        let row = |(variant, position, trials, passed)| {
            Ok(CaseTrials {
                variant: whole(variant, "jobs.variant")?,
                position: whole(position, "jobs.position")?,
                trials: whole(trials, "trials")?,
                passed: whole(passed, "passed")?,
            })
        };
        rows.into_iter().map(row).collect()
    }
}

static CASE_IDS: Bulk = Bulk::new(
    "WITH given (dataset, position) AS (VALUES",
    "($, $)",
    ") SELECT cases.position, cases.case_id FROM given CROSS JOIN cases
    WHERE cases.dataset = given.dataset AND cases.position = given.position",
);

impl Store {
    /// The ids of the cases at some positions of a dataset, in no order; positions without a case are left out.
    pub async fn case_ids(
        &self,
        dataset: Digest,
        positions: Vec<u64>,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let rows = reading!(self, |conn| {
            Ok(fetched!(conn, CASE_IDS() as (i64, String), &positions, |position| (
                dataset.as_str(),
                integer(*position)
            )))
        })?;
        rows.into_iter().map(|(position, id)| Ok((whole(position, "cases.position")?, id))).collect()
    }
}
