//! Runs: executions of suite revisions, and where each stands.

use std::str::FromStr;

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use assay_common::money::NanoUsd;
use assay_common::suite::Priority;
use assay_common::trace::TraceParent;

use crate::error::StoreError;
use crate::open::Store;
use crate::pool::RunPool;
use crate::pools::{Locking, locking, reading, writing};
use crate::row::{parsed, whole};

pub(crate) const SQL: &[&str] = &[
    CREATE_RUN,
    HOLD_DATASET.sqlite,
    HOLD_DATASET.postgres,
    UNFINISHED_RUN,
    LATEST_RUN,
    RUN,
    RUNS,
    OPEN_RUNS,
];

/// A run to create.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id, drawn by the caller.
    pub id: RunId,
    /// The frozen suite it executes.
    pub revision: Digest,
    /// The suite's name.
    pub suite_name: String,
    /// What the order of its units is drawn from.
    pub seed: [u8; 32],
    /// The jobs it begins with.
    pub planned: u64,
    /// The queues its jobs will wait in.
    pub pools: Vec<RunPool>,
    /// Its weight against other runs.
    pub priority: Priority,
    /// The most it may cost.
    pub budget: Option<NanoUsd>,
    /// When it was submitted.
    pub created_at: Micros,
    /// When it is given up.
    pub deadline_at: Micros,
    /// The span that submits it.
    pub trace: Option<TraceParent>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Its jobs are claimed.
    Running,
    /// No claims until it is resumed.
    Paused,
    /// No claims any more; what is running is still recorded.
    Cancelling,
    /// Every job is terminal: asked, or not needed any more.
    Completed,
    /// Stopped, and nothing of it is running.
    Cancelled,
}

/// One execution of one suite revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The suite's name.
    pub suite_name: String,
    /// The frozen suite it executes.
    pub revision: Digest,
    /// Where it stands.
    pub state: RunState,
    /// Why it was told to end, or paused by whoever drives it.
    pub reason: Option<String>,
    /// What the order of its units is drawn from.
    pub seed: [u8; 32],
    /// Jobs planned so far: its gate may add more.
    pub planned: u64,
    /// Jobs expanded: ordinals below it are rows.
    pub cursor: u64,
    /// Whether expansion has ended.
    pub expanded: bool,
    /// Jobs that passed.
    pub passed: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that errored.
    pub errored: u64,
    /// Expanded jobs that were never asked.
    pub cancelled: u64,
    /// What is known to have been spent.
    pub cost: NanoUsd,
    /// The most it may cost.
    pub budget: Option<NanoUsd>,
    /// What is set aside for calls whose cost is not known yet.
    pub reserved: NanoUsd,
    /// What a call needed and the budget had not left, since nothing was freed that is enough for it.
    pub short: Option<NanoUsd>,
    /// Its weight against other runs.
    pub priority: Priority,
    /// When it was submitted.
    pub created_at: Micros,
    /// When its first job was claimed.
    pub started_at: Option<Micros>,
    /// When it was completed or cancelled.
    pub finished_at: Option<Micros>,
    /// When it is given up.
    pub deadline_at: Micros,
    /// When its jobs, results and calls were removed.
    pub pruned_at: Option<Micros>,
    /// The span that submitted it.
    pub trace: Option<TraceParent>,
    /// Whether its gate ended it before every job was asked.
    pub stopped_early: bool,
}

impl RunState {
    /// The word in rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it has come to its end.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }
}

impl FromStr for RunState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Running, Self::Paused, Self::Cancelling, Self::Completed, Self::Cancelled]
            .into_iter()
            .find(|state| state.word() == word)
            .ok_or_else(|| format!("`{word}` is no state of a run"))
    }
}

pub(crate) const CREATE_RUN: &str = "
    INSERT INTO runs (id, revision, suite_name, state, seed, priority, budget_nano, planned, cursor, expanded,
        passed, failed, errored, cancelled, cost_nano, created_at, deadline_at, traceparent)
    VALUES ($1, $2, $3, 'running', $4, $5, $6, $7, 0, FALSE, 0, 0, 0, 0, 0, $8, $9, $10)";

// Against `prune`: a dataset that is being removed is waited for, one that is held stays.
pub(crate) const HOLD_DATASET: Locking = locking!(
    "SELECT datasets.digest FROM suite_revisions JOIN datasets ON datasets.digest = suite_revisions.dataset
    WHERE suite_revisions.revision = $1",
    "FOR KEY SHARE OF datasets"
);

impl Run {
    /// Jobs with an outcome.
    pub fn done(&self) -> u64 {
        self.passed + self.failed + self.errored + self.cancelled
    }
}

/// The columns of a [`RunRow`], for `concat!`.
macro_rules! run_columns {
    () => {
        "id, suite_name, revision, state, reason, seed, planned, cursor, expanded, passed, failed, errored, \
         cancelled, cost_nano, created_at, started_at, finished_at, deadline_at, traceparent, priority, \
         budget_nano, reserved_nano, short_nano, pruned_at, COALESCE(stopped_early, FALSE) AS stopped_early"
    };
}

pub(crate) use run_columns;

/// Inserts a [`NewRun`].
macro_rules! insert_run {
    ($conn:ident, $run:expr) => {{
        let run: &$crate::run::NewRun = $run;
        sqlx::query($crate::run::CREATE_RUN)
            .bind(run.id.to_string())
            .bind(run.revision.as_str())
            .bind(&run.suite_name)
            .bind(run.seed.as_slice())
            .bind(run.priority.word())
            .bind(run.budget.map(|budget| budget.0))
            .bind($crate::row::integer(run.planned))
            .bind(run.created_at.0)
            .bind(run.deadline_at.0)
            .bind(run.trace.map(|trace| trace.to_string()))
            .execute(&mut *$conn)
            .await?;
        let text = $crate::run::HOLD_DATASET.text($crate::pools::Speaks::dialect(&*$conn));
        let dataset: Option<String> =
            sqlx::query_scalar(text).bind(run.revision.as_str()).fetch_optional(&mut *$conn).await?;
        if dataset.is_none() {
            return Err($crate::error::StoreError::NoDataset { revision: run.revision.clone() });
        }
        for $crate::pool::RunPool { pool, provider, model } in &run.pools {
            let query = sqlx::query($crate::pool::PUT_POOL).bind(run.id.to_string()).bind(pool);
            query.bind(provider).bind(model).execute(&mut *$conn).await?;
        }
    }};
}

pub(crate) use insert_run;

impl Store {
    /// Creates a run of a frozen suite, with nothing expanded.
    pub async fn create_run(&self, run: NewRun) -> Result<(), StoreError> {
        writing!(self, |conn| {
            insert_run!(conn, &run);
            Ok(())
        })
    }
}

const UNFINISHED_RUN: &str = "
    SELECT id FROM runs WHERE revision = $1 AND state IN ('running', 'paused', 'cancelling')
    ORDER BY created_at DESC, id DESC LIMIT 1";

impl Store {
    /// The newest run of a revision that has not come to its end.
    pub async fn unfinished_run(&self, revision: Digest) -> Result<Option<RunId>, StoreError> {
        let id: Option<String> = reading!(self, |conn| {
            Ok(sqlx::query_scalar(UNFINISHED_RUN).bind(revision.as_str()).fetch_optional(&mut *conn).await?)
        })?;
        id.map(|id| parsed(&id, "runs.id")).transpose()
    }
}

const LATEST_RUN: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs WHERE revision = $1 ORDER BY created_at DESC, id DESC LIMIT 1"
);

impl Store {
    /// The newest run of a revision.
    pub async fn latest_run(&self, revision: Digest) -> Result<Option<Run>, StoreError> {
        let row: Option<RunRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(LATEST_RUN).bind(revision.as_str()).fetch_optional(&mut *conn).await?)
        })?;
        row.map(RunRow::into_run).transpose()
    }
}

/// A row of `runs`.
#[derive(sqlx::FromRow)]
pub(crate) struct RunRow {
    id: String,
    pub(crate) suite_name: String,
    revision: String,
    state: String,
    reason: Option<String>,
    seed: Vec<u8>,
    planned: i64,
    cursor: i64,
    expanded: bool,
    passed: i64,
    failed: i64,
    errored: i64,
    cancelled: i64,
    cost_nano: i64,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    deadline_at: i64,
    traceparent: Option<String>,
    priority: String,
    budget_nano: Option<i64>,
    reserved_nano: i64,
    short_nano: Option<i64>,
    pruned_at: Option<i64>,
    stopped_early: bool,
}

impl RunRow {
    pub(crate) fn into_run(self) -> Result<Run, StoreError> {
        let seed = <[u8; 32]>::try_from(self.seed)
            .map_err(|seed| StoreError::Unreadable(format!("runs.seed has {} bytes", seed.len())))?;
        Ok(Run {
            id: parsed(&self.id, "runs.id")?,
            suite_name: self.suite_name,
            revision: parsed(&self.revision, "runs.revision")?,
            state: parsed(&self.state, "runs.state")?,
            reason: self.reason,
            seed,
            planned: whole(self.planned, "runs.planned")?,
            cursor: whole(self.cursor, "runs.cursor")?,
            expanded: self.expanded,
            passed: whole(self.passed, "runs.passed")?,
            failed: whole(self.failed, "runs.failed")?,
            errored: whole(self.errored, "runs.errored")?,
            cancelled: whole(self.cancelled, "runs.cancelled")?,
            cost: NanoUsd(self.cost_nano),
            budget: self.budget_nano.map(NanoUsd),
            reserved: NanoUsd(self.reserved_nano),
            short: self.short_nano.map(NanoUsd),
            priority: parsed(&self.priority, "runs.priority")?,
            pruned_at: self.pruned_at.map(Micros),
            created_at: Micros(self.created_at),
            started_at: self.started_at.map(Micros),
            finished_at: self.finished_at.map(Micros),
            deadline_at: Micros(self.deadline_at),
            trace: self.traceparent.map(|text| parsed(&text, "runs.traceparent")).transpose()?,
            stopped_early: self.stopped_early,
        })
    }
}

pub(crate) const RUN: &str = concat!("SELECT ", run_columns!(), " FROM runs WHERE id = $1");

impl Store {
    /// A run.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let row: Option<RunRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(RUN).bind(id.to_string()).fetch_optional(&mut *conn).await?)
        })?;
        row.map(RunRow::into_run).transpose()
    }
}

const RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs WHERE CAST($1 AS TEXT) IS NULL OR id < $1 ORDER BY id DESC LIMIT $2"
);

impl Store {
    /// A page of runs, newest first: those created before the run `before`, else the newest of all.
    pub async fn runs(&self, before: Option<RunId>, limit: u32) -> Result<Vec<Run>, StoreError> {
        let before = before.map(|run| run.to_string());
        let rows: Vec<RunRow> = reading!(self, |conn| {
            let query = sqlx::query_as(RUNS).bind(&before).bind(i64::from(limit));
            Ok(query.fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(RunRow::into_run).collect()
    }
}

const OPEN_RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs WHERE state IN ('running', 'paused', 'cancelling') ORDER BY id"
);

impl Store {
    /// Every run that has not come to its end, oldest first.
    pub async fn open_runs(&self) -> Result<Vec<Run>, StoreError> {
        let rows: Vec<RunRow> =
            reading!(self, |conn| { Ok(sqlx::query_as(OPEN_RUNS).fetch_all(&mut *conn).await?) })?;
        rows.into_iter().map(RunRow::into_run).collect()
    }
}
