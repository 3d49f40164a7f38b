//! One process of a fleet: its signals, its log, its HTTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::{EVENTUALLY, LOOK_EVERY};
use crate::assay::Ran;

/// What Linux counts the time of processes in, on every machine: a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

/// A process of a fleet. Dropped, it is killed.
pub struct Process {
    pub(super) child: Child,
    pub(super) log: PathBuf,
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The memory it has resident, in MiB.
    pub fn memory_mib(&self) -> u64 {
        memory_mib(self.id(), "VmRSS:").unwrap()
    }

    /// The time for which it has computed, on all processors together.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // Its name comes first, in parentheses, and may have blanks; then the state, and from there on numbers.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = |field: &str| field.parse::<u64>().unwrap();
        let [user, system] = [11, 12].map(|field| ticks(fields.split_whitespace().nth(field).unwrap()));
        TICK * u32::try_from(user + system).unwrap()
    }

    /// Sets a soft limit of the running process, as `prlimit` names it: `nofile`, `fsize`.
    pub fn limit(&self, what: &str, soft: &str) {
        limit(self.id(), what, soft);
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it ends.
    pub async fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + EVENTUALLY;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "process {} does not end\n{}", self.child.id(), self.log());
            sleep(LOOK_EVERY).await;
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has logged something.
    pub async fn logged(&self, part: &str) {
        logged(&self.log, part).await;
    }

    /// Where it listens.
    pub async fn address(&self) -> String {
        address(&self.log).await
    }

    /// Asks it over HTTP: the status and the body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        ask(&self.address().await, path).await
    }

    /// What it says of its readiness.
    pub async fn readiness(&self) -> (u16, Value) {
        let (status, body) = self.get("/readyz").await;
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sets a soft limit of a running process, as `prlimit` names it.
pub fn limit(process: u32, what: &str, soft: &str) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &process.to_string(), &format!("--{what}={soft}:")]);
    assert!(prlimit.status().expect("prlimit, of util-linux").success(), "{what} {soft}");
}

/// Waits for the end of a client.
pub async fn ended(client: Child) -> Ran {
    spawn_blocking(|| client.wait_with_output().expect("assay runs").into()).await.unwrap()
}

/// Waits until something stands in a log; returns all of it.
async fn logged(log: &Path, part: &str) -> String {
    let end = Instant::now() + EVENTUALLY;
    loop {
        let text = fs::read_to_string(log).unwrap();
        if text.contains(part) {
            return text;
        }
        assert!(Instant::now() < end, "`{part}` was not logged:\n{text}");
        sleep(LOOK_EVERY).await;
    }
}

/// Where the process with this log listens.
pub(super) async fn address(log: &Path) -> String {
    let text = logged(log, "listening on http://").await;
    let address = text.split("listening on http://").nth(1).unwrap();
    // Whatever follows: a log line is text, or a string in JSON.
    address.split(|c: char| c.is_whitespace() || c == '"').next().unwrap().to_owned()
}

/// GET: the status and the body.
pub(super) async fn ask(address: &str, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// The most memory that a process has had resident, in MiB; `None`: it has ended.
pub fn peak_memory_mib(process: u32) -> Option<u64> {
    memory_mib(process, "VmHWM:")
}

fn memory_mib(process: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1_024)
}
