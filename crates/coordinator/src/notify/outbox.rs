//! A pass over the outbox: events are planned for the webhooks that want them, and what is due is tried. Any number may do so at
//! once: a delivery is claimed before it is tried.

use std::convert::Infallible;
use std::time::Duration;

use assay_common::clock::Clock;
use assay_common::config::Config;
use assay_store::{Delivery, Event, Store, StoreError};
use futures_util::future::{join, join_all};
use tokio::time::{Instant, sleep};

use super::attempts::pause_after;
use super::send::{ATTEMPT, send};
use super::target::{Target, targets};
use crate::report::civil;

/// Events that are planned, and deliveries to one webhook that are read, at a time.
const PAGE: u32 = 100;
/// How long a claim holds: longer than any attempt.
const CLAIM: Duration = Duration::from_secs(3 * ATTEMPT.as_secs());
/// An attempt that would have less than this is left to somebody with more time.
const LEAST: Duration = Duration::from_secs(1);
/// How often a webhook that has nothing to be told is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What became of the messages to one webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its name in assay.toml.
    pub webhook: String,
    /// Messages that it took.
    pub taken: u64,
    /// Those that it did not take, as `KIND of MOMENT: why`.
    pub refused: Vec<String>,
    /// Those that another process sends.
    pub elsewhere: u64,
    /// Whether there was no time to try them all.
    pub cut_short: bool,
}

impl Told {
    fn of(target: &Target<'_>) -> Self {
        Self { webhook: target.name.to_owned(), ..Self::default() }
    }

    /// Whether nothing was refused, and nothing left for want of time.
    pub fn is_done(&self) -> bool {
        self.refused.is_empty() && !self.cut_short
    }

    fn note(&mut self, event: &Event, ended: Option<Result<(), String>>) {
        match ended {
            None => self.elsewhere += 1,
            Some(Ok(())) => self.taken += 1,
            Some(Err(why)) => self.refused.push(format!("`{}` of {}: {why}", event.kind, civil(event.at))),
        }
    }
}

/// Makes a pass for the webhooks of a configuration, or for the one called `only`, side by side; `variable` reads the environment.
/// What is begun within `patience` ends within it: an attempt that has no answer by then has failed, and is recorded so.
pub async fn tell(
    store: &Store,
    config: &Config,
    clock: &Clock,
    variable: impl Fn(&str) -> Option<String>,
    only: Option<&str>,
    patience: Duration,
) -> Result<Vec<Told>, StoreError> {
    let until = Instant::now() + patience;
    let targets = targets(config, variable);
    // For all of them, whoever is told: an event is planned once.
    plan(store, &targets, clock).await?;
    let meant = targets.iter().filter(|target| only.is_none_or(|name| target.name == name));
    join_all(meant.map(|target| turn(store, target, clock, Some(until)))).await.into_iter().collect()
}

/// Makes one attempt at each of these deliveries, side by side, and at nothing else.
pub async fn tell_these(
    store: &Store,
    config: &Config,
    clock: &Clock,
    variable: impl Fn(&str) -> Option<String>,
    deliveries: &[Delivery],
) -> Result<Vec<Told>, StoreError> {
    let targets = targets(config, variable);
    let attempt = async |target: &Target<'_>, delivery: &Delivery| {
        let mut told = Told::of(target);
        told.note(&delivery.event, deliver(store, target, delivery, clock, ATTEMPT).await?);
        Ok(told)
    };
    let of = |delivery: &Delivery| targets.iter().find(|target| target.name == delivery.webhook);
    let meant = deliveries.iter().filter_map(|delivery| Some((of(delivery)?, delivery)));
    join_all(meant.map(|(target, delivery)| attempt(target, delivery))).await.into_iter().collect()
}

/// Goes on telling the webhooks of a configuration, each in a loop of its own: one that is slow holds nothing up but its own
/// messages.
pub async fn keep_telling(
    store: &Store,
    config: &Config,
    clock: &Clock,
    variable: impl Fn(&str) -> Option<String>,
) -> Infallible {
    let targets = targets(config, variable);
    let turns = targets.iter().map(|target| keep_turning(store, target, clock));
    join(keep_planning(store, &targets, clock), join_all(turns)).await.0
}

async fn keep_planning(store: &Store, targets: &[Target<'_>], clock: &Clock) -> Infallible {
    loop {
        if let Err(error) = plan(store, targets, clock).await {
            tracing::debug!(%error, "cannot look for what is to be told, trying again: {error}");
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn keep_turning(store: &Store, target: &Target<'_>, clock: &Clock) -> Infallible {
    loop {
        if let Err(error) = turn(store, target, clock, None).await {
            let webhook = target.name;
            tracing::debug!(webhook, %error, "cannot look for what {webhook} is to be told, trying again: {error}");
        }
        sleep(LOOK_EVERY).await;
    }
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

/// Tells one webhook what is due, one message after another; where there is an end, as far as there is time for it.
async fn turn(
    store: &Store,
    target: &Target<'_>,
    clock: &Clock,
    until: Option<Instant>,
) -> Result<Told, StoreError> {
    let mut told = Told::of(target);
    loop {
        let due = store.due_deliveries(target.name, clock.now(), PAGE).await?;
        if due.is_empty() {
            return Ok(told);
        }
        for delivery in due {
            let limit =
                until.map_or(ATTEMPT, |until| ATTEMPT.min(until.saturating_duration_since(Instant::now())));
            if limit < LEAST {
                told.cut_short = true;
                return Ok(told);
            }
            told.note(&delivery.event, deliver(store, target, &delivery, clock, limit).await?);
        }
    }
}

/// One attempt; `None` where somebody else makes it.
async fn deliver(
    store: &Store,
    target: &Target<'_>,
    delivery: &Delivery,
    clock: &Clock,
    limit: Duration,
) -> Result<Option<Result<(), String>>, StoreError> {
    if !store.claim_delivery(delivery, clock.now().plus(CLAIM)).await? {
        return Ok(None);
    }
    let sent = match &target.way {
        Ok(way) => send(way, &delivery.event, clock.now(), limit).await,
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
