//! Grants in the order of their claims: each renders its prompt, waits before the gate, and goes to [`Work`].

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use assay_common::id::RunId;
use assay_common::job::{Response, Settlement};
use assay_common::outcome::ErrorKind;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument;

use crate::WorkerError;
use crate::consume::Granted;
use crate::keep::Keeper;
use crate::limit::gate::{Pass, Size};
use crate::limit::places::{Held, Places};
use crate::limit::retries::Attempt;
use crate::persist::persist;
use crate::plan::Planned;
use crate::pool::Pool;
use crate::provider::Prompt;
use crate::purse::Purse;
use crate::record::{End, GivenBack};
use crate::work::{Work, micros};

/// Jobs at work for each slot. The gate alone says how many calls are in flight; whoever scores, hands in or waits for
/// another try is in nobody's way.
const JOBS_A_SLOT: u32 = 2;

/// A job that may go on now.
struct Ready {
    granted: Granted,
    planned: Planned,
    turn: Turn,
}

/// What a job goes on with.
enum Turn {
    /// Its first call.
    Ask(Prompt, Pass),
    /// An answer that an earlier claim has paid for.
    Score(Box<Response>),
}

/// Where a job goes from here: money to be set aside for its call, its answer to be kept, then itself to be recorded.
#[derive(Clone)]
pub(crate) struct Onward {
    pub(crate) purse: Purse,
    pub(crate) keeper: Keeper,
    pub(crate) give_back: mpsc::Sender<GivenBack>,
}

/// Executes the pool's grants until there are no more. Once told to stop,
/// it gives back what has not started.
pub(crate) async fn execute_all(
    pool: Arc<Pool>,
    grants: mpsc::Receiver<Granted>,
    Onward { purse, keeper, give_back }: Onward,
) -> Result<(), WorkerError> {
    let desks = Places::own(0);
    let failed = Arc::new(OnceLock::new());
    // One job at a time stands before the gate, in the order of the claims.
    let line = (grants, Arc::clone(&pool), give_back.clone(), desks);
    let ready = stream::unfold(line, |(mut grants, pool, give_back, desks)| async move {
        let desk = desk(&pool, &desks).await;
        loop {
            let granted = grants.recv().await?;
            match prepare(&pool, granted).await {
                Ok(Ok(ready)) => return Some(((Ok(ready), desk), (grants, pool, give_back, desks))),
                Ok(Err(given_back)) => give(&give_back, given_back).await,
                Err(error) => return Some(((Err(error), desk), (grants, pool, give_back, desks))),
            }
        }
    });
    ready
        .for_each_concurrent(None, |(ready, desk)| {
            let (pool, give_back, failed) = (Arc::clone(&pool), give_back.clone(), Arc::clone(&failed));
            let hands = (purse.clone(), keeper.clone());
            // Boxed: it is large, and moved on its way among the others.
            Box::pin(async move {
                let ended = match ready {
                    Ok(ready) => work(&pool, &hands, ready).await,
                    Err(error) => Err(error),
                };
                match ended {
                    Ok(Some(given_back)) => give(&give_back, given_back).await,
                    // The end came first; the job goes back to the store when this member leaves.
                    Ok(None) => {}
                    Err(error) => {
                        pool.stop.cancel();
                        // The first failure is the one that is told.
                        let _ = failed.set(error);
                    }
                }
                drop(desk);
            })
        })
        .await;
    Arc::into_inner(failed).and_then(OnceLock::into_inner).map_or(Ok(()), Err)
}

/// Waits until one more job may be at work; how many may follows what the account allows in flight.
async fn desk(pool: &Pool, desks: &Arc<Places>) -> Held {
    loop {
        let in_flight = pool.gate.in_flight();
        desks.lease(in_flight.saturating_mul(JOBS_A_SLOT), Duration::MAX);
        tokio::select! {
            biased;
            desk = desks.take() => return desk,
            () = pool.gate.resizes(in_flight) => {}
        }
    }
}

async fn give(give_back: &mpsc::Sender<GivenBack>, given_back: GivenBack) {
    // The recorder is gone only when it has failed; then the job goes back to the store on leaving.
    let _ = give_back.send(given_back).await;
}

/// Fills in the prompt and waits before the gate. Inside `Err`: a job that ends, or is given back, without a call.
async fn prepare(pool: &Pool, mut granted: Granted) -> Result<Result<Ready, GivenBack>, WorkerError> {
    let unstarted = |granted: Granted| GivenBack {
        end: End::Unstarted(granted.grant.key),
        delivery: granted.delivery,
        slot: None,
        lane: granted.lane,
        span: granted.span,
    };
    if pool.stop.is_cancelled() {
        return Ok(Err(unstarted(granted)));
    }
    let run = granted.grant.key.run;
    let planned = persist("read a suite", &pool.dice, &pool.stop, || pool.plans.of(run)).await?;
    let Some(planned) = planned else { return Ok(Err(unstarted(granted))) };
    if let Some(response) = granted.grant.response.take() {
        return Ok(Ok(Ready { granted, planned, turn: Turn::Score(response) }));
    }
    let settled = |granted: Granted, settlement: Settlement| GivenBack {
        end: End::Settled(settlement),
        delivery: granted.delivery,
        slot: None,
        lane: granted.lane,
        span: granted.span,
    };
    let grant = &*granted.grant;
    let rendered = match &*planned {
        Ok(plan) => plan
            .prompt(grant.variant, &grant.case.vars)
            .map_err(|error| (ErrorKind::Template, format!("the prompt cannot be rendered: {error}"))),
        Err(unusable) => Err((unusable.kind, unusable.to_string())),
    };
    let prompt = match rendered {
        Ok(prompt) => prompt,
        Err((kind, error)) => {
            let work = Work::new(pool, grant);
            let settlement = work.failed(kind, error, None);
            return Ok(Err(settled(granted, settlement)));
        }
    };
    // A tenth of a failing provider's work would else become all of it.
    let attempt = if grant.tries.counted == 0 { Attempt::First } else { Attempt::Again };
    let max_tokens = (*planned).as_ref().ok().and_then(|plan| plan.model(grant.variant).sampling.max_tokens);
    let size = Size { bytes: prompt.bytes(), max_tokens };
    // What others have by now must take nothing from the account's rate: whoever was frozen comes back with all his claims.
    if !is_held(pool, granted.joined, run).await {
        return Ok(Err(unstarted(granted)));
    }
    let before_gate = Instant::now();
    let entered = tokio::select! {
        biased;
        () = pool.stop.cancelled() => return Ok(Err(unstarted(granted))),
        () = pool.alive.closes(run) => return Ok(Err(unstarted(granted))),
        entered = pool.gate.enter(attempt, size, pool.environment.clock.now()) => entered,
    };
    let wait_us = micros(before_gate.elapsed());
    tracing::trace!(parent: &granted.span, limit.wait_us = wait_us, "waited for the account's limits");
    // Whoever was buried meanwhile, cut off from the store or frozen, would pay for what others were given; and what was
    // cancelled or paused meanwhile is not asked any more.
    let is_held = is_held(pool, granted.joined, run).await;
    match entered {
        Ok(_) if !is_held => Ok(Err(unstarted(granted))),
        Ok(pass) => {
            assay_common::crash_point!(Permitted);
            Ok(Ok(Ready { granted, planned, turn: Turn::Ask(prompt, pass) }))
        }
        Err(barred) => {
            pool.gate.hear_pause(&pool.environment.store, &pool.environment.clock).await;
            let settlement = Work::new(pool, grant).barred(barred);
            Ok(Err(settled(granted, settlement)))
        }
    }
}

/// Whether a job of `run` that was claimed in that life of this member may still be called; not once the pool stops.
async fn is_held(pool: &Pool, joined: u64, run: RunId) -> bool {
    tokio::select! {
        biased;
        () = pool.stop.cancelled() => false,
        is_held = pool.alive.may_call(joined, run) => is_held,
    }
}

/// Executes a job under its span; `None` when the end came first.
async fn work(pool: &Pool, hands: &(Purse, Keeper), ready: Ready) -> Result<Option<GivenBack>, WorkerError> {
    let Ready { granted: Granted { grant, delivery, lane, span, .. }, planned, turn } = ready;
    let Ok(plan) = &*planned else { return Ok(None) };
    let work = Work::new(pool, &grant);
    let (settlement, slot) = match turn {
        Turn::Score(response) => (Some(span.in_scope(|| work.answered(plan, *response))), None),
        Turn::Ask(prompt, pass) => {
            let mut slot = Some(pass);
            let asked = work.carry_out(plan, &prompt, hands, &mut slot).instrument(span.clone()).await?;
            (asked, slot)
        }
    };
    Ok(settlement.map(|settlement| GivenBack { end: End::Settled(settlement), delivery, slot, lane, span }))
}
