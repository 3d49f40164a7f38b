//! What it costs PostgreSQL that a hundred workers renew what they hold of one account's limits, each as often as workers do.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use assay_common::clock::Clock;
use assay_common::id::MemberId;
use assay_common::limit::Dimension;
use assay_store::{Ask, Profile, Renewal, Schema, Store, StoreUrl};
use assay_worker::settled_pace;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::super::usage::{cpu_us, listener_on};
use super::super::{Plan, port_of};
use crate::binaries::Binaries;

/// What it is called beside the scenarios.
pub(super) const NAME: &str = "renewals";
const WORKERS: u32 = 100;
/// How long it is measured, after as long as a lease lives, in which all of them come to theirs.
const LASTS: Duration = Duration::from_secs(30);
/// As where assay.toml does not say.
const BEAT: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(4);
/// Of a beat, by how much one is longer or shorter than another.
const JITTER: f64 = 0.1;
/// What the account allows.
const LIMITS: [(Dimension, u64); 2] = [(Dimension::Requests, 6_000), (Dimension::Tokens, 20_000_000)];
/// Of a processor core, what all of it may cost.
const MOST: f64 = 0.05;
const MILLION: u64 = 1_000_000;

/// What it took.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Renewed {
    /// How many workers.
    workers: u32,
    /// Transactions a second.
    renewals_per_s: f64,
    /// How long half of them took at most, in milliseconds, and how long all but one of a hundred.
    median_ms: f64,
    slow_ms: f64,
    /// Of a processor core, what PostgreSQL used.
    postgres: f64,
}

/// Measures it.
pub(super) async fn measure(binaries: &Binaries, plan: &Plan) -> anyhow::Result<Renewed> {
    binaries.migrate(&plan.store)?;
    let server =
        port_of(&plan.store, 5432).and_then(listener_on).context("PostgreSQL is on another machine")?;
    let url: StoreUrl = plan.store.parse()?;
    let store = Store::open(&url, Schema::Require).await?;
    let begin = Instant::now() + LEASE;
    let end = begin + LASTS;
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(work(store.clone(), u64::from(number), begin, end));
    }
    sleep_until(begin).await;
    let before = cpu_us(server)?;
    sleep_until(end).await;
    let used_us = cpu_us(server)?.saturating_sub(before);
    let mut took = Vec::new();
    while let Some(ended) = workers.join_next().await {
        took.append(&mut ended??);
    }
    ensure!(!took.is_empty(), "no worker has renewed anything");
    took.sort_unstable();
    let ms = |place: usize| took[place.min(took.len() - 1)].as_secs_f64() * 1e3;
    Ok(Renewed {
        workers: WORKERS,
        renewals_per_s: took.len() as f64 / LASTS.as_secs_f64(),
        median_ms: ms(took.len() / 2),
        slow_ms: ms(took.len() * 99 / 100),
        postgres: used_us as f64 / LASTS.as_micros() as f64,
    })
}

/// A worker that could use more than it gets. Returns how long each renewal took.
async fn work(store: Store, number: u64, begin: Instant, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let clock = Clock::system();
    let mut chance = StdRng::seed_from_u64(number);
    let member: MemberId = format!("00000000-0000-7000-8000-{number:012}").parse()?;
    let mut asks: Vec<_> = LIMITS.map(|(dimension, limit)| ask(dimension, limit)).into();
    let (mut took, mut before) = (Vec::new(), Vec::new());
    // They began at any time.
    let mut next = Instant::now() + BEAT.mul_f64(chance.random_range(0.0..1.0));
    while next < end {
        sleep_until(next).await;
        let started = Instant::now();
        let answers = store
            .renew(Renewal { member, asks: asks.clone(), beside: Vec::new(), ttl: LEASE }, clock.now())
            .await?;
        if started >= begin {
            took.push(started.elapsed());
        }
        let now: Vec<_> = answers.iter().map(|answer| answer.amount).collect();
        for (ask, answer) in asks.iter_mut().zip(answers) {
            ask.acked = answer.seq;
            ask.used += answer.amount.unwrap_or_default() / MILLION;
        }
        let pace = if now == before { settled_pace(BEAT, LEASE) } else { BEAT };
        before = now;
        next = started + pace.mul_f64(chance.random_range(1.0 - JITTER..1.0 + JITTER));
    }
    Ok(took)
}

fn ask(dimension: Dimension, limit: u64) -> Ask {
    Ask {
        scope: NAME.to_owned(),
        dimension,
        configured: Some(limit),
        profile: Profile::default(),
        want: limit * MILLION,
        burst: MILLION,
        acked: 0,
        used: 0,
        said: None,
        refused: None,
        lacks: None,
        needs: None,
    }
}

/// What a person reads.
pub(super) fn line(renewed: &Renewed) -> String {
    let Renewed { workers, renewals_per_s, median_ms, slow_ms, postgres } = renewed;
    let verdict = if *postgres <= MOST { "reached" } else { "MISSED " };
    format!(
        "{verdict}  of a core, what {workers} workers' renewals cost PostgreSQL: at most {MOST}: {postgres:.3} \
         ({renewals_per_s:.1} a second, {median_ms:.1} ms, one of a hundred longer than {slow_ms:.1} ms)\n"
    )
}
