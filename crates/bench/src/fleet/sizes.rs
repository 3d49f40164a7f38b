//! Memory from small runs to large ones: each size on a fleet of its own, since a process's peak is that of its whole life.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::{Measured, Plan, measure};
use crate::binaries::Binaries;

/// The most by which the peak of a coordinator or a worker may grow from the smallest size to the largest, in MiB.
const GROWTH_MIB: f64 = 20.0;

/// Measures each size after the other, the smallest first.
pub(crate) async fn sizes(binaries: &Binaries, plan: &Plan, sizes: &[u64]) -> anyhow::Result<Vec<Measured>> {
    let mut all = Vec::with_capacity(sizes.len());
    for cases in sizes {
        writeln!(io::stderr(), "measuring a fleet: {cases} cases, {} workers", plan.workers)?;
        all.push(measure(binaries, &Plan { cases: *cases, ..plan.clone() }).await?);
    }
    Ok(all)
}

/// What a person reads.
pub(crate) fn table(all: &[Measured]) -> String {
    let header = ["jobs", "coordinator (MiB)", "worker (MiB)", "client (MiB)", "jobs/s"];
    let mut text = header.iter().map(|name| format!("| {name:>17} ")).collect::<String>() + "|\n";
    text.push_str(&format!("|{}:", "-".repeat(18)).repeat(header.len()));
    text.push_str("|\n");
    for measured in all {
        let Measured { cases, coordinator_mib, worker_mib, client_mib, jobs_per_s, .. } = measured;
        let _ = writeln!(
            text,
            "| {cases:>17} | {coordinator_mib:>17.1} | {worker_mib:>17.1} | {client_mib:>17.1} | {jobs_per_s:>17.0} |"
        );
    }
    if let [first, .., last] = all {
        let (coordinator, worker) =
            (last.coordinator_mib - first.coordinator_mib, last.worker_mib - first.worker_mib);
        let verdict = if coordinator.max(worker) <= GROWTH_MIB { "reached" } else { "missed" };
        let times = last.cases as f64 / first.cases.max(1) as f64;
        let _ = writeln!(
            text,
            "\n{verdict}: {times:.0} times the jobs, coordinator {coordinator:+.1} MiB, worker {worker:+.1} MiB: at most {GROWTH_MIB} more"
        );
    }
    text
}
