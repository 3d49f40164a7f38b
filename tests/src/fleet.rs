//! A fleet of real processes: coordinators and workers on a database and a broker of their own.
//!
//! Its time-outs are scaled down: a hint is lost after a second, and a test says how soon who does not beat is dead.
//!
//! `start`: how its processes are started; `process`: one of them; `database`: what PostgreSQL's own programs see of its store

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it stands")]

mod database;
mod process;
mod start;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assay_common::id::RunId;
use assay_queue::{Health, Queue};
use assay_store::{OpenPool, Run, RunPool, Schema, Store, StoreUrl, create_database, drop_database};
use fake_provider::{Books, FakeProvider};
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub use self::process::{Process, ended, limit, peak_memory_mib};
use self::process::{address, ask};
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

    /// The token of its clients.
    pub fn token(&self) -> &str {
        &self.token
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
        for OpenPool { pool: RunPool { pool, .. }, .. } in pools {
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
