//! A process dies at every named point of a job's path (ADR 0018), each time another one; whoever comes after it goes on.

use std::process::ExitStatus;

use assay_common::crash::{Point, VARIABLE};
use assay_tests::assay::{PRICE, Ran, Workplace};
use assay_tests::fleet::World;
use assay_tests::oracle::{assert_books, latest, store_of};
use assay_tests::scenes::provider;
use fake_provider::{Answer, FakeProvider, Script};
use futures_util::future::join_all;

const IN_FLIGHT: u64 = 2;
const GATED: &str = "budget_usd: 5\ngate: {rules: [{metric: pass_rate, min: 0.5}]}";

fn was_aborted(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal() == Some(nix::sys::signal::Signal::SIGABRT as i32)
}

/// `assay run`, told to die there, and then again: whether the first one died. Either way the run ends as if nobody had.
async fn dies_and_goes_on(point: &str) -> bool {
    let script = Script { price: PRICE, ..Script::answering(Answer::Expression) };
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    place.priced_provider(provider.base_url(), &format!("in_flight = {IN_FLIGHT}")).sums(6, GATED);
    let run = async |variables: &[(&str, &str)]| {
        let mut command = place.command(&["run", "suite.yaml", "--json"]);
        command.envs(variables.iter().copied());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let first = run(&[(VARIABLE, point)]).await;
    let died = was_aborted(first.status);
    let told = String::from_utf8_lossy(&first.stderr);
    assert!(died || first.status.success(), "{point}: {}\n{told}", first.status);
    let again = Ran::from(run(&[]).await).expect(0);
    let report = again.json();
    assert_eq!(report["variants"][0]["passed"], 6, "{point}");
    assert_eq!(report["verdict"]["outcome"], "pass", "{point}");
    let store = store_of(&place).await;
    // After its end the same command begins another run, which is as good.
    for run in store.runs(None, 10).await.unwrap() {
        let id = run.id.to_string();
        let mut bill = provider.bill();
        bill.entries.retain(|call| call.job.as_deref().is_some_and(|job| job.starts_with(&id)));
        let books = assert_books(&store, run.id, &[bill.clone()], IN_FLIGHT).await;
        let lost = u64::try_from(run.reserved.0).unwrap();
        let (billed, known) = (bill.totals().cost_nano_usd, u64::try_from(run.cost.0).unwrap());
        assert!(known <= billed && billed - known <= lost, "{point}: {billed} billed, {run:?}\n{books}");
    }
    let last = store.verdicts_of_run(latest(&store).await).await.unwrap();
    assert_eq!(last.len(), 1, "{point}");
    store.close().await;
    died
}

/// Every point that `assay run` passes; and before and after each of its commits, until there are no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_dies_at_every_point() {
    let elsewhere = [Point::Sent, Point::Buried, Point::Committing, Point::Committed];
    for points in Point::ALL.chunks(4) {
        let here = points.iter().filter(|point| !elsewhere.contains(point));
        let died = join_all(here.clone().map(async |point| dies_and_goes_on(&point.name()).await)).await;
        for (point, died) in here.zip(died) {
            assert!(died, "nobody passes {point:?}");
        }
    }
    for point in [Point::Committing, Point::Committed] {
        let mut commits = 0;
        loop {
            let batch = [commits + 1, commits + 2, commits + 3, commits + 4];
            let died = batch
                .map(|commit| async move { dies_and_goes_on(&format!("{}:{commit}", point.name())).await });
            let died = join_all(died).await;
            commits += died.iter().filter(|died| **died).count();
            if died.contains(&false) {
                break;
            }
        }
        assert!(commits >= 8, "{commits} commits in a run");
    }
}

/// A worker dies at each of its points; the leader gives back what it held, and another goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_a_fleet_dies_at_every_point() {
    let provider = provider(5).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), &format!("in_flight = {IN_FLIGHT}")).sums(30, "");
    world.dead_after = "2s";
    let coordinator = world.coordinator();
    world.ready().await;
    let mut runs = Vec::new();
    for point in [Point::Claimed, Point::Permitted, Point::Called, Point::Kept, Point::Acknowledged] {
        let mut doomed = world.worker_with(&[(VARIABLE, &point.name())]);
        let run = world.submit_sums().await;
        assert!(was_aborted(doomed.wait().await), "{point:?}");
        let mut next = world.worker();
        assert_eq!(world.finished(run).await.passed, 30, "{point:?}");
        next.terminate();
        assert!(next.wait().await.success(), "{}", next.log());
        runs.push(run);
    }
    for run in runs {
        let mut bill = provider.bill();
        bill.entries.retain(|call| call.job.as_deref().is_some_and(|job| job.starts_with(&run.to_string())));
        assert_books(&world.store, run, &[bill], IN_FLIGHT).await;
    }
    world.end(vec![coordinator]).await;
}

/// What it has committed is paid for once: its hints come again and are declined.
#[tokio::test(flavor = "multi_thread")]
async fn row_02_a_worker_dies_between_commit_and_acknowledgement() {
    let provider = provider(20).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), &format!("in_flight = {IN_FLIGHT}")).sums(60, "");
    world.dead_after = "2s";
    let coordinator = world.coordinator();
    let mut doomed = world.worker_with(&[(VARIABLE, "recorded:5")]);
    let run = world.submit_sums().await;
    assert!(was_aborted(doomed.wait().await), "{}", doomed.log());
    let committed = world.store.results(run, None, 1_000).await.unwrap();
    assert!(!committed.is_empty());
    let worker = world.worker();
    assert_eq!(world.finished(run).await.passed, 60);
    world.assert_books(run, &provider, IN_FLIGHT).await;
    let calls = provider.bill().calls_per_job();
    for result in committed {
        let key = (run.to_string(), result.row.ordinal, 0);
        assert_eq!(calls.get(&key), Some(&1), "{}", result.row.ordinal);
    }
    world.end(vec![coordinator, worker]).await;
}

/// In the middle of expansion, with hints on their way to the broker, with a dead member just buried, at the end of a run and
/// after its verdict: the next one goes on where it stopped, and only hints are doubled.
#[tokio::test(flavor = "multi_thread")]
async fn row_19_a_coordinator_dies_at_every_point() {
    const JOBS: u32 = 1_200;
    let provider = provider(5).await;
    let mut world = World::new().await;
    let gate = "gate: {rules: [{metric: pass_rate, min: 0.5}]}";
    world.place.provider(provider.base_url(), "in_flight = 20").sums(JOBS, gate);
    world.dead_after = "2s";
    let mut first = world.coordinator_with(&[(VARIABLE, "expanded:1")]);
    world.ready().await;
    let submitting = world.start_client(&["submit", "suite.yaml"]).await;
    let run = world.submitted().await;
    assert!(was_aborted(first.wait().await), "{}", first.log());
    // It may have died before it answered.
    drop(submitting.wait_with_output());
    let row = world.run(run).await;
    assert!(row.cursor > 0 && !row.expanded, "{row:?}");
    let mut second = world.coordinator_with(&[(VARIABLE, "sent:100")]);
    assert!(was_aborted(second.wait().await), "{}", second.log());
    let doomed = world.worker();
    let mut third = world.coordinator_with(&[(VARIABLE, "buried")]);
    world.done(run, 50).await;
    doomed.kill();
    // It buries its dead predecessors too, the first of them at once.
    assert!(was_aborted(third.wait().await), "{}", third.log());
    let worker = world.worker();
    for point in [Point::Finished, Point::Judged] {
        let mut next = world.coordinator_with(&[(VARIABLE, &point.name())]);
        assert!(was_aborted(next.wait().await), "{}", next.log());
    }
    let last = world.coordinator();
    world.until("it is judged", async || !world.store.verdicts_of_run(run).await.unwrap().is_empty()).await;
    assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
    assert_eq!(world.store.verdicts_of_run(run).await.unwrap().len(), 1);
    world.assert_books(run, &provider, 20).await;
    world.end(vec![last, worker]).await;
}
