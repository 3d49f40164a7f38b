//! The loop of one run: expand, dispatch, sweep, look whether it has ended.
//!
//! It computes nothing about outcomes: workers record their own results in the store, and the store's recount
//! decides when the run is complete.

use std::collections::BTreeSet;
use std::time::Duration;

use assay_common::config::DEFAULT_IN_FLIGHT;
use assay_common::id::RunId;
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::suite::Suite;
use assay_store::{AccountProblem, Run, RunState, StoreError};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::dispatch::{DispatchError, Window};
use super::expand::Expansion;
use super::sweep::{Beats, sweep};
use crate::environment::Environment;

/// How often the loop looks around. Short: on a laptop the run's end is somebody's wait.
const TICK: Duration = Duration::from_millis(20);
/// How often members are looked at, and accounts while nothing moves.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How often the loop looks around while the store or the queue is away.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);
/// The smallest window of hints in a pool's queue.
const LEAST_WINDOW: u64 = 1_024;

/// Of so many jobs, the first of a run…
const FIRST_JOBS: u32 = 50;
/// …no more than this may be refused for good: a wrong model name must not cost a whole dataset.
const REFUSALS: usize = 20;

/// Why a run was cancelled at its deadline, as its row says it.
pub const PAST_DEADLINE: &str = "its deadline has passed";

/// How driving a run ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// Every expanded job is terminal.
    Finished(Run),
    /// The caller asked to stop; the run goes on when it is driven again.
    Interrupted(Run),
    /// An account keeps its jobs from moving; the run goes on when it is driven again.
    NeedsAttention(Run, Vec<(String, AccountProblem)>),
}

impl Ended {
    /// The run's row at that moment.
    pub fn run(&self) -> &Run {
        match self {
            Self::Finished(run) | Self::Interrupted(run) | Self::NeedsAttention(run, _) => run,
        }
    }
}

/// Why a run could not be driven on.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Dispatch failed.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The store does not know the run or its suite.
    #[error("the store has no run {0}")]
    NoRun(RunId),
}

impl DriveError {
    /// Whether the same may work later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) | Self::Dispatch(DispatchError::Store(error)) => error.may_pass(),
            Self::Dispatch(DispatchError::Queue(_)) => true,
            Self::NoRun(_) => false,
        }
    }
}

/// What one look around came to.
enum Look {
    Ended(Box<Ended>),
    /// `at_once`: there is more to expand.
    GoOn {
        at_once: bool,
    },
}

/// Drives one run.
pub struct Driver {
    environment: Environment,
    suite: Suite,
    run: RunId,
    expansion: Expansion,
    windows: Vec<Window>,
    beats: Beats,
    swept: Instant,
    /// When accounts were last asked why nothing moves.
    asked: Instant,
    patience: Duration,
    /// Whether the first jobs have been looked at, by this process or one before it.
    first_jobs_seen: bool,
    /// How many jobs were done when that number last changed, and when.
    progress: (u64, Instant),
}

impl Driver {
    /// Reads what the run needs. `patience` is how long it may stand still while an account needs attention.
    pub async fn load(
        environment: Environment,
        suite: Suite,
        run: RunId,
        patience: Duration,
    ) -> Result<Self, DriveError> {
        let row = environment.store.run(run).await?.ok_or(DriveError::NoRun(run))?;
        let expansion = Expansion::load(&environment, &suite, &row).await?;
        let windows = windows(&environment, &suite, run);
        let now = Instant::now();
        let progress = (row.done(), now);
        // Whoever starts the run again after such a pause has looked at it.
        let first_jobs_seen = row.done() >= u64::from(FIRST_JOBS);
        let beats = Beats::default();
        Ok(Self {
            environment,
            suite,
            run,
            expansion,
            windows,
            beats,
            swept: now,
            asked: now,
            patience,
            first_jobs_seen,
            progress,
        })
    }

    /// Drives the run until it has ended or `stop` is cancelled. `watch` sees the run's row at every look.
    pub async fn drive(self, stop: &CancellationToken, watch: impl FnMut(&Run)) -> Result<Ended, DriveError> {
        let span = tracing::info_span!("run", run.id = %self.run);
        let started = Instant::now();
        let ended = self.turn(stop, watch).instrument(span).await?;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let run = ended.run();
        let jobs = run.done();
        let (id, planned, state) = (run.id, run.planned, run.state.word());
        tracing::info!(run.id = %id, run.jobs = jobs, duration_ms, "{state} run {id}: {jobs} of {planned} jobs are done");
        Ok(ended)
    }

    /// Looks around until the run has ended. An outage of the store or the queue is waited out, as long as patience
    /// lasts: what was dispatched goes on meanwhile.
    async fn turn(
        mut self,
        stop: &CancellationToken,
        mut watch: impl FnMut(&Run),
    ) -> Result<Ended, DriveError> {
        let mut outage: Option<Instant> = None;
        loop {
            let pause = match self.look(stop, &mut watch).await {
                Ok(Look::Ended(ended)) => return Ok(*ended),
                Ok(Look::GoOn { at_once }) => {
                    outage = None;
                    if at_once { Duration::ZERO } else { TICK }
                }
                Err(error) if error.may_pass() && !stop.is_cancelled() => {
                    let since = *outage.get_or_insert_with(|| {
                        tracing::warn!(run.id = %self.run, %error, "cannot drive run {}, trying again: {error}", self.run);
                        Instant::now()
                    });
                    if since.elapsed() >= self.patience {
                        return Err(error);
                    }
                    OUTAGE_PAUSE
                }
                Err(error) => return Err(error),
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One look: whether the run has ended, else one round of work.
    async fn look(
        &mut self,
        stop: &CancellationToken,
        watch: &mut impl FnMut(&Run),
    ) -> Result<Look, DriveError> {
        let run = self.row().await?;
        watch(&run);
        if stop.is_cancelled() {
            return Ok(Look::Ended(Box::new(Ended::Interrupted(run))));
        }
        if let Some(ended) = self.ended(&run).await? {
            watch(ended.run());
            return Ok(Look::Ended(Box::new(ended)));
        }
        Ok(Look::GoOn { at_once: self.step(&run).await? })
    }

    async fn row(&self) -> Result<Run, DriveError> {
        self.environment.store.run(self.run).await?.ok_or(DriveError::NoRun(self.run))
    }

    /// One round of work; says whether there is more to expand at once.
    async fn step(&mut self, run: &Run) -> Result<bool, DriveError> {
        if run.state != RunState::Running {
            return Ok(false);
        }
        let expanded = self.expansion.advance(&self.environment, run).await?;
        for window in &mut self.windows {
            let hints = window.fill(&self.environment).await?;
            if hints > 0 {
                tracing::debug!(queue.hints = hints, "dispatched {hints} hints");
            }
        }
        if self.swept.elapsed() >= SWEEP_EVERY {
            self.swept = Instant::now();
            sweep(&self.environment, &mut self.beats).await?;
        }
        Ok(expanded)
    }

    /// Whether the run has ended, and how. A deadline or an empty purse ends it by cancelling what is left.
    async fn ended(&mut self, run: &Run) -> Result<Option<Ended>, DriveError> {
        let store = &self.environment.store;
        let now = self.environment.clock.now();
        if run.state == RunState::Running {
            let over_budget = self.suite.budget.filter(|budget| run.cost >= *budget);
            if let Some(budget) = over_budget {
                tracing::warn!(run.id = %self.run, budget_usd = budget.usd(), "cancelling run {}: its budget is spent", self.run);
                store.cancel(self.run, format!("its budget of ${} is spent", budget.usd()), now).await?;
            } else if now >= run.deadline_at {
                tracing::warn!(run.id = %self.run, "cancelling run {}: {PAST_DEADLINE}", self.run);
                store.cancel(self.run, PAST_DEADLINE.to_owned(), now).await?;
            }
        }
        if let Some(problem) = self.refused(run).await? {
            return Ok(Some(problem));
        }
        let store = &self.environment.store;
        let all_done = run.expanded && run.done() >= run.cursor;
        if (all_done || run.state != RunState::Running)
            && let Some(finished) = store.finish(self.run, now).await?
        {
            return Ok(Some(Ended::Finished(finished)));
        }
        self.stalled(run).await
    }

    /// Pauses a run most of whose first jobs the provider refuses for good.
    async fn refused(&mut self, run: &Run) -> Result<Option<Ended>, DriveError> {
        if self.first_jobs_seen || run.done() < u64::from(FIRST_JOBS) {
            return Ok(None);
        }
        self.first_jobs_seen = true;
        let first = self.environment.store.results(self.run, None, FIRST_JOBS).await?;
        let refused = Outcome::Errored(ErrorKind::Refused);
        let refusals: Vec<_> = first.iter().filter(|result| result.row.outcome == refused).collect();
        let Some(sample) = refusals.first().filter(|_| refusals.len() > REFUSALS) else { return Ok(None) };
        let provider = &self.suite.models[self.suite.variant(sample.row.variant).model].provider;
        let problem = AccountProblem {
            kind: "refusing".to_owned(),
            detail: format!(
                "{} of the first {} jobs were refused, such as: {}",
                refusals.len(),
                first.len(),
                sample.error.as_deref().unwrap_or("no reason given")
            ),
            since: self.environment.clock.now(),
        };
        Ok(Some(Ended::NeedsAttention(run.clone(), vec![(provider.clone(), problem)])))
    }

    async fn stalled(&mut self, run: &Run) -> Result<Option<Ended>, DriveError> {
        if run.done() != self.progress.0 {
            self.progress = (run.done(), Instant::now());
        }
        if self.progress.1.elapsed() < self.patience || self.asked.elapsed() < SWEEP_EVERY {
            return Ok(None);
        }
        self.asked = Instant::now();
        let ours: BTreeSet<_> = self.suite.models.iter().map(|model| model.provider.as_str()).collect();
        let mut problems = self.environment.store.account_problems().await?;
        problems.retain(|(account, _)| ours.contains(account.as_str()));
        // Slow is not stuck: without a problem there is nothing to tell anybody.
        Ok((!problems.is_empty()).then(|| Ended::NeedsAttention(run.clone(), problems)))
    }
}

/// One window for each pool of the suite, wide enough that workers never wait for the next look.
fn windows(environment: &Environment, suite: &Suite, run: RunId) -> Vec<Window> {
    let pools: BTreeSet<_> =
        suite.models.iter().map(|model| (model.pool(), model.provider.as_str())).collect();
    let window = |(pool, provider): (String, &str)| {
        let provider = environment.config.provider(provider);
        let in_flight = provider.and_then(|provider| provider.limits.in_flight);
        let slots = in_flight.map_or(DEFAULT_IN_FLIGHT, std::num::NonZeroU32::get);
        Window::new(run, pool, LEAST_WINDOW.max(u64::from(slots) * 4))
    };
    pools.into_iter().map(window).collect()
}
