//! From hints to grants: receive a batch, claim it in one transaction, hand on what was granted; then what has to run alone,
//! one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_common::committed::Committed;
use assay_common::job::{Answer, Decline, Grant, Hint, SUSPECTED_AFTER};
use assay_queue::{Delivery, QueueError, Subscription};
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use crate::lane::Lane;
use crate::persist::persist;
use crate::pool::Pool;
use crate::spans::Shared;
use crate::{WorkerError, spans};

/// The most jobs claimed in one transaction.
pub(crate) const CLAIM_BATCH: usize = 64;
/// How long a batch waits for more than its first hint.
const CLAIM_WINDOW: Duration = Duration::from_millis(5);

/// A claimed job with the hint that led to it.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) grant: Box<Grant>,
    pub(crate) delivery: Delivery,
    /// Held until the job is recorded.
    pub(crate) lane: Lane,
    /// The life of this member in which it was claimed.
    pub(crate) joined: u64,
    /// The job's span, until it is recorded.
    pub(crate) span: Span,
}

/// Claims the pool's jobs as long as there is room for them and the account takes calls, until told to stop.
pub(crate) async fn consume(pool: Arc<Pool>, grants: mpsc::Sender<Granted>) -> Result<(), WorkerError> {
    let queue = &pool.environment.queue;
    let mut in_flight = pool.gate.in_flight();
    let mut subscription = queue.subscribe(&pool.name, pool.prefetch()).await?;
    loop {
        let deliveries = tokio::select! {
            biased;
            () = pool.stop.cancelled() => return Ok(()),
            deliveries = receive(&pool, &mut subscription, &grants) => deliveries?,
            () = pool.gate.resizes(in_flight) => {
                // What was delivered stays in hand; the new one brings as much as is wanted from now on.
                in_flight = pool.gate.in_flight();
                subscription = queue.subscribe(&pool.name, pool.prefetch()).await?;
                continue;
            }
        };
        let mut fresh: BTreeMap<Hint, Delivery> = deliveries
            .into_iter()
            .filter_map(|delivery| pool.held.hold(delivery))
            .map(|delivery| (delivery.hint(), delivery))
            .collect();
        if fresh.is_empty() {
            continue;
        }
        let hints: Vec<_> = fresh.keys().copied().collect();
        let lane = tokio::select! {
            biased;
            () = pool.stop.cancelled() => {
                hints.into_iter().for_each(|hint| drop(pool.held.let_go(hint)));
                return Ok(());
            }
            lane = pool.lanes.shared() => lane,
        };
        let tracer = &pool.environment.tracer;
        let joined = pool.alive.joined();
        let claiming = Shared::claim(tracer, &pool.name, fresh.values().map(Delivery::trace));
        let Some(answers) = claim(&pool, &hints).await? else {
            // Stopped while the store was away. What the last attempt claimed after all is given back on leaving.
            hints.into_iter().for_each(|hint| drop(pool.held.let_go(hint)));
            return Ok(());
        };
        assay_common::crash_point!(Claimed);
        let granted = answers.iter().filter(|(_, answer)| matches!(answer, Answer::Granted(_))).count();
        let asked = answers.len();
        tracing::debug!(queue.pool = pool.name, jobs = granted, "claimed {granted} of {asked} jobs");
        let mut suspects = Vec::new();
        for (hint, answer) in answers {
            let Some(delivery) = fresh.remove(&hint) else { continue };
            match answer {
                Answer::Granted(grant) => {
                    let span = spans::job(tracer, delivery.trace(), &grant);
                    claiming.serves(&span);
                    // The executor takes every grant until this sender is gone.
                    let _ = grants.send(Granted { grant, delivery, lane: lane.clone(), joined, span }).await;
                }
                Answer::Declined(Decline::Suspect, _) => suspects.push(delivery),
                Answer::Declined(decline, committed) => {
                    tracing::trace!(job.run.id = %hint.run, job.ordinal = hint.ordinal, ?decline, "declined a claim");
                    end(&pool, delivery, committed).await;
                }
            }
        }
        fresh.into_keys().for_each(|hint| drop(pool.held.let_go(hint)));
        drop(lane);
        for suspect in suspects {
            claim_alone(&pool, suspect, &grants).await?;
        }
    }
}

/// Claims a suspected job once this worker holds nothing else. Its claim is traced by the job's own span alone.
async fn claim_alone(
    pool: &Pool,
    delivery: Delivery,
    grants: &mpsc::Sender<Granted>,
) -> Result<(), WorkerError> {
    let (hint, environment) = (delivery.hint(), &pool.environment);
    let lane = tokio::select! {
        biased;
        () = pool.stop.cancelled() => {
            drop(pool.held.let_go(hint));
            return Ok(());
        }
        lane = pool.lanes.alone() => lane,
    };
    let joined = pool.alive.joined();
    let claimed = persist("claim a job alone", &pool.dice, &pool.stop, || {
        environment.store.claim_alone(environment.member, hint, environment.clock.now())
    });
    match claimed.await? {
        Some(Answer::Granted(grant)) => {
            let span = spans::job(&environment.tracer, delivery.trace(), &grant);
            tracing::warn!(
                job.run.id = %hint.run,
                job.ordinal = hint.ordinal,
                "job {} of run {} runs alone: its worker has died {} times",
                hint.ordinal,
                hint.run,
                SUSPECTED_AFTER
            );
            let _ = grants.send(Granted { grant, delivery, lane, joined, span }).await;
        }
        Some(Answer::Declined(decline, committed)) => {
            tracing::trace!(job.run.id = %hint.run, job.ordinal = hint.ordinal, ?decline, "declined a claim");
            end(pool, delivery, committed).await;
        }
        None => drop(pool.held.let_go(hint)),
    }
    Ok(())
}

/// The next hints: at least one, and no more than there is room for. Cancelling the wait returns them to the queue.
async fn receive(
    pool: &Pool,
    subscription: &mut Subscription,
    grants: &mpsc::Sender<Granted>,
) -> Result<Vec<Delivery>, QueueError> {
    loop {
        pool.gate.hear_pause(&pool.environment.store, &pool.environment.clock).await;
        pool.gate.room().await;
        // Room for a batch: a claim costs about the same for one job as for many. Only this task sends, so what is
        // free now stays free.
        let batch = (grants.max_capacity() / 2).clamp(1, CLAIM_BATCH);
        let _ = grants.reserve_many(batch).await;
        let first = subscription.next().await?;
        if !pool.gate.has_room() {
            // The account closed while we waited: the hint does not wait in our hands.
            first.reject().await?;
            continue;
        }
        let most = pool.gate.room().await.min(grants.capacity()).clamp(1, CLAIM_BATCH);
        let mut deliveries = vec![first];
        let window = Instant::now() + CLAIM_WINDOW;
        while deliveries.len() < most {
            match timeout_at(window, subscription.next()).await {
                Ok(delivery) => deliveries.push(delivery?),
                Err(_) => break,
            }
        }
        return Ok(deliveries);
    }
}

async fn claim(pool: &Pool, hints: &[Hint]) -> Result<Option<Vec<(Hint, Answer)>>, WorkerError> {
    let environment = &pool.environment;
    persist("claim jobs", &pool.dice, &pool.stop, || {
        environment.store.claim(environment.member, hints.to_vec(), environment.clock.now())
    })
    .await
}

/// Lets go of a job and acknowledges every hint for it that has arrived here.
async fn end(pool: &Pool, delivery: Delivery, committed: Committed) {
    let further = pool.held.let_go(delivery.hint());
    acknowledge(further.into_iter().chain([delivery]), committed).await;
}

/// Acknowledges all together: one after the other would wait for the broker each time. A lost acknowledgement is a
/// hint that comes again and is declined.
pub(crate) async fn acknowledge(deliveries: impl IntoIterator<Item = Delivery>, committed: Committed) {
    let acks = deliveries.into_iter().map(|delivery| delivery.ack(committed));
    for error in join_all(acks).await.into_iter().filter_map(Result::err) {
        tracing::debug!(error = %error, "failed to acknowledge a hint");
    }
}
