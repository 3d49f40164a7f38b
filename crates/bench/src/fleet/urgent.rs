//! An urgent run behind a sweep: how long it takes, and how long it may.
//!
//! It waits for what is out when it comes (the window, and what workers hold), for its own jobs, and for a job of the sweep in each of
//! its turns: together, divided by the rate, and the longest call.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::processes::{Processes, Site, submit};
use super::{LOOK_EVERY, Plan};
use crate::binaries::Binaries;
use crate::http;
use crate::provider::Provider;
use crate::workload::{Workload, write_cases};

/// Cases of the urgent run.
const URGENT: u64 = 200;
/// Its jobs in one of its turns, in which the sweep has one.
const TURN: u64 = 10;
/// How long the provider takes for each call.
const LATENCY_MS: u64 = 100;
/// Of the sweep, one part in so many is done before the urgent run comes.
const HEAD_START: u64 = 5;
/// Jobs that a worker takes in advance beside those in flight, twice: one claim, and as many that wait for a slot.
const BATCH: u64 = 64;
/// Seconds of a pool's work that wait in its queue.
const SECONDS_AHEAD: f64 = 5.0;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Overtaken {
    /// Jobs of the sweep.
    pub(crate) sweep: u64,
    /// Jobs of the urgent run.
    pub(crate) urgent: u64,
    /// From the moment at which the urgent run was accepted until it was over, in seconds.
    pub(crate) took_s: f64,
    /// Jobs of both runs a second in that time.
    pub(crate) jobs_per_s: f64,
    /// Jobs of the sweep that were done in that time.
    pub(crate) beside: u64,
    /// The widest that the window may have been.
    pub(crate) window: u64,
    /// The most that workers may have held beside it.
    pub(crate) held: u64,
    /// The longest that the urgent run may take, in seconds.
    pub(crate) bound_s: f64,
}

/// Submits a sweep of `plan.cases` and, when it is under way, an urgent run; measures the latter.
pub(crate) async fn measure(binaries: &Binaries, plan: &Plan) -> anyhow::Result<Overtaken> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    let provider = Provider::start(&binaries.fake_provider, LATENCY_MS)?;
    let workload = Workload { cases: plan.cases, latency_ms: LATENCY_MS, in_flight: plan.in_flight };
    workload.write(folder.path(), provider.base_url()).context("failed to write the workload")?;
    binaries.migrate(&plan.store)?;
    // Never given twice: the folder's name is random.
    let name = folder.path().file_name().unwrap_or_default().to_string_lossy();
    let token = binaries.make_token(&plan.store, &format!("benchmark {name}"))?;
    let site = Site { assay: &binaries.assay, folder: folder.path(), store: &plan.store, queue: &plan.queue };
    let fleet = Processes::start(site, plan.workers).await?;
    let look = |run: &str| -> anyhow::Result<Value> {
        http::get(&fleet.address, &format!("/v1/runs/{run}"), Some(&token))
    };
    let done = |run: &str| -> anyhow::Result<u64> {
        look(run)?["counts"]["done"].as_u64().context("a run without counts")
    };

    let sweep = submit(site, &fleet.address, &token, Some("sweep")).await?.stdout;
    let begun = Instant::now();
    while done(&sweep)? < plan.cases / HEAD_START {
        sleep(LOOK_EVERY).await;
    }
    // The window was filled at this pace: what waits in it when the urgent run comes does not shrink with a busy machine.
    let pace = done(&sweep)? as f64 / begun.elapsed().as_secs_f64();
    write_cases(folder.path(), URGENT).context("failed to write the cases")?;
    let urgent = submit(site, &fleet.address, &token, Some("interactive")).await?.stdout;
    let (accepted, before) = (Instant::now(), done(&sweep)? + done(&urgent)?);
    while look(&urgent)?["run"]["state"] != "completed" {
        sleep(LOOK_EVERY).await;
    }
    let took_s = accepted.elapsed().as_secs_f64();
    let swept = done(&sweep)?;
    ensure!(swept < plan.cases, "the sweep was over before the urgent run: give it more --cases");
    let jobs = (swept + done(&urgent)?).saturating_sub(before);
    let jobs_per_s = jobs as f64 / took_s;
    let in_flight = u64::from(plan.in_flight);
    let held = u64::from(plan.workers) * (2 * in_flight + BATCH + in_flight.max(BATCH));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a rate is positive, and far from the largest number"
    )]
    let window = held + (pace.max(jobs_per_s) * SECONDS_AHEAD).ceil() as u64;
    let longest_call_s = LATENCY_MS as f64 / 1_000.0;
    Ok(Overtaken {
        sweep: plan.cases,
        urgent: URGENT,
        took_s,
        jobs_per_s,
        beside: jobs.saturating_sub(URGENT),
        window,
        held,
        bound_s: (URGENT + URGENT / TURN + window + held) as f64 / jobs_per_s + longest_call_s,
    })
}

/// What a person reads.
pub(crate) fn table(overtaken: &Overtaken) -> String {
    let Overtaken { sweep, urgent, took_s, jobs_per_s, beside, window, held, bound_s } = overtaken;
    let mut text = format!("| {:<47} | {:>12} |\n", "jobs: sweep, urgent", format!("{sweep}, {urgent}"));
    let _ = writeln!(text, "|{}|{}:|", "-".repeat(49), "-".repeat(13));
    for (name, value) in [
        ("jobs/s of both", format!("{jobs_per_s:.0}")),
        ("out before it (hints): window, held by workers", format!("{window}, {held}")),
        ("done of the sweep beside the urgent run", beside.to_string()),
        ("the urgent run took (s)", format!("{took_s:.2}")),
        ("it may take (1.1 jobs + out) / rate + call (s)", format!("{bound_s:.2}")),
    ] {
        let _ = writeln!(text, "| {name:<47} | {value:>12} |");
    }
    text
}
