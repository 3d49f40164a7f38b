//! Coordinators that wake too late, clocks that jump, and schemas that do not fit. Deaths of a coordinator are in `crashes`.

use std::sync::Arc;
use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_common::config::Config;
use assay_common::id::MemberId;
use assay_common::trace::Tracer;
use assay_coordinator::fleet::{Identity, Role, coordinate};
use assay_coordinator::{Silences, Timings};
use assay_queue::{Queue, QueueUrl};
use assay_store::{RunState, StoreUrl, create_database, drop_database};
use assay_tests::assay::Workplace;
use assay_tests::fleet::{Process, World};
use assay_tests::scenes::{assert_says, provider};
use assay_worker::{Environment, Keys, Serve, Shutdown, Wire};
use nix::sys::signal::Signal;
use tokio::sync::watch;
use uuid::Uuid;

async fn leads(coordinator: &Process) -> bool {
    coordinator.readiness().await.1["role"] == "leading"
}

/// Whoever was frozen and wakes is refused by the epoch, steps down, and stands by.
#[tokio::test(flavor = "multi_thread")]
async fn row_20_an_old_leader_wakes_under_load() {
    const JOBS: u32 = 1_500;
    let provider = provider(50).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(JOBS, "");
    world.dead_after = "2s";
    let first = world.coordinator();
    world.until("the first leads", async || leads(&first).await).await;
    let second = world.coordinator();
    let worker = world.worker();
    let run = world.submit_sums().await;
    world.done(run, 50).await;
    let (status, standby) = second.readiness().await;
    assert_eq!((status, &standby["role"], &standby["status"]), (200, &"standby".into(), &"ready".into()));

    first.signal(Signal::SIGSTOP);
    world.until("the second leads", async || leads(&second).await).await;
    assert!(!world.run(run).await.state.is_over(), "there is nothing left to lead");
    first.signal(Signal::SIGCONT);
    first.logged("leads no longer").await;
    world.until("the first stands by", async || !leads(&first).await).await;
    assert!(leads(&second).await);
    assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
    let books = world.assert_books(run, &provider, 0).await;
    assert_eq!(books.calls, u64::from(JOBS), "nobody who pays has died");
    world.end(vec![first, second, worker]).await;
}

/// A worker whose wall clock is an hour behind, then jumps to the right time, and an hour beyond it; beside it the leader's clock jumps
/// an hour back, and an hour beyond the right time. Claims stay, limits hold, and nobody is taken for dead or ends too early.
#[tokio::test(flavor = "multi_thread")]
async fn row_21_a_wall_clock_that_jumps_an_hour() {
    const JOBS: u32 = 600;
    /// In a second.
    const RATE: u64 = 100;
    const HOUR_US: i64 = 3_600_000_000;
    let provider = provider(20).await;
    let mut world = World::new().await;
    world
        .place
        .provider(provider.base_url(), &format!("in_flight = 20\nrequests_per_minute = {}", RATE * 60))
        .sums(JOBS, "");
    let toml = std::fs::read_to_string(world.place.path().join("assay.toml")).unwrap();
    let config = Arc::new(Config::parse(&toml).unwrap());
    let now = Clock::system().now();
    let clocks = [Clock::paused(Micros(now.0 - HOUR_US)), Clock::paused(now)];
    let broker: QueueUrl = world.broker().parse().unwrap();
    let (shutdown, member) = (Shutdown::default(), || MemberId::new(Uuid::now_v7()));
    let (role, mut standing) = watch::channel(Role::Standby);
    let leader = tokio::spawn(coordinate(
        assay_coordinator::Environment {
            store: world.store.clone(),
            queue: Queue::connect(&broker, "a leader in another time"),
            clock: clocks[1].clone(),
            config: Arc::clone(&config),
            timings: Timings { dead_after: Duration::from_secs(3), lost_after: Duration::from_secs(1) },
            tracer: Tracer::default(),
            silences: Silences::default(),
        },
        Identity { member: member(), host: "elsewhere".to_owned(), pid: 1 },
        role,
        shutdown.soft.clone(),
    ));
    standing.wait_for(|role| *role == Role::Leading).await.unwrap();
    let worker = tokio::spawn(assay_worker::run(
        Environment {
            store: world.store.clone(),
            queue: Queue::connect(&broker, "a worker in another time"),
            clock: clocks[0].clone(),
            member: member(),
            keys: Keys::gather(&config),
            config,
            host: "elsewhere".to_owned(),
            pid: 2,
            seed: 1,
            tracer: Tracer::default(),
            wire: Wire::Network,
        },
        Serve::OpenRuns,
        shutdown.clone(),
    ));
    // It stands by, and takes the suite.
    let standby = world.coordinator();
    let run = world.submit_sums().await;
    for jumps in [[HOUR_US, -HOUR_US], [HOUR_US, 2 * HOUR_US]] {
        let done = world.run(run).await.done();
        world.done(run, done + 100).await;
        let before = provider.bill();
        for (clock, jump) in clocks.iter().zip(jumps) {
            clock.jump(jump);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let calls = provider.bill().totals().calls - before.totals().calls;
        assert!(calls <= RATE + RATE * 60 / 100, "{calls} calls in half a second");
    }
    let over = world.finished(run).await;
    assert_eq!((over.state, over.passed), (RunState::Completed, u64::from(JOBS)));
    let books = world.assert_books(run, &provider, 0).await;
    assert_eq!(books.calls, u64::from(JOBS), "nobody died");
    assert_eq!(*standing.borrow(), Role::Leading, "it leads as before");
    let deaths = world.query("SELECT COALESCE(SUM(crash_claims), 0) FROM jobs");
    assert_eq!(deaths, "0", "nobody was taken for dead");
    shutdown.soft.cancel();
    worker.await.unwrap().unwrap();
    leader.await.unwrap().unwrap();
    world.end(vec![standby]).await;
}

/// A binary and a database of different schema versions: said by whoever starts, with what to do, and nothing is touched.
/// Two who migrate at once leave one whole schema, and so does one who is killed meanwhile and the next.
#[tokio::test(flavor = "multi_thread")]
async fn row_29_schemas_that_do_not_fit_and_two_who_migrate() {
    let world = World::new().await;
    let check = |command: &[&str], parts: &[&str]| {
        let queue = ["--queue", "amqp://127.0.0.1:1"];
        let queue = if command[0] == "migrate" { &[][..] } else { &queue };
        let common = [&["--store", world.store_url()], queue].concat();
        assert_says(&world.place.assay(&[command, &common].concat()).expect(4).stderr, parts);
    };
    let (worker, coordinator) = (["worker"], ["coordinator", "--listen", "127.0.0.1:0"]);
    world.sql("INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '', 0)");
    // A newer schema that only added something is taken as it is: a fleet is upgraded one process after the other.
    let usable = world.place.assay(&["migrate", "--check", "--store", world.store_url()]).expect(0);
    assert_says(&usable.stderr, &["nothing to do"]);
    world.place.assay(&["status", "--store", world.store_url()]).expect(0);
    world.sql("UPDATE compatibility SET oldest = 9999");
    let newer = ["has schema version 9999, this assay knows", "or a later one"];
    check(&["migrate", "--check"], &newer);
    for command in [&worker[..], &coordinator] {
        check(command, &newer);
    }
    world.sql("DELETE FROM _sqlx_migrations WHERE version > 1");
    for command in [&worker[..], &coordinator] {
        check(command, &["has schema version 1, this assay knows", "run `assay migrate --store"]);
    }
    world.end(Vec::new()).await;

    let server: StoreUrl = std::env::var("ASSAY_TEST_POSTGRES").expect("run ./test.sh").parse().unwrap();
    let name = format!("assay_test_{}", Uuid::now_v7().simple());
    let StoreUrl::Postgres(postgres) = create_database(&server, &name).await.unwrap() else { unreachable!() };
    for store in [postgres.as_str(), "sqlite:both.db"] {
        let place = Workplace::default();
        let migrate = ["migrate", "--store", store];
        let mut killed = place.start(&migrate);
        tokio::time::sleep(Duration::from_millis(30)).await;
        killed.kill().unwrap();
        killed.wait().unwrap();
        let both = [place.start(&migrate), place.start(&migrate)];
        for one in both {
            let one = one.wait_with_output().unwrap();
            assert!(one.status.success(), "{store}: {}", String::from_utf8_lossy(&one.stderr));
        }
        place.assay(&["migrate", "--check", "--store", store]).expect(0);
        place.assay(&["status", "--store", store]).expect(0);
    }
    drop_database(&server, &name).await.unwrap();
}
