//! Workers that are killed, frozen, stopped, and cut off from the store.

use std::time::Duration;

use assay_store::RunState;
use assay_tests::fleet::World;
use assay_tests::oracle::assert_books;
use assay_tests::proxy::{Proxy, Weather};
use assay_tests::scenes::provider;
use nix::sys::signal::Signal;
use tokio::time::sleep;

/// What they held is claimed again, and paid again at most where a call was in flight.
#[tokio::test(flavor = "multi_thread")]
async fn row_01_workers_killed_in_the_middle_of_calls() {
    const JOBS: u32 = 5_000;
    const IN_FLIGHT: u64 = 40;
    let provider = provider(20).await;
    let mut world = World::new().await;
    world.place.priced_provider(provider.base_url(), &format!("in_flight = {IN_FLIGHT}")).sums(JOBS, "");
    world.dead_after = "2s";
    let coordinator = world.coordinator();
    let mut workers = vec![world.worker(), world.worker(), world.worker()];
    let run = world.submit_sums().await;
    world.calls(&provider, 300).await;
    let deaths = world.killing(&mut workers, run, Duration::from_millis(500), 3).await;
    assert!(deaths >= 2, "{deaths} deaths");
    let ended = world.run(run).await;
    assert_eq!((ended.state, ended.passed), (RunState::Completed, u64::from(JOBS)));
    world.assert_books(run, &provider, deaths * IN_FLIGHT).await;
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
}

/// Its jobs are taken over. Waking, it joins again; of two results the first counts, and its limits give it no burst for
/// the time it slept.
#[tokio::test(flavor = "multi_thread")]
async fn row_04_a_frozen_worker_wakes_after_its_burial() {
    const JOBS: u32 = 700;
    const IN_FLIGHT: u64 = 20;
    /// Of each worker, in a second; and a hundredth of a minute's at once.
    const RATE: u64 = 50;
    const BURST: u64 = RATE * 60 / 100;
    let provider = provider(100).await;
    let mut world = World::new().await;
    let limits = format!("in_flight = {IN_FLIGHT}\nrequests_per_minute = {}", RATE * 60);
    world.place.priced_provider(provider.base_url(), &limits).sums(JOBS, "");
    world.dead_after = "2s";
    let coordinator = world.coordinator();
    let workers = [world.worker(), world.worker()];
    let run = world.submit_sums().await;
    world.done(run, 50).await;
    workers[0].signal(Signal::SIGSTOP);
    world.buried(workers[0].id()).await;
    let before = provider.bill().totals().calls;
    workers[0].signal(Signal::SIGCONT);
    sleep(Duration::from_secs(1)).await;
    let calls = provider.bill().totals().calls - before;
    assert!(calls <= 2 * (RATE + BURST) + IN_FLIGHT, "{calls} calls in a second");
    workers[0].logged("it joins again").await;
    assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
    world.assert_books(run, &provider, IN_FLIGHT).await;
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
}

/// Has PostgreSQL write down each claim that is committed, and whose it is.
const EVERY_CLAIM: &str = "
    CREATE TABLE claims (member TEXT NOT NULL);
    CREATE FUNCTION claimed() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO claims VALUES (NEW.member); RETURN NULL; END';
    CREATE TRIGGER claimed AFTER UPDATE ON jobs FOR EACH ROW
        WHEN (NEW.state = 'running' AND (OLD.state, OLD.attempt) <> (NEW.state, NEW.attempt))
        EXECUTE FUNCTION claimed()";

/// It finishes and records the calls in flight, gives back what has not begun, claims nothing more, and ends before its grace
/// does. Its slots get free while the last calls end, with hundreds of jobs pending: whoever went on would claim then.
#[tokio::test(flavor = "multi_thread")]
async fn row_05_a_worker_told_to_stop_with_a_hundred_calls_in_flight() {
    const JOBS: u32 = 800;
    let provider = provider(6_000).await;
    let mut world = World::new().await;
    world.sql(EVERY_CLAIM);
    world.place.provider(provider.base_url(), "in_flight = 100").sums(JOBS, "");
    let coordinator = world.coordinator();
    let mut first = world.worker();
    let run = world.submit_sums().await;
    world.calls(&provider, 150).await;
    let members = world.store.members().await.unwrap();
    let member = members.into_iter().find(|member| member.pid == first.id()).expect("it works").id;
    let second = world.worker();
    let claims = || -> u32 {
        world.query(&format!("SELECT count(*) FROM claims WHERE member = '{member}'")).parse().unwrap()
    };
    first.terminate();
    first.logged("stopping worker").await;
    // What it was just claiming is committed once nothing more comes of it; none of its calls is over by then.
    let mut claimed = claims();
    loop {
        sleep(Duration::from_secs(1)).await;
        let before = std::mem::replace(&mut claimed, claims());
        if before == claimed {
            break;
        }
    }
    assert!(claimed >= 150, "{claimed} claims");
    assert!(first.is_running() && provider.bill().in_flight >= 50, "there is nothing to wait for");
    assert!(first.wait().await.success(), "{}", first.log());
    assert!(!first.log().contains("the grace is over"), "{}", first.log());
    assert_eq!(claims(), claimed, "it claimed after it was told to stop");
    let left = world.store.members().await.unwrap();
    assert!(left.iter().all(|member| member.pid != first.id()), "{left:?}");
    assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
    let books = world.assert_books(run, &provider, 0).await;
    assert_eq!(books.calls, u64::from(JOBS), "nobody died");
    world.end(vec![coordinator, second]).await;
}

/// Connections that are reset, or cut in the middle of what is said, are made again, and neither lose nor double a job. While
/// nothing at all gets through, nothing that it is answered can be kept, so its slots fill and it calls no more. Its late
/// answers are recorded where they are the first, and paid for in vain where they are not.
#[tokio::test(flavor = "multi_thread")]
async fn row_22_a_worker_cut_off_from_the_store() {
    const JOBS: u32 = 2_400;
    const IN_FLIGHT: u64 = 10;
    let (near, far) = (provider(50).await, provider(50).await);
    let mut world = World::new().await;
    let limits = format!("in_flight = {IN_FLIGHT}");
    world.place.priced_provider(far.base_url(), &limits);
    std::fs::rename(world.place.path().join("assay.toml"), world.place.path().join("far.toml")).unwrap();
    world.place.priced_provider(near.base_url(), &limits).sums(JOBS, "");
    world.dead_after = "2s";
    let proxy = Proxy::open_to(world.database()).await;
    let (behind, broker) = (world.store_url_at(proxy.address()), world.broker().to_owned());
    let coordinator = world.coordinator();
    let worker = world.worker();
    let cut_off =
        world.start_bare(&["worker", "--config", "far.toml", "--store", &behind, "--queue", &broker], &[]);
    let run = world.submit_sums().await;
    world.calls(&far, 50).await;
    for weather in [Weather::CutAfter(8_000), Weather::Reset] {
        proxy.set(weather);
        sleep(Duration::from_millis(300)).await;
        proxy.set(Weather::Clear);
        world.calls(&far, far.bill().totals().calls + 2 * IN_FLIGHT).await;
    }
    proxy.set(Weather::Silent);
    let at_the_cut = far.bill().totals().calls;
    world.buried(cut_off.id()).await;
    let calls = far.bill().totals().calls;
    assert!(calls <= at_the_cut + 2 * IN_FLIGHT, "{} calls after the cut", calls - at_the_cut);
    let done = world.run(run).await.done();
    world.done(run, done + 50).await;
    assert_eq!(far.bill().totals().calls, calls, "its slots are taken");
    assert!(!world.run(run).await.state.is_over(), "there is nothing left to be late for");
    proxy.set(Weather::Clear);
    cut_off.logged("it joins again").await;
    assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
    // Where it took long to come back, it was taken for dead then too.
    assert_books(&world.store, run, &[near.bill(), far.bill()], 3 * IN_FLIGHT).await;
    world.end(vec![coordinator, worker, cut_off]).await;
}
