//! Leading: rounds over every open run, until told to stop or another leads.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use assay_common::id::RunId;
use assay_store::{Mandate, Run, StoreError};
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::attention::Attention;
use super::broker::Broker;
use crate::environment::Environment;
use crate::judge::catch_up;
use crate::notify::keep_telling;
use crate::review::ranges::watch;
use crate::run::DriveError;
use crate::run::course::Standing;
use crate::run::dispatch::Dispatch;
use crate::run::round::{Outage, Rounds};
use crate::schedule::Sweeper;
use crate::schedule::sweeper::STEP_EVERY;

/// How often runs that are over are looked for, to be judged.
const JUDGE_EVERY: Duration = Duration::from_millis(500);
/// How often signals are held against their ranges.
const WATCH_EVERY: Duration = Duration::from_secs(60);

/// Makes rounds until `stop`; judges what is over, tells of it, and looks after schedules, beside them. Only what no waiting cures
/// ends it: another leader, or a store that cannot be read.
pub(super) async fn lead(
    environment: Environment,
    mandate: Mandate,
    stop: &CancellationToken,
) -> Result<(), DriveError> {
    let judging = judge(environment.clone());
    let watching = watch_ranges(environment.clone());
    let telling = notify(environment.clone());
    let sweeping = sweep(environment.clone(), mandate);
    tokio::select! {
        biased;
        led = rounds(environment, mandate, stop) => led,
        never = judging => match never {},
        never = watching => match never {},
        never = telling => match never {},
        never = sweeping => match never {},
    }
}

/// Records the verdicts of runs that are over, one after the other: a large report takes longer than a round may.
async fn judge(environment: Environment) -> Infallible {
    loop {
        if let Err(error) = catch_up(&environment.store, environment.clock.now()).await {
            tracing::debug!(%error, "cannot judge what is over, trying again: {error}");
        }
        sleep(JUDGE_EVERY).await;
    }
}

/// Holds signals against their ranges.
async fn watch_ranges(environment: Environment) -> Infallible {
    loop {
        if let Err(error) = watch(&environment.store, environment.clock.now()).await {
            tracing::debug!(%error, "cannot look at the ranges, trying again: {error}");
        }
        sleep(WATCH_EVERY).await;
    }
}

/// Tells webhooks of what happened.
async fn notify(environment: Environment) -> Infallible {
    let Environment { store, clock, config, .. } = &environment;
    keep_telling(store, config, clock, |name| std::env::var(name).ok()).await
}

/// Fires the schedules that are due and judges their sweeps.
async fn sweep(environment: Environment, mandate: Mandate) -> Infallible {
    let Environment { store, clock, .. } = &environment;
    // Without randomness nothing is fired: the next look may have some.
    loop {
        match StdRng::try_from_rng(&mut SysRng) {
            Ok(mut rng) => {
                if let Err(error) = Sweeper::new(store, clock.clone(), mandate, rng.random()).step().await {
                    tracing::warn!(%error, "cannot look after schedules, trying again: {error}");
                }
            }
            Err(error) => tracing::error!(%error, "cannot draw random numbers: {error}"),
        }
        sleep(STEP_EVERY).await;
    }
}

async fn rounds(
    environment: Environment,
    mandate: Mandate,
    stop: &CancellationToken,
) -> Result<(), DriveError> {
    let mut leader = Leader {
        environment,
        mandate,
        rounds: None,
        attention: Attention::default(),
        left_out: BTreeSet::new(),
        broker: Broker::default(),
    };
    let (mut outage, mut undispatched) = (Outage::default(), Outage::default());
    while !stop.is_cancelled() {
        let asked = Instant::now();
        let pause = match leader.round(&mut undispatched).await {
            Ok(pause) => {
                outage.ends();
                pause
            }
            Err(error) if error.may_pass() => outage.goes_on(&error, asked).1,
            Err(error) => return Err(error),
        };
        tokio::select! {
            biased;
            () = sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

struct Leader {
    environment: Environment,
    mandate: Mandate,
    /// Begun with the first round, when the store says which queues there may be.
    rounds: Option<Rounds>,
    attention: Attention,
    /// Runs that cannot be driven: said once.
    left_out: BTreeSet<RunId>,
    broker: Broker,
}

impl Leader {
    /// One round; returns the pause after it.
    async fn round(&mut self, undispatched: &mut Outage) -> Result<Duration, DriveError> {
        let Self { environment, mandate, attention, left_out, broker, .. } = self;
        let rounds = match &mut self.rounds {
            Some(rounds) => rounds,
            None => {
                let dispatch = Dispatch::with_leftovers(environment.store.known_pools().await?);
                self.rounds.insert(Rounds::new(environment.clone(), *mandate, dispatch))
            }
        };
        let runs = environment.store.open_runs().await?;
        left_out.retain(|id| runs.iter().any(|run| run.id == *id));
        for run in runs.iter().filter(|run| !left_out.contains(&run.id)).collect::<Vec<_>>() {
            match rounds.take_up(run).await {
                Err(error) if !error.may_pass() => {
                    tracing::error!(run.id = %run.id, %error, "cannot drive run {}: {error}", run.id);
                    left_out.insert(run.id);
                }
                taken => taken?,
            }
        }
        let seen = rounds.go(&runs).await?;
        for (id, standing) in seen.standings {
            conclude(environment, *mandate, id, standing).await?;
        }
        if let Some(workers) = seen.workers {
            attention.look(environment, &rounds.pools(), &workers).await?;
        }
        broker.look(environment, rounds, seen.undispatched.as_ref()).await?;
        match seen.undispatched {
            None => {
                undispatched.ends();
                Ok(seen.pause)
            }
            // Everything else goes on while the queue is away.
            Some(error) => Ok(undispatched.goes_on(&error.into(), Instant::now()).1),
        }
    }
}

async fn conclude(
    environment: &Environment,
    mandate: Mandate,
    id: RunId,
    standing: Standing,
) -> Result<(), StoreError> {
    match standing {
        Standing::GoesOn => {}
        Standing::Finished(run) => tell_finished(&run),
        Standing::Refused { account, problem } => {
            let reason = format!("{account} is refusing: {}", problem.detail);
            environment.store.hold_up(mandate, id, reason.clone(), environment.clock.now()).await?;
            tracing::warn!(run.id = %id, account.name = %account, "paused run {id}: {reason}");
        }
    }
    Ok(())
}

fn tell_finished(run: &Run) {
    let (id, jobs, planned, state) = (run.id, run.done(), run.planned, run.state.word());
    let duration = run.finished_at.map(|finished| finished.since(run.created_at)).unwrap_or_default();
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(run.id = %id, run.jobs = jobs, duration_ms, "{state} run {id}: {jobs} of {planned} jobs are done");
}
