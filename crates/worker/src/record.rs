//! Jobs given back, recorded in groups: one transaction for many, then their hints are acknowledged.

use std::sync::Arc;
use std::time::Duration;

use assay_common::committed::Committed;
use assay_common::job::{Hint, JobKey, Settlement};
use assay_queue::Delivery;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::consume::acknowledge;
use crate::environment::Environment;
use crate::held::Held;
use crate::lane::Lane;
use crate::limit::gate::Pass;
use crate::persist::persist;
use crate::pool::Dice;
use crate::spans::Shared;
use crate::{WorkerError, spans};

/// The most jobs recorded in one transaction.
const RECORD_BATCH: usize = 500;
/// How long a batch waits for more than its first job, and how long for the next one.
const RECORD_WINDOW: Duration = Duration::from_millis(50);
const QUIET: Duration = Duration::from_millis(5);

/// A job that this worker no longer works on.
pub(crate) struct GivenBack {
    pub(crate) end: End,
    pub(crate) delivery: Delivery,
    /// The slot of a call that nothing has been kept of yet, to be freed when it is recorded. So what may be paid for
    /// and is on no record never exceeds what may be in flight, whenever this process dies.
    pub(crate) slot: Option<Pass>,
    /// Given up when the store holds the job no longer.
    pub(crate) lane: Lane,
    /// The job's span, which ends when the job is recorded.
    pub(crate) span: Span,
}

/// How a job is given back.
#[derive(Debug)]
pub(crate) enum End {
    /// Done, or waiting in the store.
    Settled(Settlement),
    /// Claimed and never started.
    Unstarted(JobKey),
}

/// Records what is given back until nobody is left to give anything. A store that is away is waited for, unless
/// `hard` fires.
pub(crate) async fn record(
    environment: Arc<Environment>,
    held: Arc<Held>,
    mut given_back: mpsc::Receiver<GivenBack>,
    hard: CancellationToken,
) -> Result<(), WorkerError> {
    let recorder = Recorder { dice: Dice::new(environment.seed ^ u64::MAX), environment, held, hard };
    let mut batch = Vec::with_capacity(RECORD_BATCH);
    while given_back.recv_many(&mut batch, RECORD_BATCH).await > 0 {
        let window = Instant::now() + RECORD_WINDOW;
        // The last jobs of a run do not wait for company that will not come.
        while batch.len() < RECORD_BATCH.min(recorder.held.count()) {
            let room = RECORD_BATCH - batch.len();
            let quiet = window.min(Instant::now() + QUIET);
            match timeout_at(quiet, given_back.recv_many(&mut batch, room)).await {
                Ok(received) if received > 0 => {}
                _ => break,
            }
        }
        recorder.commit(std::mem::replace(&mut batch, Vec::with_capacity(RECORD_BATCH))).await?;
    }
    Ok(())
}

struct Recorder {
    environment: Arc<Environment>,
    held: Arc<Held>,
    dice: Dice,
    hard: CancellationToken,
}

impl Recorder {
    async fn commit(&self, batch: Vec<GivenBack>) -> Result<(), WorkerError> {
        let tracer = &self.environment.tracer;
        let recording = Shared::record(tracer, batch.iter().map(|given_back| given_back.delivery.trace()));
        // They end when this ends.
        let mut jobs_spans = Vec::with_capacity(batch.len());
        let mut settlements = Vec::with_capacity(batch.len());
        let mut settled = Vec::with_capacity(batch.len());
        let mut unstarted = Vec::new();
        let mut released = Vec::new();
        let mut slots = Vec::with_capacity(batch.len());
        // Given up when this ends, all jobs of the batch having been given back.
        let mut lanes = Vec::with_capacity(batch.len());
        for GivenBack { end, delivery, slot, lane, span } in batch {
            slots.push(slot);
            lanes.push(lane);
            spans::given_back(&span, &end);
            recording.serves(&span);
            jobs_spans.push(span);
            match end {
                End::Settled(settlement) => {
                    settlements.push(settlement);
                    settled.push(delivery);
                }
                End::Unstarted(key) => {
                    unstarted.push(key);
                    released.push(delivery);
                }
            }
        }
        let Environment { store, member, clock, .. } = &*self.environment;
        if !settlements.is_empty() {
            let jobs = settlements.len();
            let started = Instant::now();
            let committed = persist("record results", &self.dice, &self.hard, || {
                store.settle(*member, settlements.clone(), clock.now())
            })
            .await?;
            assay_common::crash_point!(Recorded);
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(jobs, duration_ms, "recorded {jobs} jobs");
            drop(slots);
            self.end(settled, committed).await;
            assay_common::crash_point!(Acknowledged);
        }
        if !unstarted.is_empty() {
            let committed = persist("release jobs", &self.dice, &self.hard, || {
                store.release(*member, unstarted.clone(), clock.now())
            })
            .await?;
            self.end(released, committed).await;
        }
        Ok(())
    }

    /// Acknowledges what was committed. What was not, because the end came first, goes back to the queue.
    async fn end(&self, deliveries: Vec<Delivery>, committed: Option<Committed>) {
        let hints: Vec<Hint> = deliveries.iter().map(Delivery::hint).collect();
        let further = hints.into_iter().flat_map(|hint| self.held.let_go(hint));
        let all: Vec<Delivery> = further.chain(deliveries).collect();
        if let Some(committed) = committed {
            acknowledge(all, committed).await;
        }
    }
}
