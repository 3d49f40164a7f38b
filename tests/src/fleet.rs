//! A fleet of real processes: coordinators and workers on a database and a broker of their own.
//!
//! Its time-outs are scaled down: a hint is lost after a second, and a test says how soon who does not beat is dead.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it stands")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use assay_common::clock::Clock;
use assay_common::config::Config;
use assay_common::id::RunId;
use assay_common::trace::Tracer;
use assay_coordinator::run::begin;
use assay_coordinator::run::begin::Draw;
use assay_coordinator::suite::load;
use assay_coordinator::{Environment, Timings};
use assay_queue::{Health, Queue};
use assay_store::{Run, RunPool, Schema, Store, StoreUrl, create_database, drop_database};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::assay::{Ran, Workplace};
use crate::rabbitmq;

/// Long enough for anything here on a busy machine.
const EVENTUALLY: Duration = Duration::from_secs(90);
/// How often conditions are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A fleet, its folder, its store and its broker.
pub struct World {
    /// The folder every process runs in: assay.toml, suites, logs.
    pub place: Workplace,
    /// The store, for looking into.
    pub store: Store,
    /// The broker, for looking into and meddling with.
    pub queue: Queue,
    /// When coordinators that start from now on give up a member that does not beat. Where nobody dies, long: a machine
    /// that is busy for seconds must not look like a death.
    pub dead_after: &'static str,
    server: StoreUrl,
    database: String,
    store_url: String,
    broker: String,
    started: usize,
    ended: bool,
}

/// A process of a fleet. Dropped, it is killed.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl World {
    /// A world on the shared broker.
    pub async fn new() -> Self {
        Self::on(rabbitmq::vhost()).await
    }

    /// A world on the broker at this URL.
    pub async fn on(broker: String) -> Self {
        let server = std::env::var("ASSAY_TEST_POSTGRES").expect(
            "ASSAY_TEST_POSTGRES is not set: run ./test.sh, which starts the PostgreSQL of this test",
        );
        let server: StoreUrl = server.parse().unwrap();
        let database = format!("assay_world_{}", Uuid::now_v7().simple());
        let StoreUrl::Postgres(store_url) = create_database(&server, &database).await.unwrap() else {
            unreachable!("a database of PostgreSQL")
        };
        let store = Store::open(&StoreUrl::Postgres(store_url.clone()), Schema::Migrate).await.unwrap();
        let queue = Queue::connect(&broker.parse().unwrap(), &format!("{database} test"));
        let place = Workplace::default();
        Self {
            place,
            store,
            queue,
            dead_after: "30s",
            server,
            database,
            store_url,
            broker,
            started: 0,
            ended: false,
        }
    }

    /// The URL of the store.
    pub fn store_url(&self) -> &str {
        &self.store_url
    }

    /// Starts a coordinator that listens on a free port.
    pub fn coordinator(&mut self) -> Process {
        self.coordinator_on(&self.store_url.clone())
    }

    /// Starts a coordinator on another store.
    pub fn coordinator_on(&mut self, store: &str) -> Process {
        self.start_coordinator(store, &[])
    }

    /// Starts a coordinator with these variables in its environment.
    pub fn coordinator_with(&mut self, variables: &[(&str, &str)]) -> Process {
        self.start_coordinator(&self.store_url.clone(), variables)
    }

    fn start_coordinator(&mut self, store: &str, variables: &[(&str, &str)]) -> Process {
        let arguments = ["--listen", "127.0.0.1:0", "--dead-after", self.dead_after, "--lost-after", "1s"];
        self.start("coordinator", store, &arguments, variables)
    }

    /// Starts a worker.
    pub fn worker(&mut self) -> Process {
        self.worker_with(&[])
    }

    /// Starts a worker with these variables in its environment.
    pub fn worker_with(&mut self, variables: &[(&str, &str)]) -> Process {
        self.start("worker", &self.store_url.clone(), &["--listen", "127.0.0.1:0"], variables)
    }

    /// Starts a worker on another store.
    pub fn worker_on(&mut self, store: &str) -> Process {
        self.start("worker", store, &["--listen", "127.0.0.1:0"], &[])
    }

    fn start(
        &mut self,
        command: &str,
        store: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        self.started += 1;
        let log = self.place.path().join(format!("{command}-{}.log", self.started));
        let common = [command, "--store", store, "--queue", &self.broker];
        let mut command = self.place.command(&[&common, arguments].concat());
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(File::create(&log).unwrap()).spawn().expect("assay starts");
        Process { child, log }
    }

    /// Loads a suite with this world's assay.toml, freezes it and begins a run of it, as a submission does.
    pub async fn submit(&self, suite: &Path) -> RunId {
        let config = fs::read_to_string(self.place.path().join("assay.toml")).unwrap_or_default();
        let config = Config::parse(&config).unwrap();
        let loaded = load(suite, &config).unwrap();
        let clock = Clock::system();
        loaded.freeze(&self.store, clock.now()).await.unwrap();
        let environment = Environment {
            store: self.store.clone(),
            queue: Queue::memory(),
            clock,
            config: Arc::new(config),
            timings: Timings::default(),
            tracer: Tracer::default(),
        };
        let draw = Draw { id: Uuid::now_v7().into_bytes()[6..].try_into().unwrap(), seed: [7; 32] };
        begin(&environment, &loaded.suite, true, draw).await.unwrap().run
    }

    /// The same with the suite that [`Workplace::sums`] wrote.
    pub async fn submit_sums(&self) -> RunId {
        self.submit(&self.place.path().join("suite.yaml")).await
    }

    /// The run as it stands.
    pub async fn run(&self, run: RunId) -> Run {
        self.store.run(run).await.unwrap().unwrap()
    }

    /// A connection of its own to the broker, which is there.
    pub async fn connect(&self) -> Queue {
        let queue = Queue::connect(&self.broker.parse().unwrap(), &format!("test {}", Uuid::now_v7()));
        self.until("the test is connected", async || queue.health() == Health::Connected).await;
        queue
    }

    /// Waits until the run is over.
    pub async fn finished(&self, run: RunId) -> Run {
        self.until("the run is over", async || self.run(run).await.state.is_over()).await;
        self.run(run).await
    }

    /// Waits until so many jobs of the run are done.
    pub async fn done(&self, run: RunId, jobs: u64) {
        self.until(&format!("{jobs} jobs are done"), async || self.run(run).await.done() >= jobs).await;
    }

    /// Waits until something holds; shows every log when it does not come to that.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let end = Instant::now() + EVENTUALLY;
        while !holds().await {
            assert!(Instant::now() < end, "not in time: {what}\n{}", self.logs());
            sleep(LOOK_EVERY).await;
        }
    }

    /// What `assay status` says of a run.
    pub fn report(&self, run: RunId) -> Value {
        let run = run.to_string();
        self.place.assay(&["status", &run, "--json", "--store", &self.store_url]).expect(0).json()
    }

    /// Every job of the run has exactly one result.
    pub fn assert_each_job_has_one_result(&self, run: RunId, jobs: u64) {
        let ran: Ran = self.place.assay(&["results", &run.to_string(), "--store", &self.store_url]).expect(0);
        let ordinal = |line: &str| serde_json::from_str::<Value>(line).unwrap()["ordinal"].as_u64().unwrap();
        let mut ordinals: Vec<_> = ran.stdout.lines().map(ordinal).collect();
        ordinals.sort_unstable();
        assert_eq!(ordinals, (0..jobs).collect::<Vec<_>>());
    }

    /// The logs of all processes so far.
    pub fn logs(&self) -> String {
        let mut logs: Vec<_> = fs::read_dir(self.place.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        logs.sort();
        let log = |path: &PathBuf| format!("--- {}\n{}", path.display(), fs::read_to_string(path).unwrap());
        logs.iter().map(log).collect()
    }

    /// Stops `processes` in good order. Then nobody is left, nothing is held, and no hint waits.
    pub async fn end(mut self, processes: Vec<Process>) {
        let pools = self.store.open_pools().await.unwrap();
        for mut process in processes {
            process.terminate();
            assert!(process.wait().await.success(), "{}", self.logs());
        }
        // Those that were killed are buried by a leader only: what they held was given back, or the run were not over.
        let runs = self.store.open_runs().await.unwrap();
        assert!(runs.is_empty(), "{runs:?}");
        for RunPool { pool, .. } in pools {
            assert_eq!(self.queue.depth(&pool).await.unwrap(), 0, "hints of {pool}");
        }
        self.store.close().await;
        drop_database(&self.server, &self.database).await.unwrap();
        self.ended = true;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(self.ended || std::thread::panicking(), "a test ends its world");
    }
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
        let end = Instant::now() + EVENTUALLY;
        while !self.log().contains(part) {
            assert!(Instant::now() < end, "`{part}` was not logged:\n{}", self.log());
            sleep(LOOK_EVERY).await;
        }
    }

    /// Where it listens, as host and port.
    pub async fn address(&self) -> String {
        self.logged("listening on http://").await;
        let log = self.log();
        let address = log.split("listening on http://").nth(1).unwrap().split_whitespace().next();
        address.unwrap().to_owned()
    }

    /// Asks it over HTTP: the status and the body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let address = self.address().await;
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
        let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
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
