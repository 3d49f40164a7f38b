//! Chaos: a fleet at work while its workers are killed one after the other, its broker is restarted, and its database is
//! killed; then the oracle's table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use assay_common::id::RunId;
use assay_common::job::CONVICTED_AFTER;
use assay_common::outcome::{ErrorKind, Outcome as End};
use assay_store::Store;
use fake_provider::Books;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::fleet::{Process, World};
use crate::oracle::books;
use crate::postgres::Server;
use crate::rabbitmq::Node;
use crate::scenes::provider;

/// Outcomes read at a time.
const PAGE: u32 = 10_000;
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
    ends: Ends,
    deaths: u64,
    took: Duration,
}

/// How jobs ended that are all answered well, as soon as somebody lives long enough to ask: how many of them in each way.
#[derive(Debug, Default)]
struct Ends {
    named: BTreeMap<String, u64>,
    /// Those called poison after fewer deaths than that takes.
    early: u64,
}

impl Ends {
    fn count(&mut self, end: End) {
        let name = match end {
            End::Errored(kind) => format!("errored ({})", kind.word()),
            end => end.word().to_owned(),
        };
        *self.named.entry(name).or_default() += 1;
    }

    /// Whether nothing but chance kept a job from passing: that it was called again and again by who was just killed.
    fn hold(&self) -> bool {
        let mut allowed = Self::default();
        [End::Passed, End::Errored(ErrorKind::Poison)].into_iter().for_each(|end| allowed.count(end));
        self.early == 0 && self.named.keys().all(|name| allowed.named.contains_key(name))
    }
}

impl Outcome {
    /// Whether somebody died and nothing is lost or doubled, no more is paid twice than was in flight at deaths, and every job passed,
    /// but for what those deaths made look like poison.
    pub fn holds(&self) -> bool {
        self.deaths > 0 && self.books.hold(self.most_paid_twice()) && self.ends.hold()
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
        for (name, jobs) in &self.ends.named {
            writeln!(f, "{name:<28} {jobs:>9}")?;
        }
        writeln!(f, "{:<28} {:>9}", "called poison too early", self.ends.early)?;
        writeln!(f, "{:<28} {:>9}", "in flight at deaths, at most", self.most_paid_twice())?;
        let verdict = match self.holds() {
            true => "the promise holds",
            false if *deaths == 0 => "NOTHING IS SHOWN: the run was over before anybody died",
            false => "THE PROMISE IS BROKEN",
        };
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
    let ends = ends(&world.store, run).await;
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
    Outcome { schedule, books, ends, deaths, took }
}

async fn ends(store: &Store, run: RunId) -> Ends {
    let (mut ends, mut last) = (Ends::default(), None);
    loop {
        let page = store.outcomes(run, last, PAGE).await.expect("the store answers again");
        let Some(row) = page.last() else { return ends };
        last = Some(row.ordinal);
        for row in page {
            ends.count(row.outcome);
            if row.outcome == End::Errored(ErrorKind::Poison) {
                let job =
                    store.results(run, row.ordinal.checked_sub(1), 1).await.expect("the store answers again");
                ends.early += u64::from(job[0].crash_claims < CONVICTED_AFTER);
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_breaks_the_promise_unless_it_is_poison() {
        let check = |ended: &[End], holds: bool| {
            let mut ends = Ends::default();
            ended.iter().for_each(|end| ends.count(*end));
            assert_eq!(ends.hold(), holds, "{ended:?}");
        };
        check(&[End::Passed, End::Passed], true);
        check(&[End::Passed, End::Errored(ErrorKind::Poison)], true);
        for wrong in
            [End::Failed, End::Cancelled, End::Errored(ErrorKind::Provider), End::Errored(ErrorKind::GaveUp)]
        {
            check(&[End::Passed, wrong], false);
        }
        assert!(!Ends { early: 1, ..Ends::default() }.hold());
    }
}
