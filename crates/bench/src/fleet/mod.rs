//! A fleet, measured: a coordinator and workers over RabbitMQ and PostgreSQL against the fake provider without latency.
//!
//! - `processes`: the fleet, and the submitting client
//! - `urgent`: an urgent run behind a sweep; `sizes`: memory from small runs to large ones
//! - `limits`: a fleet held to an account's limits while its workers are in trouble
//! - `usage`: processor time and memory of processes
//! - `report`: what a person reads, and the figures to reach

pub(crate) mod limits;
mod processes;
mod report;
pub(crate) mod sizes;
pub(crate) mod urgent;
mod usage;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use self::processes::{Processes, Site, submit};
pub(crate) use self::report::{findings, table};
use self::usage::{cpu_us, listener_on, peak_rss_mib};
use crate::binaries::Binaries;
use crate::http;
use crate::provider::Provider;
use crate::workload::{Workload, write_cases};

/// Cases of the run that finds the fleet idle.
const FEW: u64 = 100;
/// How long the fleet is left alone before that.
const IDLE_FOR: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Cases of the large run.
    pub(crate) cases: u64,
    /// Calls in flight of each worker.
    pub(crate) in_flight: u32,
    /// How many workers.
    pub(crate) workers: u32,
    /// A PostgreSQL database for this alone.
    pub(crate) store: String,
    /// A RabbitMQ virtual host for this alone.
    pub(crate) queue: String,
}

/// What it took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Cases of the large run, one job each.
    pub(crate) cases: u64,
    /// How many workers.
    pub(crate) workers: u32,
    /// On an idle fleet: from the start of `assay submit` to the first call, in seconds.
    pub(crate) first_call_s: f64,
    /// From the start of `assay submit` to its end, in seconds: read, uploaded, stored, accepted.
    pub(crate) accepted_s: f64,
    /// From there until the run was over, in seconds.
    pub(crate) run_s: f64,
    /// Jobs / that time.
    pub(crate) jobs_per_s: f64,
    /// Peak memory of the submitting client, in MiB.
    pub(crate) client_mib: f64,
    /// Peak memory of the coordinator, in MiB.
    pub(crate) coordinator_mib: f64,
    /// Peak memory of the worker that needed most, in MiB.
    pub(crate) worker_mib: f64,
    /// Processor time of each part.
    pub(crate) parts: Vec<Part>,
}

/// Processor time of a part of the fleet, in microseconds a job.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Part {
    /// Which.
    pub(crate) name: &'static str,
    /// From the submission until it was accepted; `None` where the part is not on this machine.
    pub(crate) submit_us: Option<f64>,
    /// From there until the run was over.
    pub(crate) run_us: Option<f64>,
}

impl Measured {
    /// Processor time of all parts while the run went on; `None` where one of them could not be seen.
    pub(crate) fn run_us(&self) -> Option<f64> {
        self.parts.iter().map(|part| part.run_us).sum()
    }
}

/// Runs a fleet and measures it.
pub(crate) async fn measure(binaries: &Binaries, plan: &Plan) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    let provider = Provider::start(&binaries.fake_provider, 0)?;
    let workload = Workload { cases: FEW, latency_ms: 0, in_flight: plan.in_flight };
    workload.write(folder.path(), provider.base_url()).context("failed to write the workload")?;
    binaries.migrate(&plan.store)?;
    // Never given twice: the folder's name is random.
    let name = folder.path().file_name().unwrap_or_default().to_string_lossy();
    let token = binaries.make_token(&plan.store, &format!("benchmark {name}"))?;
    let site = Site { assay: &binaries.assay, folder: folder.path(), store: &plan.store, queue: &plan.queue };
    let fleet = Processes::start(site, plan.workers).await?;

    sleep(IDLE_FOR).await;
    let before_us = provider.bill()?.now_us;
    submit(site, &fleet.address, &token, None).await?;
    over(&fleet, &token, FEW).await?;
    let first_call_us = provider.bill()?.first_call_us.context("the provider saw no call")?;

    write_cases(folder.path(), plan.cases).context("failed to write the cases")?;
    let parts = parts(&fleet, &provider, plan);
    let at_first = looked_at(&parts)?;
    let submitted = submit(site, &fleet.address, &token, None).await?;
    let (accepted, at_accepted) = (Instant::now(), looked_at(&parts)?);
    over(&fleet, &token, plan.cases).await.with_context(|| format!("run {}", submitted.stdout))?;
    let run_s = accepted.elapsed().as_secs_f64();
    let at_end = looked_at(&parts)?;

    let a_job = |from: &Looked, to: &Looked| -> Vec<_> {
        let each = from.iter().zip(to);
        each.map(|(from, to)| Some((*to)?.saturating_sub((*from)?) as f64 / plan.cases as f64)).collect()
    };
    let (submit_us, run_us) = (a_job(&at_first, &at_accepted), a_job(&at_accepted, &at_end));
    let parts = parts.iter().zip(submit_us).zip(run_us);
    let peak = |process: &processes::Process| peak_rss_mib(process.pid()).unwrap_or_default();
    Ok(Measured {
        cases: plan.cases,
        workers: plan.workers,
        first_call_s: first_call_us.saturating_sub(before_us) as f64 / 1e6,
        accepted_s: submitted.wall_s,
        run_s,
        jobs_per_s: plan.cases as f64 / run_s,
        client_mib: submitted.peak_rss_mib,
        coordinator_mib: peak(&fleet.coordinator),
        worker_mib: fleet.workers.iter().map(peak).fold(0.0, f64::max),
        parts: parts.map(|(((name, _), submit_us), run_us)| Part { name, submit_us, run_us }).collect(),
    })
}

/// Waits until the latest run is over, and checks that every job passed.
async fn over(fleet: &Processes, token: &str, jobs: u64) -> anyhow::Result<()> {
    loop {
        let runs: Value = http::get(&fleet.address, "/v1/runs?limit=1", Some(token))?;
        let latest = &runs["items"][0];
        if latest["run"]["state"] == "completed" {
            ensure!(latest["counts"]["passed"] == jobs, "not every job passed: {latest}");
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The processes of each part of the fleet; none where they are not on this machine.
type Parts = Vec<(&'static str, Vec<u32>)>;
/// Processor time of each part so far, in microseconds.
type Looked = Vec<Option<u64>>;

fn parts(fleet: &Processes, provider: &Provider, plan: &Plan) -> Parts {
    let server = |url: &str, port| port_of(url, port).and_then(listener_on).into_iter().collect();
    vec![
        ("coordinator", vec![fleet.coordinator.pid()]),
        ("workers", fleet.workers.iter().map(processes::Process::pid).collect()),
        ("PostgreSQL", server(&plan.store, 5432)),
        ("RabbitMQ", server(&plan.queue, 5672)),
        ("fake provider", vec![provider.pid()]),
    ]
}

fn looked_at(parts: &Parts) -> anyhow::Result<Looked> {
    let time = |(_, pids): &(&str, Vec<u32>)| match pids.as_slice() {
        [] => Ok(None),
        pids => pids.iter().map(|pid| cpu_us(*pid)).sum::<anyhow::Result<u64>>().map(Some),
    };
    parts.iter().map(time).collect()
}

/// `HOST:PORT` of a URL, or its host alone.
fn place_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    Some(authority.rsplit_once('@').map_or(authority, |(_, place)| place))
}

/// The port of a URL whose host is this machine.
fn port_of(url: &str, default: u16) -> Option<u16> {
    let place = place_of(url)?;
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (place, default),
    };
    matches!(host, "localhost" | "127.0.0.1").then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_this_machine_have_a_port_to_look_at() {
        let check = |url, expected| assert_eq!(port_of(url, 5432), expected, "{url}");
        check("postgres://postgres@127.0.0.1:20001/bench", Some(20001));
        check("amqp://guest:a:b@localhost/%2f", Some(5432));
        check("postgres://ann:s3cret@db.internal:5432/x", None);
        check("sqlite:x.db", None);
    }
}
