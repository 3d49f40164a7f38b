//! The first step of a run: the unfinished run of the same suite revision goes on, else a new one is made.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::RunId;
use assay_common::suite::{Priority, Suite};
use assay_common::trace::TraceParent;
use assay_store::{NewRun, Run, RunPool, RunState, StoreError};
use tracing::Span;
use uuid::Builder;

use crate::environment::Environment;

/// Randomness for a new run, drawn by the caller after the suite was frozen.
#[derive(Clone, Copy)]
pub struct Draw {
    /// For the run's id.
    pub id: [u8; 10],
    /// For the committed order.
    pub seed: [u8; 32],
}

/// A run that can be driven.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The run.
    pub run: RunId,
    /// Its row, when it goes on from an earlier process.
    pub resumed: Option<Run>,
    /// The row of the one before it, when that was cancelled: nothing of it goes on.
    pub instead_of: Option<Run>,
}

/// Finds or makes the run of a frozen suite. The span in which a new one is made is the one that submitted it. With `fresh` an unfinished run is left as it is.
pub async fn begin(
    environment: &Environment,
    suite: &Suite,
    fresh: bool,
    draw: Draw,
) -> Result<Begun, StoreError> {
    let revision = suite.revision();
    if !fresh && let Some(run) = environment.store.unfinished_run(revision.clone()).await? {
        let resumed = environment.store.run(run).await?;
        tracing::info!(run.id = %run, "resuming run {run}");
        return Ok(Begun { run, resumed, instead_of: None });
    }
    let latest = environment.store.latest_run(revision).await?;
    let instead_of = latest.filter(|run| !fresh && run.state == RunState::Cancelled);
    let trace = environment.tracer.context(&Span::current());
    let new = new_run(suite, suite.priority, environment.clock.now(), draw, trace);
    let (run, planned) = (new.id, new.planned);
    environment.store.create_run(new).await?;
    tracing::info!(run.id = %run, jobs = planned, "created run {run} with {planned} jobs");
    Ok(Begun { run, resumed: None, instead_of })
}

/// The row of a new run of a frozen suite.
pub(crate) fn new_run(
    suite: &Suite,
    priority: Priority,
    now: Micros,
    draw: Draw,
    trace: Option<TraceParent>,
) -> NewRun {
    let millis = u64::try_from(now.0 / 1_000).unwrap_or(0);
    NewRun {
        id: RunId::new(Builder::from_unix_timestamp_millis(millis, &draw.id).into_uuid()),
        revision: suite.revision(),
        suite_name: suite.name.clone(),
        seed: draw.seed,
        planned: suite.first_jobs().unwrap_or(u64::MAX),
        pools: RunPool::all_of(suite),
        priority,
        budget: suite.budget,
        created_at: now,
        deadline_at: now.plus(Duration::from_secs(suite.deadline_seconds)),
        trace,
    }
}
