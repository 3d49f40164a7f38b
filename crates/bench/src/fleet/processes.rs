//! The processes of the measured fleet: one coordinator and its workers. They end when this is dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::usage::peak_rss_mib;
use crate::http;

/// How long a process may take to start, on a busy machine.
const START: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Where everything is: the program, the folder it runs in, and what it talks to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// The measured program.
    pub(crate) assay: &'a Path,
    /// The folder of the workload.
    pub(crate) folder: &'a Path,
    /// `--store`.
    pub(crate) store: &'a str,
    /// `--queue`.
    pub(crate) queue: &'a str,
}

/// A running fleet.
pub(crate) struct Processes {
    /// The coordinator.
    pub(crate) coordinator: Process,
    /// The workers.
    pub(crate) workers: Vec<Process>,
    /// Where the coordinator answers: `HOST:PORT`.
    pub(crate) address: String,
}

impl Processes {
    /// Starts a fleet and waits until its coordinator leads and its workers have started.
    pub(crate) async fn start(site: Site<'_>, workers: u32) -> anyhow::Result<Self> {
        Self::start_at(site, &vec![site; workers as usize]).await
    }

    /// The same with workers that reach store and queue in ways of their own.
    pub(super) async fn start_at(site: Site<'_>, workers: &[Site<'_>]) -> anyhow::Result<Self> {
        let coordinator = Process::start(site, "coordinator", 0, &["--listen", "127.0.0.1:0"])?;
        let start = |(number, site): (u32, &Site<'_>)| Process::start(*site, "worker", number, &[]);
        let workers = (1..).zip(workers).map(start).collect::<anyhow::Result<Vec<_>>>()?;
        let line = coordinator.logged("listening on http://").await?;
        let address = line.split_whitespace().next().context("no address")?.to_owned();
        for worker in &workers {
            worker.logged("starts on").await?;
        }
        let fleet = Self { coordinator, workers, address };
        let end = Instant::now() + START;
        while !fleet.leads() {
            ensure!(Instant::now() < end, "the coordinator does not lead:\n{}", fleet.coordinator.log());
            sleep(LOOK_EVERY).await;
        }
        Ok(fleet)
    }

    fn leads(&self) -> bool {
        // Before the store answers the probe is refused.
        http::get(&self.address, "/readyz", None).is_ok_and(|ready: Value| ready["role"] == "leading")
    }
}

/// A process of the fleet.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; `number` tells its log from others'.
    pub(super) fn start(
        site: Site<'_>,
        command: &str,
        number: u32,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let log = site.folder.join(format!("{command}-{number}.log"));
        let mut assay = Command::new(site.assay);
        assay.args([command, "--store", site.store, "--queue", site.queue]).args(arguments);
        without_environment(&mut assay).current_dir(site.folder).stdin(Stdio::null()).stdout(Stdio::null());
        let child = assay.stderr(File::create(&log)?).spawn();
        let child = child.with_context(|| format!("failed to start {}", site.assay.display()))?;
        Ok(Self { child, log })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it and waits until it is gone.
    pub(super) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("failed to send {signal} to a worker"))
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has logged `part`; returns what follows.
    async fn logged(&self, part: &str) -> anyhow::Result<String> {
        let end = Instant::now() + START;
        loop {
            let log = self.log();
            if let Some((_, rest)) = log.split_once(part) {
                return Ok(rest.to_owned());
            }
            ensure!(Instant::now() < end, "it did not log `{part}`:\n{log}");
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once it has ended, its number may be another process's.
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if self.signal(Signal::SIGTERM).is_err() {
            let _ = self.child.kill();
        }
        // One that was frozen hears of it when it thaws.
        let _ = self.signal(Signal::SIGCONT);
        let _ = self.child.wait();
    }
}

/// A command that has ended well: what it printed, how long it took, and its peak of memory.
pub(crate) struct Ended {
    /// Standard output.
    pub(crate) stdout: String,
    /// From its start to its end, in seconds.
    pub(crate) wall_s: f64,
    /// The most memory it had resident, in MiB.
    pub(crate) peak_rss_mib: f64,
}

/// Runs `assay submit` of the suite in the folder, with this priority.
pub(crate) async fn submit(
    site: Site<'_>,
    address: &str,
    token: &str,
    priority: Option<&str>,
) -> anyhow::Result<Ended> {
    let (out, err) = (site.folder.join("submit.out"), site.folder.join("submit.err"));
    let mut assay = Command::new(site.assay);
    without_environment(&mut assay).args(["submit", "suite.yaml"]).current_dir(site.folder);
    assay.args(priority.iter().flat_map(|priority| ["--priority", priority]));
    assay.env("ASSAY_SERVER", format!("http://{address}")).env("ASSAY_TOKEN", token).stdin(Stdio::null());
    let started = Instant::now();
    let mut child = assay.stdout(File::create(&out)?).stderr(File::create(&err)?).spawn()?;
    let mut peak: f64 = 0.0;
    let status = loop {
        // The system keeps the peak itself: what is missed are the last milliseconds.
        peak = peak_rss_mib(child.id()).unwrap_or(0.0).max(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        sleep(LOOK_EVERY / 5).await;
    };
    let wall_s = started.elapsed().as_secs_f64();
    if !status.success() {
        bail!("`assay submit` ended with {status}:\n{}", fs::read_to_string(&err)?);
    }
    Ok(Ended { stdout: fs::read_to_string(&out)?.trim_end().to_owned(), wall_s, peak_rss_mib: peak })
}

/// Nothing in the caller's environment changes what is measured.
fn without_environment(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("ASSAY_") || text == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}
