//! What `tests/chaos.sh` runs: chaos at the size its arguments say, and the oracle's table on stdout.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use assay_tests::chaos::{Schedule, chaos};
use assay_tests::postgres::Server;
use assay_tests::rabbitmq::Node;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    let schedule = read(std::env::args().skip(1))?;
    let (server, node) = (Server::start(), Node::start());
    let outcome = chaos(schedule, &server, &node).await;
    writeln!(std::io::stdout(), "{outcome}")?;
    Ok(if outcome.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Pairs of a flag and a number.
fn read(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Schedule> {
    let mut schedule = Schedule {
        jobs: 50_000,
        workers: 4,
        in_flight: 50,
        latency_ms: 100,
        kill_every: Duration::from_secs(5),
    };
    while let Some(flag) = arguments.next() {
        let number = arguments.next().with_context(|| format!("{flag} takes a number"))?;
        let number: u32 = number.parse().with_context(|| format!("{flag} {number}"))?;
        match flag.as_str() {
            "--jobs" if number == 0 => bail!("--jobs 0 leaves nothing to lose: a run has one job at least"),
            "--jobs" => schedule.jobs = number,
            "--workers" => schedule.workers = number.max(1) as usize,
            "--in-flight" => schedule.in_flight = number.max(1).into(),
            "--latency-ms" => schedule.latency_ms = number.into(),
            "--kill-every" => schedule.kill_every = Duration::from_secs(number.max(1).into()),
            _ => bail!("{flag}: not one of --jobs, --workers, --in-flight, --latency-ms, --kill-every"),
        }
    }
    Ok(schedule)
}
