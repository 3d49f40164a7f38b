//! Chaos: a fleet at work while its workers are killed one after the other, its broker is restarted, and its database is
//! killed; then the oracle's table.

use std::fmt;
use std::time::Duration;

use assay_common::id::RunId;
use assay_store::Store;
use fake_provider::Books;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::fleet::{Process, World};
use crate::oracle::books;
use crate::postgres::Server;
use crate::rabbitmq::Node;
use crate::scenes::provider;

/// How often the run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is done to whom.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Jobs of the run.
    pub jobs: u32,
    /// Workers at a time.
    pub workers: usize,
    /// Calls in flight of each.
    pub in_flight: u64,
    /// How long an answer takes, in milliseconds.
    pub latency_ms: u64,
    /// From one death to the next.
    pub kill_every: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    schedule: Schedule,
    books: Books,
    deaths: u64,
    took: Duration,
}

impl Outcome {
    /// Whether nothing is lost or doubled, and no more is paid twice than was in flight at deaths.
    pub fn holds(&self) -> bool {
        self.books.hold(self.most_paid_twice())
    }

    /// How many workers died.
    pub fn deaths(&self) -> u64 {
        self.deaths
    }

    fn most_paid_twice(&self) -> u64 {
        self.deaths * self.schedule.in_flight
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedule: Schedule { workers, in_flight, kill_every, .. }, deaths, took, .. } = self;
        writeln!(
            f,
            "{workers} workers with {in_flight} calls in flight each, one killed every {} s; {} s\n",
            kill_every.as_secs_f64(),
            took.as_secs()
        )?;
        writeln!(f, "{:<28} {deaths:>9}", "workers killed")?;
        writeln!(f, "{:<28} {:>9}", "broker restarts", 1)?;
        writeln!(f, "{:<28} {:>9}", "database kills and restarts", 1)?;
        write!(f, "{}", self.books)?;
        writeln!(f, "{:<28} {:>9}", "in flight at deaths, at most", self.most_paid_twice())?;
        let verdict = if self.holds() { "the promise holds" } else { "THE PROMISE IS BROKEN" };
        write!(f, "\n{verdict}")
    }
}

/// Runs it on servers that are whole and running, and so left behind.
///
/// # Panics
/// When the fleet does not end the run in time.
pub async fn chaos(schedule: Schedule, server: &Server, node: &Node) -> Outcome {
    let provider = provider(schedule.latency_ms).await;
    let mut world = World::between(server.url(), node.url().to_owned()).await;
    world
        .place
        .priced_provider(provider.base_url(), &format!("in_flight = {}", schedule.in_flight))
        .sums(schedule.jobs, "");
    world.dead_after = "3s";
    let coordinator = world.coordinator();
    let mut workers: Vec<_> = (0..schedule.workers).map(|_| world.worker()).collect();
    let run = world.submit_sums().await;
    let started = Instant::now();
    let store = world.store.clone();
    let breaking = async {
        until_done(&store, run, schedule.jobs / 4).await;
        block_in_place(|| {
            node.stop();
            node.restart();
        });
        until_done(&store, run, schedule.jobs / 2).await;
        block_in_place(|| {
            server.kill();
            server.restart();
        });
    };
    let (deaths, ()) =
        tokio::join!(killing(&mut world, &mut workers, &store, run, schedule.kill_every), breaking);
    world.finished(run).await;
    let took = started.elapsed();
    let books = books(&world.store, run, &[provider.bill()]).await;
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
    Outcome { schedule, books, deaths, took }
}

/// Kills and replaces one worker after the other until the run is over; returns how many.
async fn killing(
    world: &mut World,
    workers: &mut [Process],
    store: &Store,
    run: RunId,
    every: Duration,
) -> u64 {
    let mut deaths = 0;
    loop {
        let end = Instant::now() + every;
        while Instant::now() < end {
            sleep(LOOK_EVERY).await;
            // A store that is away says nothing.
            if let Ok(Some(run)) = store.run(run).await
                && run.state.is_over()
            {
                return deaths;
            }
        }
        let replacement = world.worker();
        std::mem::replace(&mut workers[0], replacement).kill();
        // The one that has lived longest is the next.
        workers.rotate_left(1);
        deaths += 1;
    }
}

async fn until_done(store: &Store, run: RunId, jobs: u32) {
    while !matches!(store.run(run).await, Ok(Some(run)) if run.done() >= u64::from(jobs)) {
        sleep(LOOK_EVERY).await;
    }
}
