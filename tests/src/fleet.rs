//! A fleet of real processes: coordinators and workers on a database and a broker of their own.
//!
//! Its time-outs are scaled down: a hint is lost after a second, and a test says how soon who does not beat is dead.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it stands")]

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use assay_common::id::RunId;
use assay_queue::{Health, Queue};
use assay_store::{Run, RunPool, Schema, Store, StoreUrl, create_database, drop_database};
use fake_provider::{Books, FakeProvider};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::assay::{Ran, Workplace};
use crate::oracle::assert_books;
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
    token: String,
    /// The logs of the coordinators, in the order in which they were started.
    coordinators: Vec<PathBuf>,
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
        Self::between(&server, broker).await
    }

    /// A world in a database of its own on the server at this URL, on the broker at that.
    pub async fn between(server: &str, broker: String) -> Self {
        let server: StoreUrl = server.parse().unwrap();
        let database = format!("assay_world_{}", Uuid::now_v7().simple());
        let StoreUrl::Postgres(store_url) = create_database(&server, &database).await.unwrap() else {
            unreachable!("a database of PostgreSQL")
        };
        let store = Store::open(&StoreUrl::Postgres(store_url.clone()), Schema::Migrate).await.unwrap();
        let queue = Queue::connect(&broker.parse().unwrap(), &format!("{database} test"));
        let place = Workplace::default();
        let create = ["token", "create", "tests", "--scopes", "submit,read", "--store", &store_url];
        let token = place.assay(&create).expect(0).stdout.trim_end().to_owned();
        Self {
            place,
            store,
            queue,
            dead_after: "30s",
            server,
            database,
            store_url,
            broker,
            token,
            coordinators: Vec::new(),
            started: 0,
            ended: false,
        }
    }

    /// The URL of the store.
    pub fn store_url(&self) -> &str {
        &self.store_url
    }

    /// The URL of the broker.
    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// Where the database listens: `HOST:PORT`.
    pub fn database(&self) -> &str {
        let (_, place) = self.store_url.split_once('@').expect("the URL names a user");
        place.split('/').next().expect("a host")
    }

    /// The URL of the store behind another address.
    pub fn store_url_at(&self, address: SocketAddr) -> String {
        self.store_url.replace(self.database(), &address.to_string())
    }

    /// The token of its clients.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Runs SQL on the database: for what no command of ours would do.
    pub fn sql(&self, sql: &str) {
        assert!(self.sql_beside(sql).wait().expect("psql").success(), "{sql}");
    }

    /// Begins to run SQL on the database.
    pub fn sql_beside(&self, sql: &str) -> Child {
        let mut psql = Command::new("psql");
        psql.args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--command", sql]);
        psql.args(["--dbname", self.database_url()]).stdout(Stdio::null());
        psql.spawn().expect("psql, which comes with PostgreSQL")
    }

    /// Everything that stands in the database, as text.
    pub fn dump(&self) -> String {
        let mut dump = Command::new("pg_dump");
        dump.args(["--data-only", "--no-owner", "--dbname", self.database_url()]);
        let dumped = dump.output().expect("pg_dump, which comes with PostgreSQL");
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        String::from_utf8_lossy(&dumped.stdout).into_owned()
    }

    /// The URL of the database, as PostgreSQL's own programs take it.
    fn database_url(&self) -> &str {
        // What follows is for our driver.
        self.store_url.split('?').next().expect("a URL")
    }

    /// Asks the database: the rows without a frame, for what no method of the store says.
    pub fn query(&self, sql: &str) -> String {
        let place = self.store_url.split('?').next().expect("a URL");
        let mut psql = Command::new("psql");
        psql.args([
            "--quiet",
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--dbname",
            place,
            "--command",
            sql,
        ]);
        Ran::from(psql.output().expect("psql, which comes with PostgreSQL"))
            .expect(0)
            .stdout
            .trim()
            .to_owned()
    }

    /// Starts a coordinator that listens on a free port.
    pub fn coordinator(&mut self) -> Process {
        self.coordinator_at("127.0.0.1:0")
    }

    /// Starts a coordinator that listens there.
    pub fn coordinator_at(&mut self, address: &str) -> Process {
        self.start_coordinator(&self.store_url.clone(), address, &[])
    }

    /// Starts a coordinator on another store.
    pub fn coordinator_on(&mut self, store: &str) -> Process {
        self.start_coordinator(store, "127.0.0.1:0", &[])
    }

    /// Starts a coordinator with these variables in its environment.
    pub fn coordinator_with(&mut self, variables: &[(&str, &str)]) -> Process {
        self.start_coordinator(&self.store_url.clone(), "127.0.0.1:0", variables)
    }

    /// Starts a coordinator with exactly these arguments and variables.
    pub fn coordinator_beside(&mut self, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
        let process = self.start_bare(arguments, variables);
        self.coordinators.push(process.log.clone());
        process
    }

    fn start_coordinator(&mut self, store: &str, address: &str, variables: &[(&str, &str)]) -> Process {
        let arguments = ["--listen", address, "--dead-after", self.dead_after, "--lost-after", "1s"];
        let process = self.start("coordinator", store, &arguments, variables);
        self.coordinators.push(process.log.clone());
        process
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

    /// Starts a worker between another store and another broker.
    pub fn worker_between(&mut self, store: &str, broker: &str) -> Process {
        self.start_bare(&["worker", "--store", store, "--queue", broker, "--listen", "127.0.0.1:0"], &[])
    }

    fn start(
        &mut self,
        command: &str,
        store: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        let broker = self.broker.clone();
        let common = [command, "--store", store, "--queue", &broker];
        self.start_bare(&[&common, arguments].concat(), variables)
    }

    /// Starts a process of a fleet with exactly these arguments and variables.
    pub fn start_bare(&mut self, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
        self.started += 1;
        let log = self.place.path().join(format!("{}-{}.log", arguments[0], self.started));
        let mut command = self.place.command(arguments);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(File::create(&log).unwrap()).spawn().expect("assay starts");
        Process { child, log }
    }

    /// `assay` as a client of the coordinator that was started last.
    pub async fn command(&self, arguments: &[&str]) -> Command {
        let log = self.coordinators.last().expect("a coordinator was started");
        let mut command = self.place.command(arguments);
        command.env("ASSAY_SERVER", format!("http://{}", address(log).await)).env("ASSAY_TOKEN", &self.token);
        command
    }

    /// Runs it to its end.
    pub async fn client(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments).await;
        spawn_blocking(move || command.output().expect("assay runs").into()).await.unwrap()
    }

    /// Starts it, with its output kept for [`ended`].
    pub async fn start_client(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments).await;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("assay starts")
    }

    /// Waits until the coordinator that was started last answers with its store, and submits a suite to it.
    pub async fn submit(&self, suite: &Path) -> RunId {
        self.ready().await;
        let submitted = self.client(&["submit", &suite.display().to_string()]).await.expect(0);
        submitted.stdout.trim_end().parse().unwrap()
    }

    /// Waits until the coordinator that was started last answers with its store.
    pub async fn ready(&self) {
        let log = self.coordinators.last().expect("a coordinator was started");
        let address = address(log).await;
        self.until("the coordinator is ready", async || ask(&address, "/readyz").await.0 == 200).await;
    }

    /// Waits until somebody has submitted a run, and gives the latest.
    pub async fn submitted(&self) -> RunId {
        self.until("a run is submitted", async || !self.store.runs(None, 1).await.unwrap().is_empty()).await;
        self.store.runs(None, 1).await.unwrap().remove(0).id
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

    /// Holds a completed run against the provider's bill: [`assert_books`].
    pub async fn assert_books(&self, run: RunId, provider: &FakeProvider, in_flight_at_deaths: u64) -> Books {
        let config = fs::read_to_string(self.place.path().join("assay.toml")).unwrap();
        let cost = self.run(run).await.cost.0;
        assert!(cost > 0 || !config.contains("[prices."), "nothing is on the books");
        assert_books(&self.store, run, &[provider.bill()], in_flight_at_deaths).await
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

    /// The memory it has resident, in MiB.
    pub fn memory_mib(&self) -> u64 {
        memory_mib(self.id(), "VmRSS:").unwrap()
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
async fn address(log: &Path) -> String {
    let text = logged(log, "listening on http://").await;
    let address = text.split("listening on http://").nth(1).unwrap();
    // Whatever follows: a log line is text, or a string in JSON.
    address.split(|c: char| c.is_whitespace() || c == '"').next().unwrap().to_owned()
}

/// GET: the status and the body.
async fn ask(address: &str, path: &str) -> (u16, String) {
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
