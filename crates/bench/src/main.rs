//! The benchmark: a whole `assay run`, or a fleet, against the fake provider, measured from outside.
//!
//! - `binaries`: the two programs it measures with, built and found
//! - `workload`: what is run, as files in a folder of its own
//! - `provider`: the fake provider as a process, and its bill; `http`: asking it
//! - `measure`: one workload, run and measured
//! - `resume`: a run killed and started again
//! - `compare`: two runs compared; `look`: a running gate looked at; `review`: a month reviewed
//! - `releases`: a channel moved among many versions
//! - `fleet`: a coordinator and workers, measured
//! - `figures`: the figures to reach
//! - `table`: what a person reads

mod binaries;
mod compare;
mod figures;
mod fleet;
mod http;
mod look;
mod measure;
mod provider;
mod releases;
mod resume;
mod review;
mod table;
mod workload;

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;

use crate::binaries::Binaries;
use crate::figures::Finding;
use crate::fleet::Plan;
use crate::fleet::limits;
use crate::measure::Measured;
use crate::workload::{StoreKind, Workload};

/// Runs `assay` on N cases against a fake provider and prints what it took.
#[derive(Parser)]
#[command(name = "assay-bench")]
struct Arguments {
    /// How many cases, one call each (default: 10,000; with --fleet 100,000)
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    cases: Option<u64>,
    /// How long the provider takes for an answer
    #[arg(long, default_value_t = 100)]
    latency_ms: u64,
    /// How many calls may be in flight
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,
    /// `sqlite`, a file of its own, or a postgres:// URL
    #[arg(long, default_value = "sqlite")]
    store: StoreKind,
    /// Measure the figures to reach, one after the other, and say which are reached
    #[arg(long, conflicts_with_all = ["cases", "latency_ms", "in_flight"])]
    figures: bool,
    /// Measure only what reads large runs: a comparison of two, and looks at a running gate
    #[arg(long, conflicts_with_all = ["cases", "latency_ms", "in_flight", "figures", "fleet", "json"])]
    reading: bool,
    /// Measure a coordinator and workers instead of `assay run`; needs --queue, and postgres:// in --store
    #[arg(long, conflicts_with_all = ["figures", "latency_ms"], requires = "queue")]
    fleet: bool,
    /// With --fleet: where hints wait, amqp://…, a virtual host for this alone
    #[arg(long, requires = "fleet")]
    queue: Option<String>,
    /// With --fleet: how many workers
    #[arg(long, default_value_t = 2, requires = "fleet", value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// Measure promotion and rollback among so many versions of a prompt, each with 100 results (the figure: 10,000)
    #[arg(long, value_name = "VERSIONS", conflicts_with_all = ["figures", "fleet", "cases", "json"])]
    #[arg(value_parser = clap::value_parser!(u64).range(3..))]
    releases: Option<u64>,
    /// With --fleet: an urgent run of 200 cases behind a sweep of --cases (default 50,000), and how long it may take
    #[arg(long, requires = "fleet", conflicts_with = "sizes")]
    urgent: bool,
    /// With --fleet: the peak memory of runs of these sizes, such as 1000,10000,100000, each on a fleet of its own
    #[arg(long, requires = "fleet", conflicts_with = "cases", value_delimiter = ',')]
    sizes: Vec<u64>,
    /// With --fleet: how far the workers together use an account's limits, and how often they exceed them. All scenarios, or some
    #[arg(long, requires = "fleet", conflicts_with_all = ["urgent", "sizes", "cases", "workers", "in_flight"])]
    #[arg(value_name = "SCENARIO,…", num_args = 0..=1, value_delimiter = ',', value_parser = limits::NAMES)]
    limits: Option<Vec<String>>,
    /// With --limits: how many minutes are measured of each scenario
    #[arg(long, default_value_t = 6, requires = "limits", value_parser = clap::value_parser!(u32).range(1..))]
    windows: u32,
    /// Measure what a permit of a limited account costs a call, when nobody else wants one (the figure: 2 µs)
    #[arg(long, conflicts_with_all = ["cases", "latency_ms", "in_flight", "figures", "reading", "fleet", "json"])]
    permits: bool,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Measure in this very process, which has no other child
    #[arg(long, hide = true)]
    measure: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let usual = match (arguments.fleet, arguments.urgent) {
        (true, true) => 50_000,
        (true, false) => 100_000,
        (false, _) => 10_000,
    };
    let cases = arguments.cases.unwrap_or(usual);
    let workload = Workload { cases, latency_ms: arguments.latency_ms, in_flight: arguments.in_flight };
    if arguments.permits {
        return permits();
    }
    let binaries = Binaries::beside_this()?;
    if arguments.measure {
        let measured = measure::measure(&binaries, workload, &arguments.store)?;
        return Ok(serde_json::to_writer(io::stdout(), &measured)?);
    }
    binaries.build()?;
    if let Some(queue) = arguments.queue {
        let StoreKind::Url(store) = arguments.store else { bail!("--fleet needs --store postgres://…") };
        let plan = Plan { cases, in_flight: arguments.in_flight, workers: arguments.workers, store, queue };
        if let Some(names) = arguments.limits {
            return measure_limits(&binaries, &plan, &names, arguments.windows, arguments.json);
        }
        return match (arguments.urgent, arguments.sizes.as_slice()) {
            (true, _) => measure_urgent(&binaries, &plan, arguments.json),
            (false, []) => measure_fleet(&binaries, &plan, arguments.json),
            (false, sizes) => measure_sizes(&binaries, &plan, sizes, arguments.json),
        };
    }
    if let StoreKind::Url(url) = &arguments.store {
        binaries.migrate(url)?;
    }
    if let Some(versions) = arguments.releases {
        writeln!(io::stderr(), "measuring releases among {versions} versions, {} results", versions * 100)?;
        let moved = releases::releases(&binaries, &arguments.store, versions)?;
        write!(io::stdout(), "{}", table::findings(&figures::of_releases(&moved)))?;
        return Ok(());
    }
    if arguments.reading {
        write!(io::stdout(), "{}", table::findings(&reading(&binaries, &arguments.store)?))?;
        return Ok(());
    }
    let workloads = if arguments.figures { figures::WORKLOADS.to_vec() } else { vec![workload] };
    let mut all = Vec::new();
    for workload in workloads {
        writeln!(io::stderr(), "measuring {workload}")?;
        all.push(in_child(workload, &arguments.store)?);
    }
    if arguments.json {
        let document =
            if arguments.figures { serde_json::to_string(&all)? } else { serde_json::to_string(&all[0])? };
        writeln!(io::stdout(), "{document}")?;
    } else {
        write!(io::stdout(), "{}", table::table(&all))?;
        if arguments.figures {
            writeln!(io::stderr(), "measuring a run that is killed and goes on")?;
            let mut findings = figures::findings(&all);
            findings.extend(figures::of_resuming(&resume::resume(&binaries, &arguments.store)?));
            findings.extend(reading(&binaries, &arguments.store)?);
            writeln!(io::stderr(), "measuring the review of a month")?;
            findings.push(figures::of_reviewing(review::review(&binaries, &arguments.store)?));
            write!(io::stdout(), "\n{}", table::findings(&findings))?;
        }
    }
    Ok(())
}

/// The median of several rounds: a machine does other things too.
fn permits() -> anyhow::Result<()> {
    const PERMITS: u32 = 100_000;
    let round = || Ok(runtime()?.block_on(assay_worker::time_permits(PERMITS)) / PERMITS);
    let mut each = (0..9).map(|_| round()).collect::<io::Result<Vec<_>>>()?;
    each.sort_unstable();
    Ok(writeln!(io::stdout(), "a permit takes {:?} (best {:?}, worst {:?})", each[4], each[0], each[8])?)
}

/// What reads large runs.
fn reading(binaries: &Binaries, store: &StoreKind) -> anyhow::Result<Vec<Finding>> {
    writeln!(io::stderr(), "measuring the comparison of two runs")?;
    let compared = figures::of_comparing(compare::compare(binaries, store)?);
    writeln!(io::stderr(), "measuring looks at a running gate")?;
    let looked = figures::of_looking(&look::look(binaries, store)?);
    Ok([compared].into_iter().chain(looked).collect())
}

fn measure_fleet(binaries: &Binaries, plan: &Plan, json: bool) -> anyhow::Result<()> {
    writeln!(io::stderr(), "measuring a fleet: {} cases, {} workers", plan.cases, plan.workers)?;
    let measured = runtime()?.block_on(fleet::measure(binaries, plan))?;
    let mut out = io::stdout();
    if json {
        writeln!(out, "{}", serde_json::to_string(&measured)?)?;
    } else {
        let findings = table::findings(&fleet::findings(&measured));
        write!(out, "{}\n{findings}", fleet::table(&measured))?;
    }
    Ok(())
}

fn measure_urgent(binaries: &Binaries, plan: &Plan, json: bool) -> anyhow::Result<()> {
    writeln!(io::stderr(), "measuring an urgent run behind a sweep of {} cases", plan.cases)?;
    let overtaken = runtime()?.block_on(fleet::urgent::measure(binaries, plan))?;
    let text = match json {
        true => serde_json::to_string(&overtaken)? + "\n",
        false => fleet::urgent::table(&overtaken),
    };
    Ok(write!(io::stdout(), "{text}")?)
}

fn measure_sizes(binaries: &Binaries, plan: &Plan, sizes: &[u64], json: bool) -> anyhow::Result<()> {
    let all = runtime()?.block_on(fleet::sizes::sizes(binaries, plan, sizes))?;
    let text = match json {
        true => serde_json::to_string(&all)? + "\n",
        false => fleet::sizes::table(&all),
    };
    Ok(write!(io::stdout(), "{text}")?)
}

fn measure_limits(
    binaries: &Binaries,
    plan: &Plan,
    names: &[String],
    windows: u32,
    json: bool,
) -> anyhow::Result<()> {
    // Cables must not wait for whoever measures.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let found = runtime.block_on(limits::measure(binaries, plan, names, windows))?;
    let text = match json {
        true => serde_json::to_string(&found)? + "\n",
        false => limits::table(&found),
    };
    Ok(write!(io::stdout(), "{text}")?)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build()
}

/// Measures in a process of its own: the peak memory of children is one maximum over all that a process had.
fn in_child(workload: Workload, store: &StoreKind) -> anyhow::Result<Measured> {
    let child = Command::new(std::env::current_exe()?)
        .arg("--measure")
        .args(["--cases", &workload.cases.to_string()])
        .args(["--latency-ms", &workload.latency_ms.to_string()])
        .args(["--in-flight", &workload.in_flight.to_string()])
        .args(["--store", store.as_str()])
        .stderr(Stdio::inherit())
        .output()
        .context("failed to start the measuring process")?;
    ensure!(child.status.success(), "the measuring process failed");
    serde_json::from_slice(&child.stdout).context("failed to read what the measuring process found")
}
