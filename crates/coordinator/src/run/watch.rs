//! Watching a run for its gate: ended once the gate is decided, given more once everything planned is in and it is not.
//!
//! What was seen is a fold over results in committed order and is written down nowhere: whoever drives the run after a death
//! reads the same results and comes to the same evidence.

use std::time::Duration;

use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_store::{Attempt, Mandate, Run, RunState, StoreError};
use tokio::time::Instant;

use super::extent::extents;
use crate::environment::Environment;
use crate::verdict::{Aggregation, Ruling};

/// The most results that are read in one look.
pub const RESULTS_A_LOOK: u32 = 250;
/// How many pages at most, once all results are in.
const LAST_PAGES: u32 = 10;
/// The pause after a look that saw nothing new: behind a job that takes long the same page would be read again and again.
const PAUSE: Duration = Duration::from_millis(100);

/// What is remembered of a run whose gate looks at it again and again.
#[derive(Debug)]
pub(crate) struct Watch {
    run: RunId,
    suite: Suite,
    seen: Aggregation<'static>,
    /// Everything below it has been seen.
    next: u64,
    looked: Looked,
}

/// The last look.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    /// How many jobs were done then.
    done: u64,
    /// How many results it saw for the first time.
    new: u64,
    at: Option<Instant>,
}

impl Watch {
    /// Before the first look; `None` for a gate that only looks at the end.
    pub(crate) async fn load(
        environment: &Environment,
        suite: &Suite,
        run: &Run,
    ) -> Result<Option<Self>, StoreError> {
        if !suite.gate.as_ref().is_some_and(|gate| gate.looks_again()) {
            return Ok(None);
        }
        let extents = extents(&environment.store, suite).await?;
        let seen = Aggregation::watching(suite.clone(), &extents);
        Ok(Some(Self { run: run.id, suite: suite.clone(), seen, next: 0, looked: Looked::default() }))
    }

    /// Whether the gate may end the run before all its jobs are done.
    pub(crate) fn stops_early(&self) -> bool {
        self.suite.gate.as_ref().is_some_and(|gate| gate.stop_early)
    }

    /// One look at a run that goes on: reads what is new, and ends the run or gives it more where that is due. Returns whether
    /// the run is to go on although all its jobs are done.
    pub(crate) async fn look(
        &mut self,
        environment: &Environment,
        mandate: Mandate,
        run: &Run,
    ) -> Result<bool, StoreError> {
        let all_done = run.expanded && run.done() >= run.planned;
        match run.state {
            RunState::Running | RunState::Paused if all_done => {
                return self.look_back(environment, mandate, run).await;
            }
            RunState::Running => {}
            _ => return Ok(false),
        }
        if self.is_due(run) {
            self.read(environment, run).await?;
        }
        let ruling = Ruling::of(&self.seen);
        if let Some(decision) = ruling.and_then(|ruling| ruling.settled).filter(|_| self.stops_early()) {
            let units = ruling.map_or(0, |ruling| ruling.units);
            let unit = if self.suite.dataset.clustered { "cluster" } else { "case" };
            let s = if units == 1 { "" } else { "s" };
            let reason = format!("its gate came to {} after {units} {unit}{s}", decision.word());
            tracing::info!(run.id = %run.id, reason, "stopping run {} early: {reason}", run.id);
            environment.store.stop_early(mandate, run.id, reason, environment.clock.now()).await?;
        }
        Ok(false)
    }

    /// Everything planned is in: reads it to its end, if it takes several looks.
    async fn look_back(
        &mut self,
        environment: &Environment,
        mandate: Mandate,
        run: &Run,
    ) -> Result<bool, StoreError> {
        if self.suite.topped_up(run.planned).is_none() {
            return Ok(false);
        }
        for _ in 0..LAST_PAGES {
            if self.next >= run.planned {
                self.seen.catch_up();
                return self.conclude(environment, mandate, run).await;
            }
            self.read(environment, run).await?;
        }
        Ok(true)
    }

    /// Everything planned was seen: gives the run more if its gate could use it and there is more. One that is paused gets it when it
    /// goes on.
    async fn conclude(
        &self,
        environment: &Environment,
        mandate: Mandate,
        run: &Run,
    ) -> Result<bool, StoreError> {
        let undecided = Ruling::of(&self.seen).is_some_and(|ruling| ruling.wants_more);
        let Some(planned) = self.suite.topped_up(run.planned).filter(|_| undecided) else {
            return Ok(false);
        };
        if run.state == RunState::Paused {
            return Ok(true);
        }
        let product = self.suite.product();
        let cases = (run.planned / product.jobs_per_case().max(1)).min(product.cases);
        let place = product.place(run.planned.saturating_sub(1));
        let attempt = Attempt {
            jobs: run.planned,
            cases,
            trials: place.trial,
            outcome: "inconclusive".to_owned(),
            judged_at: environment.clock.now(),
        };
        let more = planned - run.planned;
        tracing::info!(run.id = %run.id, jobs = more, "run {} is inconclusive after {cases} cases: adding {more} jobs", run.id);
        environment.store.top_up(mandate, run.id, planned, attempt).await?;
        Ok(true)
    }

    fn is_due(&self, run: &Run) -> bool {
        let Looked { done, new, at } = self.looked;
        new == u64::from(RESULTS_A_LOOK)
            || done != run.done() && (new > 0 || at.is_none_or(|at| at.elapsed() >= PAUSE))
    }

    /// Reads a page of results as far as none is missing.
    async fn read(&mut self, environment: &Environment, run: &Run) -> Result<(), StoreError> {
        let page = environment.store.outcomes(self.run, self.next.checked_sub(1), RESULTS_A_LOOK).await?;
        let before = self.next;
        for row in &page {
            if row.ordinal != self.next {
                break;
            }
            self.seen.push(row);
            self.next += 1;
        }
        self.looked = Looked { done: run.done(), new: self.next - before, at: Some(Instant::now()) };
        Ok(())
    }
}
