//! One round over open runs: where each stands, its next jobs, dead members, and hints for everybody's workers.
//!
//! `assay run` makes rounds over its one run ([`super::drive`]), the leader of a fleet over all ([`crate::fleet`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use assay_common::id::RunId;
use assay_store::{Mandate, Member, Run, RunPool, StoreError};
use tokio::time::Instant;

use super::course::{Course, Standing};
use super::dispatch::{Dispatch, DispatchError, Unusable};
use super::sweep::{Beats, prefetch, served_by, sweep};
use crate::environment::Environment;

/// The pause between two rounds, at least.
const TICK: Duration = Duration::from_millis(100);
/// A round that takes long is followed by a pause so many times as long: most of the store's time is the workers'.
const REST: u32 = 3;
/// The pause while no run is open: a part of what the first call of the next one waits for.
const IDLE: Duration = Duration::from_millis(200);
/// The longest pause between two rounds.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// The pause while the store or the queue is away.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);
/// How often members are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How often, while some pool is served by nobody: somebody may just be coming.
const SWEEP_SOON: Duration = Duration::from_millis(250);

/// Why a run could not be driven on.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Dispatch failed.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The store does not know the run.
    #[error("the store has no run {0}")]
    NoRun(RunId),
    /// The store does not know the run's suite.
    #[error("the store lacks the suite of run {run}")]
    NoSuite {
        /// The run.
        run: RunId,
    },
}

impl DriveError {
    /// Whether the same may work later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) | Self::Dispatch(DispatchError::Store(error)) => error.may_pass(),
            Self::Dispatch(DispatchError::Queue(_)) => true,
            Self::NoRun(_) | Self::NoSuite { .. } => false,
        }
    }
}

/// What a round came to.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Where each run stands.
    pub(crate) standings: Vec<(RunId, Standing)>,
    /// The living workers, when this round looked at them.
    pub(crate) workers: Option<Vec<Member>>,
    /// Why hints could not be sent, if so. Everything else was done.
    pub(crate) undispatched: Option<DispatchError>,
    /// How long to wait before the next round.
    pub(crate) pause: Duration,
}

/// What is remembered from round to round. All of it may be forgotten: the next process begins without.
#[derive(Debug)]
pub(crate) struct Rounds {
    environment: Environment,
    mandate: Mandate,
    courses: BTreeMap<RunId, Course>,
    dispatch: Dispatch,
    beats: Beats,
    /// What the living workers of each pool take in advance.
    prefetch: BTreeMap<String, u64>,
    swept: Option<Instant>,
}

impl Rounds {
    pub(crate) fn new(environment: Environment, mandate: Mandate, dispatch: Dispatch) -> Self {
        let (courses, beats, prefetch) = Default::default();
        Self { environment, mandate, courses, dispatch, beats, prefetch, swept: None }
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Takes up a run, if it is new, so that the next rounds include it.
    pub(crate) async fn take_up(&mut self, run: &Run) -> Result<(), DriveError> {
        if !self.courses.contains_key(&run.id) {
            self.courses.insert(run.id, Course::load(&self.environment, run).await?);
        }
        Ok(())
    }

    /// The pools of the runs that were taken up.
    pub(crate) fn pools(&self) -> BTreeSet<&RunPool> {
        self.courses.values().flat_map(Course::pools).collect()
    }

    /// The pools whose queues cannot be used.
    pub(crate) fn unusable(&self) -> impl Iterator<Item = (&str, &Unusable)> {
        self.dispatch.unusable()
    }

    /// One round over `runs`, as their rows are now; those that were not taken up are passed over, and those taken up
    /// that are not among them are let go.
    pub(crate) async fn go(&mut self, runs: &[Run]) -> Result<Seen, StoreError> {
        let began = Instant::now();
        self.courses.retain(|id, _| runs.iter().any(|run| run.id == *id));
        let mut standings = Vec::with_capacity(runs.len());
        let mut open = Vec::with_capacity(runs.len());
        let mut more_to_expand = false;
        for run in runs {
            let Some(course) = self.courses.get_mut(&run.id) else { continue };
            let standing = course.stand(&self.environment, self.mandate, run).await?;
            if matches!(standing, Standing::GoesOn) {
                more_to_expand |= course.expand(&self.environment, self.mandate, run, &self.prefetch).await?;
                open.push(run);
            }
            standings.push((run.id, standing));
        }
        let workers = self.look_at_members().await?;
        let senders: Vec<_> =
            open.iter().filter_map(|run| Some(self.courses.get(&run.id)?.sender(run))).collect();
        let dispatched = self.dispatch.fill(&self.environment, &senders, &self.prefetch).await;
        let pause = match &dispatched {
            Ok(()) if more_to_expand => Duration::ZERO,
            Ok(()) if runs.is_empty() => IDLE,
            _ => (began.elapsed() * REST).clamp(TICK, LONGEST_REST),
        };
        Ok(Seen { standings, workers, undispatched: dispatched.err(), pause })
    }

    async fn look_at_members(&mut self) -> Result<Option<Vec<Member>>, StoreError> {
        let unserved = self.pools().iter().any(|pool| !self.prefetch.contains_key(&pool.pool));
        let every = if unserved { SWEEP_SOON } else { SWEEP_EVERY };
        if self.swept.is_some_and(|swept| swept.elapsed() < every) {
            return Ok(None);
        }
        self.swept = Some(Instant::now());
        let living = sweep(&self.environment, self.mandate, &mut self.beats).await?;
        let workers = served_by(self.mandate, living);
        self.prefetch = prefetch(&workers);
        Ok(Some(workers))
    }
}

/// A time in which something is away: told when it begins, and when it ends.
#[derive(Debug, Default)]
pub(crate) struct Outage(Option<Instant>);

impl Outage {
    /// It goes on, or begins, with this error, of what was asked at that moment. Returns how long it has lasted, and how long to
    /// wait.
    pub(crate) fn goes_on(&mut self, error: &DriveError, asked: Instant) -> (Duration, Duration) {
        let since = *self.0.get_or_insert_with(|| {
            let error = with_sources(error);
            tracing::warn!(%error, "cannot drive runs, trying again until it works: {error}");
            asked
        });
        (since.elapsed(), OUTAGE_PAUSE)
    }

    /// What was away is back, if it was away.
    pub(crate) fn ends(&mut self) {
        if let Some(since) = self.0.take() {
            let duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(duration_ms, "runs are driven on after an outage");
        }
    }
}

/// An error with all that caused it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
