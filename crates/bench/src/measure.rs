//! One workload, run by the real binary and measured by the operating system.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::binaries::Binaries;
use crate::provider::Provider;
use crate::workload::{StoreKind, Workload};

/// What one run took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// What was run.
    #[serde(flatten)]
    pub(crate) workload: Workload,
    /// `sqlite` or `postgres`.
    pub(crate) store: String,
    /// From the start of the process to its end, in seconds.
    pub(crate) wall_s: f64,
    /// Cases × latency / in flight, in seconds.
    pub(crate) ideal_wall_s: f64,
    /// Ideal wall / wall; `None` without latency.
    pub(crate) efficiency: Option<f64>,
    /// Cases / wall.
    pub(crate) cases_per_s: f64,
    /// User and system time of the process for 1,000 cases, in seconds.
    pub(crate) cpu_s_per_1000_cases: f64,
    /// The most memory the process had resident, in MiB.
    pub(crate) peak_rss_mib: f64,
    /// Size of the store's files for each case; `None` where the store is elsewhere.
    pub(crate) store_bytes_per_case: Option<f64>,
    /// Calls on the provider's bill.
    pub(crate) calls: u64,
    /// The most calls in flight that the provider saw.
    pub(crate) in_flight_peak: u64,
    /// From the start of the process to the first call, in seconds.
    pub(crate) first_call_s: f64,
}

/// Runs the workload. The process must not have waited for another child before: the system sums their times.
pub(crate) fn measure(
    binaries: &Binaries,
    workload: Workload,
    store: &StoreKind,
) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    let provider = Provider::start(&binaries.fake_provider, workload.latency_ms)?;
    workload.write(folder.path(), provider.base_url()).context("failed to write the workload")?;

    // The provider's clock, which the bill's times are told by.
    let before_us = provider.bill()?.now_us;
    let started = Instant::now();
    completed(assay(&binaries.assay, folder.path(), store).arg("--new"), workload)?;
    let wall_s = started.elapsed().as_secs_f64();

    // The provider is a child too, but nobody has waited for it yet.
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("failed to read the times of children")?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu_s = seconds(usage.user_time()) + seconds(usage.system_time());
    let bill = provider.bill()?;
    let first_call_us = bill.first_call_us.context("the provider saw no call")?;
    let ideal_wall_s = workload.ideal_wall_s();
    let cases = workload.cases as f64;
    Ok(Measured {
        workload,
        store: store.word().to_owned(),
        wall_s,
        ideal_wall_s,
        efficiency: (ideal_wall_s > 0.0).then_some(ideal_wall_s / wall_s),
        cases_per_s: cases / wall_s,
        cpu_s_per_1000_cases: cpu_s * 1_000.0 / cases,
        // Linux counts in KiB.
        peak_rss_mib: usage.max_rss() as f64 / 1_024.0,
        store_bytes_per_case: match store {
            StoreKind::Sqlite => Some(size(&folder.path().join(".assay"))? as f64 / cases),
            StoreKind::Url(_) => None,
        },
        calls: bill.calls,
        in_flight_peak: bill.in_flight_peak,
        first_call_s: first_call_us.saturating_sub(before_us) as f64 / 1e6,
    })
}

/// The command that runs the workload in `folder`, or goes on with it.
pub(crate) fn assay(program: &Path, folder: &Path, store: &StoreKind) -> Command {
    let mut command = Command::new(program);
    command.args(["run", "suite.yaml", "--json"]).current_dir(folder).stdin(Stdio::null());
    for variable in ["ASSAY_STORE", "ASSAY_CONFIG", "ASSAY_QUEUE", "RUST_LOG"] {
        command.env_remove(variable);
    }
    if let StoreKind::Url(url) = store {
        command.args(["--store", url]);
    }
    command
}

/// Runs assay to its end; an error unless every case passed.
pub(crate) fn completed(command: &mut Command, workload: Workload) -> anyhow::Result<()> {
    let ran = command.output().context("failed to start assay")?;
    if !ran.status.success() {
        bail!("assay ended with {}:\n{}", ran.status, String::from_utf8_lossy(&ran.stderr));
    }
    let report: Value = serde_json::from_slice(&ran.stdout).context("failed to read assay's report")?;
    let passed = &report["variants"][0]["passed"];
    ensure!(*passed == workload.cases, "{passed} of {} cases passed", workload.cases);
    Ok(())
}

/// Bytes of the files in a folder.
fn size(folder: &Path) -> std::io::Result<u64> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}
