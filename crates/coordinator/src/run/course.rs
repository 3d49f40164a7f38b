//! The course of one run: its jobs are expanded, and it is brought to its end.
//!
//! It computes nothing about outcomes: workers record their own results in the store, and the store's recount decides
//! when the run is complete.

use std::collections::BTreeMap;

use assay_common::gate::Gate;
use assay_common::money::NanoUsd;
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::suite::Suite;
use assay_store::{AccountProblem, Mandate, Run, RunPool, RunState, StoreError};
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use super::dispatch::Sender;
use super::expand::{EXPAND_AHEAD, Expansion};
use super::fair::weight;
use super::round::DriveError;
use super::watch::Watch;
use super::window::{self, Pace};
use crate::environment::Environment;

/// Of so many jobs, the first of a run…
const FIRST_JOBS: u32 = 50;
/// …no more than this may be refused for good: a wrong model name must not cost a whole dataset.
const REFUSALS: usize = 20;

/// Why a run was cancelled at its deadline, as its row says it.
pub const PAST_DEADLINE: &str = "its deadline has passed";

/// How the reason begins of a run that was cancelled because its budget is spent.
const BUDGET: &str = "its budget of $";

/// What to change for a run that gets further than one that was cancelled for this `reason`.
pub fn remedy(reason: &str) -> Option<&'static str> {
    match reason {
        PAST_DEADLINE => Some("raise `deadline` in the suite, and start it anew; what this run has is kept"),
        spent if spent.starts_with(BUDGET) => {
            Some("raise `budget_usd` in the suite, and start it anew; what this run has is kept")
        }
        _ => None,
    }
}

/// Where a run stands.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// It goes on.
    GoesOn,
    /// Every expanded job is terminal.
    Finished(Box<Run>),
    /// The provider refuses most of its first jobs for good.
    Refused { account: String, problem: AccountProblem },
}

/// What became of a run's budget, as its row says it.
fn spent(run: &Run) -> String {
    let mut reason = format!("{BUDGET}{} is spent", run.budget.unwrap_or_default().usd());
    if let Some(short) = run.short {
        let (cost, next) = (run.cost.usd(), short.usd());
        reason.push_str(&format!(": ${cost} went, the next call may cost ${next}"));
    }
    if run.reserved > NanoUsd(0) {
        let unknown = run.reserved.usd();
        reason.push_str(&format!(", ${unknown} is set aside for calls whose cost is not known"));
    }
    reason
}

/// What driving a run needs to remember of it.
#[derive(Debug)]
pub(crate) struct Course {
    suite: Suite,
    pools: Vec<RunPool>,
    /// The committed order, as long as there is or may be something to expand.
    expansion: Option<Expansion>,
    pace: Pace,
    /// Where its gate looks before the end.
    watch: Option<Watch>,
    /// Whether the first jobs have been looked at, by this process or one before it.
    first_jobs_seen: bool,
    /// From the moment this process drives the run until it no longer does.
    span: Span,
}

impl Course {
    /// Reads what the run needs.
    pub(crate) async fn load(environment: &Environment, run: &Run) -> Result<Self, DriveError> {
        let suite = environment.store.suite(run.revision.clone()).await?;
        let suite = suite.ok_or(DriveError::NoSuite { run: run.id })?;
        let tops_up = suite.gate.as_ref().is_some_and(Gate::tops_up);
        let expansion = (!run.expanded || tops_up).then(|| Expansion::of(&suite, run));
        let watch = Watch::load(environment, &suite, run).await?;
        let pools = RunPool::all_of(&suite);
        let pace = Pace::new(run.done(), Instant::now());
        // Whoever starts the run again after such a pause has looked at it.
        let first_jobs_seen = run.done() >= u64::from(FIRST_JOBS);
        let span = tracing::info_span!(
            parent: None, "run", run.id = %run.id, run.suite = run.suite_name, run.state = Empty
        );
        environment.tracer.follow(&span, run.trace);
        Ok(Self { suite, pools, expansion, pace, watch, first_jobs_seen, span })
    }

    /// The pools its jobs wait in.
    pub(crate) fn pools(&self) -> &[RunPool] {
        &self.pools
    }

    /// The run as dispatch sees it.
    pub(crate) fn sender<'r>(&'r self, run: &'r Run) -> Sender<'r> {
        let pace = self.pace.jobs_per_second();
        Sender { run, weight: weight(run.priority), pools: &self.pools, pace, span: &self.span }
    }

    /// Where the run stands. A deadline or an empty purse ends it by cancelling what is left.
    pub(crate) async fn stand(
        &mut self,
        environment: &Environment,
        mandate: Mandate,
        run: &Run,
    ) -> Result<Standing, StoreError> {
        self.pace.observe(run.done(), Instant::now());
        let (store, now) = (&environment.store, environment.clock.now());
        if run.state == RunState::Running
            && let Some(reason) = self.is_over(environment, run).await?
        {
            tracing::warn!(run.id = %run.id, reason, "ending run {}: {reason}", run.id);
            store.give_up(mandate, run.id, reason, now).await?;
            return Ok(Standing::GoesOn);
        }
        if let Some(refused) = self.refused(environment, run).await? {
            return Ok(refused);
        }
        if let Some(watch) = &mut self.watch
            && watch.look(environment, mandate, run).await?
        {
            return Ok(Standing::GoesOn);
        }
        let all_done = run.expanded && run.done() >= run.cursor;
        if (all_done || run.state == RunState::Cancelling || run.state.is_over())
            && let Some(finished) = store.finish(mandate, run.id, now).await?
        {
            assay_common::crash_point!(Finished);
            self.span.record("run.state", finished.state.word());
            return Ok(Standing::Finished(Box::new(finished)));
        }
        Ok(Standing::GoesOn)
    }

    /// Why a run that goes on must not: its money or its time is spent. One that lacks no result, and will not be given more
    /// jobs, asks for neither.
    async fn is_over(&self, environment: &Environment, run: &Run) -> Result<Option<String>, StoreError> {
        if run.expanded && run.done() >= run.planned && self.suite.topped_up(run.planned).is_none() {
            return Ok(None);
        }
        if environment.clock.now() >= run.deadline_at {
            return Ok(Some(PAST_DEADLINE.to_owned()));
        }
        match run.budget {
            Some(budget) if run.cost >= budget => Ok(Some(spent(run))),
            Some(_) if run.short.is_some() => self.is_broke(environment, run).await,
            _ => Ok(None),
        }
    }

    /// A run that is short of money has spent it once nothing is in flight that could free more.
    async fn is_broke(&self, environment: &Environment, run: &Run) -> Result<Option<String>, StoreError> {
        if environment.store.standing(run.id).await?.running {
            return Ok(None);
        }
        // The last call in flight may have freed enough since the row was read.
        let run = environment.store.run(run.id).await?;
        Ok(run.filter(|run| run.short.is_some()).map(|run| spent(&run)))
    }

    /// Whether the provider refuses most of the first jobs. Said once.
    async fn refused(
        &mut self,
        environment: &Environment,
        run: &Run,
    ) -> Result<Option<Standing>, StoreError> {
        if self.first_jobs_seen || run.done() < u64::from(FIRST_JOBS) {
            return Ok(None);
        }
        self.first_jobs_seen = true;
        let first = environment.store.outcomes(run.id, None, FIRST_JOBS).await?;
        let refused = Outcome::Errored(ErrorKind::Refused);
        let refusals: Vec<_> = first.iter().filter(|row| row.outcome == refused).collect();
        let Some(sample) = refusals.first().filter(|_| refusals.len() > REFUSALS) else { return Ok(None) };
        let provider = &self.suite.models[self.suite.variant(sample.variant).model].provider;
        let sample = environment.store.results(run.id, sample.ordinal.checked_sub(1), 1).await?.pop();
        let problem = AccountProblem {
            kind: "refusing".to_owned(),
            detail: format!(
                "{} of the first {} jobs were refused, such as: {}",
                refusals.len(),
                first.len(),
                sample.and_then(|row| row.error).as_deref().unwrap_or("no reason given")
            ),
            since: environment.clock.now(),
        };
        Ok(Some(Standing::Refused { account: provider.clone(), problem }))
    }

    /// Inserts the next chunk of jobs where the run needs one; returns whether it did. `prefetch`: what the workers of each
    /// pool take in advance.
    pub(crate) async fn expand(
        &mut self,
        environment: &Environment,
        mandate: Mandate,
        run: &Run,
        prefetch: &BTreeMap<String, u64>,
    ) -> Result<bool, StoreError> {
        if run.state != RunState::Running {
            return Ok(false);
        }
        if run.expanded && !self.suite.gate.as_ref().is_some_and(Gate::tops_up) {
            self.expansion = None;
        }
        let ahead = self.ahead(prefetch);
        match &mut self.expansion {
            Some(expansion) => expansion.advance(environment, mandate, run, ahead).await,
            None => Ok(false),
        }
    }

    /// How many jobs may be open. What is not expanded need not be cancelled when the gate ends the run early: then there
    /// are no more of them than keep the workers busy.
    fn ahead(&self, prefetch: &BTreeMap<String, u64>) -> u64 {
        if !self.watch.as_ref().is_some_and(Watch::stops_early) {
            return EXPAND_AHEAD;
        }
        let taken = self.pools.iter().filter_map(|pool| prefetch.get(&pool.pool)).sum();
        window::least(taken, self.pace.jobs_per_second()).min(EXPAND_AHEAD)
    }
}
