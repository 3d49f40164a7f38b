//! The simulation: workers and coordinators as they are shipped, on one database in memory, in one thread and on paused
//! time, under faults that are drawn from a seed. Every seed must hold every invariant, and replays exactly.
//!
//! - `plan`: what is drawn from a seed: the fleet, its runs, and what befalls it when; `chance`: the draws
//! - `line`: the line of one process to the store, on which it dies, freezes, waits and is cut off
//! - `provider`: the providers, with the bill; `process`: workers and coordinators, one life after the other
//! - `world`: a plan is played to its end; `oracle`: what must hold then, and at every look before
//!
//! ```sh
//! cargo test --test simulation                                                   # a few hundred seeds
//! SEED=17 RUST_LOG=debug cargo test --test simulation every_seed -- --nocapture  # one of them, with its log
//! SEEDS=100000 cargo test --release --test simulation every_seed -- --nocapture  # many, and how many a minute
//! ```

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod chance;
mod line;
mod oracle;
mod plan;
mod process;
mod provider;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use plan::{Event, Fleet, Plan, Weather};
use tokio::runtime::{Builder, Handle};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use world::{Report, play};

/// Seeds of a run that nobody asked more of.
const SEEDS: u64 = 200;

/// Plays one seed. The database does its work in `aside`.
fn simulate(seed: u64, aside: &Handle) -> Report {
    simulate_plan(Plan::draw(seed), aside)
}

fn simulate_plan(plan: Plan, aside: &Handle) -> Report {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(play(plan, aside.clone()))
}

/// Plays seeds on every core; returns what was wrong, by seed, and what they came to together.
fn simulate_all(seeds: &[u64]) -> (Vec<(u64, Vec<String>)>, usize) {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(seeds.len());
    thread::scope(|scope| {
        let play_share = |core: usize| {
            let aside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let (mut wrong, mut calls) = (Vec::new(), 0);
            for seed in seeds.iter().skip(core).step_by(cores) {
                let report = catch_unwind(AssertUnwindSafe(|| simulate(*seed, aside.handle())));
                match report {
                    Ok(report) if report.wrong.is_empty() => calls += report.calls,
                    Ok(report) => wrong.push((*seed, report.wrong)),
                    Err(_) => wrong.push((*seed, vec!["it ended in a panic".to_owned()])),
                }
            }
            (wrong, calls)
        };
        let cores: Vec<_> = (0..cores).map(|core| scope.spawn(move || play_share(core))).collect();
        let mut all = (Vec::new(), 0);
        for (wrong, calls) in cores.into_iter().map(|core| core.join().unwrap()) {
            all.0.extend(wrong);
            all.1 += calls;
        }
        all.0.sort();
        all
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

#[test]
fn every_seed_holds_every_invariant() {
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => {
            let _ = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).try_init();
            vec![seed]
        }
        None => (0..number("SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let began = Instant::now();
    let (wrong, calls) = simulate_all(&seeds);
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let (count, pace) = (seeds.len(), seeds.len() as f64 / minutes);
    println!("{count} seeds with {calls} calls, {pace:.0} seeds a minute");
    for (seed, wrong) in &wrong {
        println!("seed {seed} (replay it with SEED={seed} RUST_LOG=debug):");
        wrong.iter().for_each(|what| println!("  {what}"));
    }
    let failed: Vec<_> = wrong.iter().map(|(seed, _)| seed).collect();
    assert!(failed.is_empty(), "{} of {count} seeds failed: {failed:?}", failed.len());
}

/// What a seed finds it finds again: the same things happen at the same moments.
#[test]
fn a_seed_replays_exactly() {
    let aside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for seed in [1, 2, 3] {
        let (one, other) = (simulate(seed, aside.handle()), simulate(seed, aside.handle()));
        assert_eq!(one, other, "seed {seed}");
    }
}

/// While the store is away nobody can beat, and nobody is dead for it.
#[test]
fn an_outage_of_the_store_is_nobodys_death() {
    let aside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for (fleet, seed) in (0..6).flat_map(|seed| [(Fleet::Laptop, seed), (Fleet::Of(2, 1), seed)]) {
        let events = vec![(Duration::from_millis(700), Event::Outage(Duration::from_secs(9)))];
        let trouble = Duration::from_secs(10);
        let plan = Plan { fleet, events, weather: Weather::default(), trouble, ..Plan::draw(seed) };
        let report = simulate_plan(plan, aside.handle());
        assert_eq!(report.wrong, [""; 0], "{fleet:?}, seed {seed}");
    }
}
