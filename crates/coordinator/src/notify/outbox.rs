//! A pass over the outbox: events are planned for the webhooks that want them, and what is due is tried. Any number may do so at
//! once: a delivery is claimed before it is tried.

use std::time::Duration;

use assay_common::clock::Clock;
use assay_common::config::Config;
use assay_store::{Delivery, Store, StoreError};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::attempts::pause_after;
use super::send::{ATTEMPT, send};
use super::target::{Target, targets};

/// Events that are planned, and deliveries to one webhook that are read, at a time.
const PAGE: u32 = 100;
/// How long a claim holds: longer than any attempt.
const CLAIM: Duration = Duration::from_secs(3 * ATTEMPT.as_secs());
/// How long one webhook is told one message after another in a pass, so that a slow one does not hold the others up.
const TURN: Duration = ATTEMPT;

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Messages that were taken.
    pub delivered: u64,
    /// What was not taken, as `NAME: why`.
    pub problems: Vec<String>,
}

/// Makes a pass for the webhooks of a configuration; `variable` reads the environment. It takes as long as two attempts at most.
pub async fn tell(
    store: &Store,
    config: &Config,
    clock: &Clock,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Told, StoreError> {
    let targets = targets(config, variable);
    plan(store, &targets, clock).await?;
    let mut told = Told::default();
    for turn in join_all(targets.iter().map(|target| turn(store, target, clock))).await {
        let turn = turn?;
        told.delivered += turn.delivered;
        told.problems.extend(turn.problems);
    }
    Ok(told)
}

async fn plan(store: &Store, targets: &[Target<'_>], clock: &Clock) -> Result<(), StoreError> {
    if targets.is_empty() {
        return Ok(());
    }
    loop {
        let now = clock.now();
        let events = store.unplanned_events(now, PAGE).await?;
        if events.is_empty() {
            return Ok(());
        }
        for event in events {
            let wanted = targets.iter().filter(|target| target.webhook.wants(&event.kind));
            let wanted = wanted.map(|target| target.name.to_owned()).collect();
            store.plan_deliveries(event.id, wanted, now).await?;
        }
    }
}

/// Tells one webhook what is due, until its turn is over or it takes nothing.
async fn turn(store: &Store, target: &Target<'_>, clock: &Clock) -> Result<Told, StoreError> {
    let began = Instant::now();
    let mut told = Told::default();
    loop {
        let due = store.due_deliveries(target.name, clock.now(), PAGE).await?;
        if due.is_empty() {
            return Ok(told);
        }
        for delivery in due {
            if began.elapsed() >= TURN {
                return Ok(told);
            }
            match deliver(store, target, &delivery, clock).await? {
                None => {}
                Some(Ok(())) => told.delivered += 1,
                Some(Err(problem)) => {
                    told.problems.push(format!("{}: {problem}", target.name));
                    return Ok(told);
                }
            }
        }
    }
}

/// One attempt; `None` where somebody else makes it.
async fn deliver(
    store: &Store,
    target: &Target<'_>,
    delivery: &Delivery,
    clock: &Clock,
) -> Result<Option<Result<(), String>>, StoreError> {
    if !store.claim_delivery(delivery, clock.now().plus(CLAIM)).await? {
        return Ok(None);
    }
    let sent = match &target.way {
        Ok(way) => send(way, &delivery.event, clock.now()).await,
        Err(problem) => Err(problem.clone()),
    };
    let (id, webhook, now) = (&delivery.event.id, target.name, clock.now());
    match &sent {
        Ok(()) => {
            store.delivered(delivery, now).await?;
            tracing::info!(event.id = %id, webhook, "told {webhook} of {}", delivery.event.kind);
        }
        Err(problem) => {
            let next = pause_after(delivery.attempts + 1).map(|pause| now.plus(pause));
            let again = if next.is_some() { "trying again" } else { "giving up" };
            store.delivery_failed(delivery, problem.clone(), next, now).await?;
            tracing::warn!(event.id = %id, webhook, problem, "cannot tell {webhook}, {again}: {problem}");
        }
    }
    Ok(Some(sent))
}
