//! Standing: whether anything of a run can move at once, and when the next part of it can.

use std::collections::BTreeMap;

use assay_common::clock::Micros;
use assay_common::id::{MemberId, RunId};

use crate::error::StoreError;
use crate::finish::HAS_RUNNING;
use crate::open::Store;
use crate::pools::{Durability, reading, writing};
use crate::row::{parsed, whole};

pub(crate) const SQL: &[&str] = &[HAS_FRESH, HOLDERS, STATES, TOUCH];

/// What a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether a member holds one of its jobs.
    pub running: bool,
    /// Whether a job waits that was never given back.
    pub fresh: bool,
    /// When the first of the jobs that were given back is due.
    pub next_due: Option<Micros>,
}

const HAS_FRESH: &str =
    "SELECT ordinal FROM jobs WHERE run_id = $1 AND state = 'pending' AND not_before = 0 LIMIT 1";

impl Store {
    /// What `run` waits for.
    pub async fn standing(&self, run: RunId) -> Result<Standing, StoreError> {
        let id = run.to_string();
        let (running, fresh): (Option<i64>, Option<i64>) = reading!(self, |conn| {
            Ok((
                sqlx::query_scalar(HAS_RUNNING).bind(&id).fetch_optional(&mut *conn).await?,
                sqlx::query_scalar(HAS_FRESH).bind(&id).fetch_optional(&mut *conn).await?,
            ))
        })?;
        let next_due = self.next_due(run).await?;
        Ok(Standing { running: running.is_some(), fresh: fresh.is_some(), next_due })
    }
}

const HOLDERS: &str = "SELECT member, COUNT(*) FROM jobs WHERE run_id = $1 AND state = 'running' GROUP BY member ORDER BY member";

impl Store {
    /// Which members hold jobs of `run`, and how many each.
    pub async fn holders(&self, run: RunId) -> Result<Vec<(MemberId, u64)>, StoreError> {
        let rows: Vec<(String, i64)> = reading!(self, |conn| {
            Ok(sqlx::query_as(HOLDERS).bind(run.to_string()).fetch_all(&mut *conn).await?)
        })?;
        let holder = |(member, jobs): (String, i64)| {
            Ok((parsed(&member, "jobs.member")?, whole(jobs, "jobs of a member")?))
        };
        rows.into_iter().map(holder).collect()
    }
}

const STATES: &str = "SELECT state, COUNT(*) FROM jobs WHERE run_id = $1 GROUP BY state";

impl Store {
    /// How many jobs of `run` stand in each state: `pending`, `running`, `terminal`. Reads a row for each.
    pub async fn job_states(&self, run: RunId) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows: Vec<(String, i64)> = reading!(self, |conn| {
            Ok(sqlx::query_as(STATES).bind(run.to_string()).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(|(state, jobs)| Ok((state, whole(jobs, "jobs of a state")?))).collect()
    }
}

// There and back: a row that is written as it stands is not written at all by SQLite.
const TOUCH: &str = "UPDATE runs SET cursor = cursor + $2 WHERE id = $1";

impl Store {
    /// Writes a run as it stands: whether anything can be written at all is found out in no other way.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`] when there is no room.
    pub async fn touch(&self, run: RunId) -> Result<(), StoreError> {
        let id = run.to_string();
        writing!(self, Durability::Process, |conn| {
            for by in [1_i64, -1] {
                sqlx::query(TOUCH).bind(&id).bind(by).execute(&mut *conn).await?;
            }
            Ok(())
        })
    }
}
