//! The simulation: workers and coordinators as they are shipped, on one database in memory, in one thread and on paused
//! time, under faults that are drawn from a seed. Every seed must hold every invariant, and replays exactly.
//!
//! - `plan`: what is drawn from a seed: the fleet, its runs, and what befalls it when; `chance`: the draws
//! - `line`: the line of one process to the store, on which it dies, freezes, waits and is cut off
//! - `provider`: the providers, with the bill; `process`: workers and coordinators, one life after the other
//! - `world`: a plan is played to its end; `oracle`: what must hold then, and at every look before, of runs and of the fleet; `gate`: what is drawn of gates
//!   that look again and again, and what they may make of a run
//!
//! ```sh
//! cargo test --test simulation                                                   # a few hundred seeds
//! SEED=17 RUST_LOG=debug cargo test --test simulation every_seed -- --nocapture  # one of them, with its log
//! SEEDS=100000 cargo test --release --test simulation every_seed -- --nocapture  # many, and how many a minute
//! ```

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod chance;
mod gate;
mod line;
mod oracle;
mod plan;
mod process;
mod provider;
mod world;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use assay_common::suite::Suite;
use oracle::fleet::LEAST_WINDOW;
use plan::{Event, Fleet, Plan, Weather};
use tokio::runtime::{Builder, Handle};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use world::{Gates, Report, play};

/// Seeds of a run that nobody asked more of.
const SEEDS: u64 = 200;
/// Seeds after which it says how far it is.
const PORTION: usize = 1_000;

/// Plays one seed. The database does its work in `aside`.
fn simulate(seed: u64, aside: &Handle) -> Report {
    simulate_plan(Plan::draw(seed), aside)
}

fn simulate_plan(plan: Plan, aside: &Handle) -> Report {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(play(plan, aside.clone()))
}

/// Plays the plans of these numbers on every core; returns their reports in the order of the numbers, a panic as one.
fn simulate_all(numbers: &[u64], plan: impl Fn(u64) -> Plan + Sync) -> Vec<(u64, Report)> {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(numbers.len());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let play_share = || {
            let aside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let mut share = Vec::new();
            // Some take ten times as long as others: whoever is done takes the next.
            while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let played = catch_unwind(AssertUnwindSafe(|| simulate_plan(plan(*number), aside.handle())));
                share.push((*number, played.unwrap_or_else(|_| Report::of_panic())));
            }
            share
        };
        let cores: Vec<_> = (0..cores).map(|_| scope.spawn(play_share)).collect();
        let mut all: Vec<_> = cores.into_iter().flat_map(|core| core.join().unwrap()).collect();
        all.sort_by_key(|(number, _)| *number);
        all
    })
}

/// Says something on stderr, also where the output of a test that passes is kept back.
fn say(what: &str) {
    std::io::stderr().write_all(format!("{what}\n").as_bytes()).unwrap();
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
    assert!(!seeds.is_empty(), "SEEDS=0 plays nothing: leave it out for {SEEDS} seeds");
    let (began, count) = (Instant::now(), seeds.len());
    let (mut reports, mut failed) = (Vec::with_capacity(count), Vec::new());
    for portion in seeds.chunks(PORTION) {
        let played = simulate_all(portion, Plan::draw);
        for (seed, Report { wrong, .. }) in played.iter().filter(|(_, report)| !report.wrong.is_empty()) {
            say(&format!(
                "seed {seed} (replay it with SEED={seed} RUST_LOG=debug):\n  {}",
                wrong.join("\n  ")
            ));
            failed.push(*seed);
        }
        reports.extend(played);
        let (done, pace) = (reports.len(), reports.len() as f64 * 60.0 / began.elapsed().as_secs_f64());
        let left = (count - done) as f64 / pace;
        say(&format!("{done} of {count} seeds, {pace:.0} seeds a minute, {left:.0} minutes to go"));
    }
    let calls: usize = reports.iter().map(|(_, report)| report.calls).sum();
    let gates =
        |said: fn(&Gates) -> usize| reports.iter().map(|(_, report)| said(&report.gates)).sum::<usize>();
    let gates = [gates(|gates| gates.stopped), gates(|gates| gates.topped_up), gates(|gates| gates.verdicts)];
    let [ended, went_on, verdicts] = gates;
    say(&format!(
        "{calls} calls; gates ended {ended} runs, had {went_on} go on, and left {verdicts} verdicts"
    ));
    assert!(count < 100 || gates.iter().all(|said| *said > 0), "gates had no say: {gates:?}");
    assert!(failed.is_empty(), "{} of {count} seeds failed: {failed:?}", failed.len());
}

/// A process dies at each point at which it waits for the world, in a history of its own, and every promise holds.
#[test]
fn a_death_at_every_point() {
    for fleet in [Fleet::Laptop, Fleet::Of(1, 1)] {
        let plan = |doom: Option<u64>| {
            let drawn = Plan::draw(5);
            let suites = vec![plan::smallest()];
            let (trouble, events) = (Duration::from_secs(3), Vec::new());
            Plan { fleet, suites, weather: Weather::default(), events, trouble, fatal: None, doom, ..drawn }
        };
        let aside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let undisturbed = simulate_plan(plan(None), aside.handle());
        assert_eq!(undisturbed.wrong, [""; 0], "{fleet:?}");
        println!("{fleet:?}: {} points", undisturbed.points);
        let points: Vec<_> = (0..undisturbed.points).collect();
        assert!(points.len() > 100, "{} points are not a run", points.len());
        for (point, report) in simulate_all(&points, |point| plan(Some(point))) {
            assert_eq!(report.wrong, [""; 0], "{fleet:?}, death at point {point}");
            assert_ne!(report.history, undisturbed.history, "{fleet:?}: nobody died at point {point}");
        }
    }
}

/// A job that kills whoever carries it out ends as poison, and no other does for it.
#[test]
fn a_job_that_kills_is_found_out() {
    let plan = |seed: u64| {
        let drawn = Plan::draw(seed);
        // What was paid for by who died is not paid for a second time out of a budget, and no gate may leave the case out.
        let unlimited = |suite: &Suite| Suite { budget: None, gate: None, ..suite.clone() };
        let suites = drawn.suites.iter().map(unlimited).collect();
        let (weather, events, trouble) = (Weather::default(), Vec::new(), Duration::from_secs(120));
        Plan { fleet: Fleet::Of(2, 1), suites, weather, events, trouble, fatal: Some(1), ..drawn }
    };
    for (seed, report) in simulate_all(&[0, 1, 2, 3, 4, 5], plan) {
        assert_eq!(report.wrong, [""; 0], "seed {seed}");
        let poison: BTreeSet<_> = report.poison.iter().map(String::as_str).collect();
        assert_eq!(poison, BTreeSet::from(["1"]), "seed {seed}");
    }
}

/// A run whose gate wants more goes on with more when it is resumed, whenever it was paused: also while its last jobs were called.
#[test]
fn a_pause_takes_nothing_from_a_gate_that_wants_more() {
    let gate = gate::on_pass_rate(false, Some(12), 75);
    let mut suite = Suite { gate: Some(gate), ..plan::smallest() };
    suite.dataset.cases = 12;
    let plan = |millis| {
        let events = vec![(Duration::from_millis(millis), Event::Pause(0))];
        let (suites, weather, trouble) = (vec![suite.clone()], Weather::default(), Duration::from_secs(3));
        Plan {
            fleet: Fleet::Of(1, 1),
            suites,
            weather,
            events,
            trouble,
            fatal: None,
            doom: None,
            ..Plan::draw(5)
        }
    };
    let moments: Vec<u64> = (0..60).map(|moment| moment * 50).collect();
    let played = simulate_all(&moments, plan);
    for (millis, report) in &played {
        assert_eq!(report.wrong, [""; 0], "paused after {millis} ms");
    }
    assert!(played.iter().any(|(_, report)| report.gates.topped_up > 0), "no gate wanted more");
}

/// However long a run is, hints of it fill the window of its queue and no more: what the worker takes in advance (134), and five
/// seconds of its work, which is a dozen jobs in its best second, with three calls in flight of 50 ms to 1.5 s each (I10).
#[test]
fn a_queue_holds_a_window_of_a_run_of_any_length() {
    let plan = |cases| {
        let drawn = Plan::draw(5);
        let mut suite = Suite { budget: None, ..plan::smallest() };
        suite.dataset.cases = cases;
        let (weather, events, trouble) = (Weather::default(), Vec::new(), Duration::from_secs(3));
        let (fleet, suites) = (Fleet::Of(1, 1), vec![suite]);
        Plan { fleet, suites, weather, events, trouble, fatal: None, ..drawn }
    };
    for (cases, report) in simulate_all(&[300, 900], plan) {
        assert_eq!(report.wrong, [""; 0], "{cases} jobs");
        let deepest = report.deepest;
        assert!((LEAST_WINDOW..=134 + 5 * 12).contains(&deepest), "{deepest} hints of {cases} jobs");
    }
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
