//! How fast a run goes on: killed in the middle and started again by the same command, from the start of the process to
//! its first call.

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::binaries::Binaries;
use crate::measure::{assay, completed};
use crate::provider::Provider;
use crate::workload::{StoreKind, Workload};

/// What is killed.
const WORKLOAD: Workload = Workload { cases: 20_000, latency_ms: 10, in_flight: 100 };
/// Calls after which it is.
const KILLED_AFTER: u64 = 9_000;
const POLL: Duration = Duration::from_millis(10);

/// A run that was killed and went on.
pub(crate) struct Resumed {
    /// From the start of the second process to its first call, in seconds.
    pub(crate) first_call_s: f64,
    /// Calls beyond one for each job.
    pub(crate) calls_paid_twice: u64,
}

/// Kills a run and resumes it.
pub(crate) fn resume(binaries: &Binaries, store: &StoreKind) -> anyhow::Result<Resumed> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    let provider = Provider::start(&binaries.fake_provider, WORKLOAD.latency_ms)?;
    WORKLOAD.write(folder.path(), provider.base_url()).context("failed to write the workload")?;
    let mut command = assay(&binaries.assay, folder.path(), store);
    let mut first =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("failed to start assay")?;
    kill_after(KILLED_AFTER, &mut first, &provider)?;
    let before_us = provider.bill()?.now_us;
    completed(&mut assay(&binaries.assay, folder.path(), store), WORKLOAD)?;
    let calls = provider.calls_at_us()?;
    let first_call_us = calls.iter().copied().filter(|at_us| *at_us > before_us).min();
    let first_call_us = first_call_us.context("the resumed run made no call")?;
    Ok(Resumed {
        first_call_s: (first_call_us - before_us) as f64 / 1e6,
        calls_paid_twice: (calls.len() as u64).saturating_sub(WORKLOAD.cases),
    })
}

#[expect(clippy::disallowed_methods, reason = "no runtime runs here that it could block")]
fn kill_after(calls: u64, child: &mut Child, provider: &Provider) -> anyhow::Result<()> {
    while provider.bill()?.calls < calls {
        ensure!(child.try_wait()?.is_none(), "assay ended before {calls} calls");
        sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}
