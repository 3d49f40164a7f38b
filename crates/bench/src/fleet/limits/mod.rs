//! A fleet held to an account's limits by a strict provider, at real minutes, while its workers are killed, frozen and cut off.
//!
//! - `scenario`: what is measured, and the files of its run
//! - `trouble`: what happens to which worker, and when; pure
//! - `cable`: a way to a server that can fall silent
//! - `renewals`: what it costs that workers renew what they hold
//! - `report`: what a person reads

mod cable;
mod renewals;
mod report;
mod scenario;
mod trouble;

use std::io::{self, Write as _};
use std::process::Command;

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use serde::Serialize;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use self::cable::Cable;
use self::renewals::Renewed;
pub(crate) use self::report::table;
pub(crate) use self::scenario::NAMES;
use self::scenario::{SCENARIOS, Scenario, WINDOW};
use self::trouble::{Event, Step};
use super::processes::{Process, Processes, Site, submit};
use super::usage::{cpu_us, listener_on};
use super::{Plan, port_of};
use crate::binaries::Binaries;
use crate::provider::Provider;

/// How often the provider is asked whether calls have begun.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the first call may take.
const FIRST_CALL: Duration = Duration::from_secs(60);
/// What was admitted in the last moment of a window is on the bill by then.
const AFTERWARDS: Duration = Duration::from_millis(200);

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Found {
    scenarios: Vec<Measured>,
    renewals: Option<Renewed>,
}

/// Measures what has these names, or everything; each scenario over so many minutes, one after the other.
pub(crate) async fn measure(
    binaries: &Binaries,
    plan: &Plan,
    names: &[String],
    windows: u32,
) -> anyhow::Result<Found> {
    let is_meant = |name: &str| names.is_empty() || names.iter().any(|meant| meant == name);
    let mut scenarios = Vec::new();
    for scenario in SCENARIOS.into_iter().filter(|scenario| is_meant(scenario.name)) {
        writeln!(io::stderr(), "measuring {} for {windows} minutes and one to begin with", scenario.name)?;
        scenarios.push(Box::pin(play(binaries, plan, scenario, windows)).await?);
    }
    let mut renewals = None;
    if is_meant(renewals::NAME) {
        writeln!(io::stderr(), "measuring {}", renewals::NAME)?;
        renewals = Some(renewals::measure(binaries, plan).await?);
    }
    Ok(Found { scenarios, renewals })
}

/// What came of a scenario.
#[derive(Clone, Debug, Serialize)]
struct Measured {
    /// Which.
    #[serde(flatten)]
    scenario: Scenario,
    /// Of the limit, what was used in each of the provider's windows, one after the other.
    windows: Vec<f64>,
    /// Of the limit, the most that was used in any window, wherever it begins, from the first call on.
    peak: f64,
    /// Calls that were refused with 429, from the first call on.
    refused: u64,
    /// Workers that were killed, frozen or cut off.
    troubled: usize,
    /// Of a processor core, what PostgreSQL used in these windows for everything; `None` where it is on another machine.
    postgres: Option<f64>,
}

impl Measured {
    /// Of the limit, what was used on average.
    fn used(&self) -> f64 {
        self.windows.iter().sum::<f64>() / self.windows.len().max(1) as f64
    }

    /// Whether the figure is reached.
    fn is_reached(&self) -> bool {
        self.refused == 0 && self.used() >= self.scenario.least
    }
}

/// Measures one scenario over so many of the provider's windows, the first of which begins after the first call.
async fn play(
    binaries: &Binaries,
    plan: &Plan,
    scenario: Scenario,
    windows: u32,
) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    let provider = Provider::scripted(&binaries.fake_provider, folder.path(), &scenario.script())?;
    let cases = scenario.cases(windows);
    scenario.write(folder.path(), provider.base_url(), cases).context("failed to write the workload")?;
    binaries.migrate(&plan.store)?;
    // Never given twice: the folder's name is random.
    let name = folder.path().file_name().unwrap_or_default().to_string_lossy();
    let token = binaries.make_token(&plan.store, &format!("benchmark {name}"))?;
    let site = Site { assay: &binaries.assay, folder: folder.path(), store: &plan.store, queue: &plan.queue };
    let ways = ways(plan, scenario.workers).await?;
    let sites: Vec<_> =
        ways.iter().map(|way| Site { store: &way.store_url, queue: &way.queue_url, ..site }).collect();
    let mut fleet = Processes::start_at(site, &sites).await?;

    let run = submit(site, &fleet.address, &token, None).await?.stdout;
    let first_us = first_call_us(&provider).await?;
    let window_us = u64::try_from(WINDOW.as_micros())?;
    let first = first_us / window_us + 1;
    let begins_in = (first * window_us).saturating_sub(provider.bill()?.now_us);
    let begin = Instant::now() + Duration::from_micros(begins_in);
    sleep_until(begin).await;
    let postgres = port_of(&plan.store, 5432).and_then(listener_on);
    let cpu = || postgres.map(cpu_us).transpose();
    let before = cpu()?;

    let end = begin + WINDOW * windows;
    let steps = trouble::steps(scenario.trouble, windows, scenario.workers);
    let troubled = steps.iter().filter(|step| step.event.is_trouble()).count();
    let mut started = scenario.workers;
    for Step { at, worker, event } in steps {
        sleep_until((begin + at).min(end)).await;
        let process = &mut fleet.workers[worker];
        match event {
            Event::Kill => {
                process.kill();
                started += 1;
                *process = Process::start(sites[worker], "worker", started, &[])?;
            }
            Event::Freeze => process.signal(Signal::SIGSTOP)?,
            Event::Thaw => process.signal(Signal::SIGCONT)?,
            Event::CutOff => ways[worker].set_silent(true),
            Event::Reconnect => ways[worker].set_silent(false),
        }
    }
    sleep_until(end + AFTERWARDS).await;
    let after = cpu()?;
    let bill = provider.bill()?;
    ensure!(bill.calls < cases, "the run was over before the last window: it has too few cases");
    // Frozen or cut off, no worker would leave in good order; and nobody else is to find its run.
    fleet.workers.iter_mut().for_each(Process::kill);
    cancel(site, &run)?;

    let kept = bill.limits.context("the provider kept to no limits")?;
    let used = kept.used.get(scenario.dimension.word()).context("the provider counted something else")?;
    let of_limit = |amount: u64| amount as f64 / used.limit.max(1) as f64;
    let measured = used.windows.iter().skip(usize::try_from(first)?).take(windows as usize);
    let of_a_core = |(before, after): (u64, u64)| {
        after.saturating_sub(before) as f64 / (WINDOW * windows).as_micros() as f64
    };
    Ok(Measured {
        scenario,
        windows: measured.map(|used| of_limit(*used)).collect(),
        peak: of_limit(used.peak),
        refused: kept.refused,
        troubled,
        postgres: before.zip(after).map(of_a_core),
    })
}

/// When the first call came, by the provider's clock.
async fn first_call_us(provider: &Provider) -> anyhow::Result<u64> {
    let end = Instant::now() + FIRST_CALL;
    loop {
        if let Some(first_us) = provider.bill()?.first_call_us {
            return Ok(first_us);
        }
        ensure!(Instant::now() < end, "no worker has made a call");
        sleep(LOOK_EVERY).await;
    }
}

/// A worker's ways to the servers.
struct Way {
    store: Cable,
    store_url: String,
    queue: Cable,
    queue_url: String,
}

impl Way {
    fn set_silent(&self, silent: bool) {
        self.store.set_silent(silent);
        self.queue.set_silent(silent);
    }
}

async fn ways(plan: &Plan, workers: u32) -> anyhow::Result<Vec<Way>> {
    let mut ways = Vec::new();
    for _ in 0..workers {
        let (store, store_url) = cable::through(&plan.store, 5432).await?;
        let (queue, queue_url) = cable::through(&plan.queue, 5672).await?;
        ways.push(Way { store, store_url, queue, queue_url });
    }
    Ok(ways)
}

fn cancel(site: Site<'_>, run: &str) -> anyhow::Result<()> {
    let mut cancel = Command::new(site.assay);
    cancel.args(["cancel", run, "--store", site.store, "--reason", "measured"]).current_dir(site.folder);
    let cancelled = cancel.output().context("failed to start `assay cancel`")?;
    let told = String::from_utf8_lossy(&cancelled.stderr);
    ensure!(cancelled.status.success(), "`assay cancel` failed:\n{told}");
    Ok(())
}
