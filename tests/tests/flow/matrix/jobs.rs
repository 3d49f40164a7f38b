//! What jobs and people do: scorers that take for ever, cancellations at any moment, errors by the thousand, no file
//! descriptors, and one job that takes its time.

use std::time::Duration;

use assay_store::RunState;
use assay_tests::assay::{PRICE, Ran, Workplace};
use assay_tests::fleet::World;
use assay_tests::oracle::{assert_books, books, latest, store_of};
use assay_tests::scenes::{assert_says, provider};
use fake_provider::{Answer, Books, FakeProvider, Reaction, Script, When};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// Its answer is kept, the job is `errored(scorer)`, its neighbours are scored. To score it again costs no call.
#[tokio::test(flavor = "multi_thread")]
async fn row_13_a_scorer_that_would_take_for_ever() {
    let endless = format!("{}!", "a".repeat(60));
    let script = Script::answering(Answer::Map {
        entries: vec![("13 +".to_owned(), endless.clone())],
        otherwise: "aab".to_owned(),
    });
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 4").sums(20, "");
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let (head, _) = suite.split_once("score:").unwrap();
    place.write("suite.yaml", format!("{head}score:\n  - type: regex\n    value: '^((a|aa)+)\\1b$'\n"));
    place.assay(&["run", "suite.yaml", "--json"]).expect(3);
    let lines = place.assay(&["results"]).expect(0).stdout;
    let results: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for result in &results {
        if result["case"] == "c13" {
            assert_eq!(
                (&result["error_kind"], &result["output"]),
                (&"scorer".into(), &endless.as_str().into())
            );
        } else {
            assert_eq!(result["outcome"], "passed", "{result}");
        }
    }
    let store = store_of(&place).await;
    let run = latest(&store).await;
    let books = assert_books(&store, run, &[provider.bill()], 0).await;
    assert_eq!(books.calls, 20, "an answer is paid for once, whatever becomes of its score");
    place.assay(&["retry", &run.to_string(), "--errored", "--kind", "scorer"]).expect(0);
    place.assay(&["run", "suite.yaml", "--json"]).expect(3);
    let lines = place.assay(&["results"]).expect(0).stdout;
    assert!(lines.contains(&endless) && lines.contains("\"generation\":1"), "{lines}");
    assert_eq!(provider.bill().totals().calls, 20, "nobody is asked for what was answered");
}

/// Before anybody works, in the middle of its expansion, and while it is paused: once `cancel` has answered nothing new is
/// claimed, and what is in flight is recorded. So it is with a budget that ends in the middle of the expansion, after a pause:
/// it is never exceeded. How budgets end otherwise is in `budget`.
#[tokio::test(flavor = "multi_thread")]
async fn row_28_a_cancellation_in_each_phase() {
    const IN_FLIGHT: u64 = 10;
    /// Jobs are made a few at a time, since the gate may end the run early; it never does.
    const EXPANDED_SLOWLY: &str =
        "gate: {stop_early: true, rules: [{metric: latency_p95_ms, max: 1000000}]}\n";
    let script = |millis| {
        let script = Script { price: PRICE, ..Script::answering(Answer::Expression) };
        script.latency(Duration::from_millis(millis))
    };
    let provider = FakeProvider::start(script(100)).await.unwrap();
    let mut world = World::new().await;
    let limits = format!("in_flight = {IN_FLIGHT}");
    world.place.priced_provider(provider.base_url(), &limits).sums(3_000, EXPANDED_SLOWLY);
    let coordinator = world.coordinator();
    let cancel = async |world: &World, run| {
        let run: assay_common::id::RunId = run;
        world.client(&["cancel", &run.to_string(), "--reason", "seen enough"]).await.expect(0);
        let calls = provider.bill().totals().calls;
        let over = world.finished(run).await;
        assert_eq!((over.state, over.done()), (RunState::Cancelled, over.cursor), "{over:?}");
        sleep(Duration::from_millis(500)).await;
        (provider.bill().totals().calls - calls, over)
    };
    let untouched = world.submit_sums().await;
    let (more, over) = cancel(&world, untouched).await;
    assert_eq!((more, over.passed, provider.bill().totals().calls), (0, 0, 0));

    let worker = world.worker();
    let paused = world.submit_sums().await;
    world.done(paused, 50).await;
    let pause = async |world: &World, run: assay_common::id::RunId| {
        world.client(&["pause", &run.to_string(), "--reason", "lunch"]).await.expect(0);
        world.until("nothing is in flight", async || !world.store.standing(run).await.unwrap().running).await;
    };
    pause(&world, paused).await;
    let (more, over) = cancel(&world, paused).await;
    assert_eq!(more, 0, "it was paused");
    assert!(over.cursor < over.planned, "{over:?}");

    // The requests of more could not be paid for, and the suite would be refused.
    world.place.sums(600, EXPANDED_SLOWLY);
    let suite = std::fs::read_to_string(world.place.path().join("suite.yaml")).unwrap();
    let model = "models: [{provider: fake, model: small, max_tokens: 8}]\nbudget_usd: 0.0012";
    world.place.write("suite.yaml", suite.replace("models: [fake/small]", model));
    let before = provider.bill().totals().cost_nano_usd;
    let poor = world.submit_sums().await;
    world.done(poor, 20).await;
    pause(&world, poor).await;
    let held = |run: &assay_store::Run| u64::try_from(run.cost.0 + run.reserved.0).unwrap();
    assert!(held(&world.run(poor).await) <= 1_200_000);
    world.client(&["resume", &poor.to_string()]).await.expect(0);
    let over = world.finished(poor).await;
    assert_eq!((over.state, over.done()), (RunState::Cancelled, over.cursor), "{over:?}");
    assert!(over.cursor < over.planned && over.passed >= 20, "{over:?}");
    assert_says(over.reason.as_deref().unwrap(), &["its budget of $0.0012 is spent"]);
    let billed = provider.bill().totals().cost_nano_usd - before;
    assert!(billed == held(&over) && billed <= 1_200_000, "{billed} on the bill, {over:?}");

    world.place.sums(3_000, EXPANDED_SLOWLY);
    let busy = world.submit_sums().await;
    world.done(busy, 50).await;
    provider.set_script(script(500));
    let (more, over) = cancel(&world, busy).await;
    // Two a second in each slot for two heartbeats, and those in flight; many more were claimed.
    assert!(more <= 5 * IN_FLIGHT, "{more} calls after the cancellation");
    assert!(over.passed >= 50 && over.cursor < over.planned, "{over:?}");
    world.end(vec![coordinator, worker]).await;
}

/// Thousands of errors are counted, sampled in one message, and fill neither log nor memory.
#[tokio::test(flavor = "multi_thread")]
async fn row_38_thousands_of_errors() {
    const JOBS: u32 = 5_000;
    let refusing = Script::answering(Answer::Expression).rule(When::always(), Reaction::status(404));
    let provider = FakeProvider::start(refusing).await.unwrap();
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(JOBS, "");
    let coordinator = world.coordinator();
    let worker = world.worker();
    let run = world.submit_sums().await;
    world.until("it pauses", async || world.run(run).await.state == RunState::Paused).await;
    let memory = || [coordinator.memory_mib(), worker.memory_mib()];
    let before = memory();
    world.client(&["resume", &run.to_string()]).await.expect(0);
    assert_eq!(world.finished(run).await.errored, u64::from(JOBS));
    for (before, after) in before.into_iter().zip(memory()) {
        assert!(after <= before + 40, "{before} MiB grew to {after} MiB");
    }
    for process in [&coordinator, &worker] {
        let lines = process.log().lines().count();
        assert!(lines < 60, "{lines} lines of log:\n{}", process.log());
    }
    let status = world.client(&["status", &run.to_string()]).await.expect(0).stdout;
    assert_says(&status, &["5000 errored (refused), such as"]);
    world.assert_books(run, &provider, 0).await;
    world.end(vec![coordinator, worker]).await;
}

/// Nobody turns in circles; everybody goes on once there are some again.
#[tokio::test(flavor = "multi_thread")]
async fn row_39_no_file_descriptors() {
    const JOBS: u32 = 300;
    let provider = provider(20).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(JOBS, "");
    let coordinator = world.coordinator();
    let worker = world.worker();
    world.ready().await;
    world.until("the worker is ready", async || worker.readiness().await.0 == 200).await;
    let run = world.submit_sums().await;
    for process in [&coordinator, &worker] {
        process.limit("nofile", "1");
    }
    // Connections that nobody can take up.
    let mut waiting = Vec::new();
    for process in [&coordinator, &worker] {
        for _ in 0..20 {
            waiting.push(tokio::net::TcpStream::connect(process.address().await).await.unwrap());
        }
    }
    let refused = || world.logs().matches("cannot accept HTTP connections").count();
    world.until("it is said that no more are taken", async || refused() >= 2).await;
    // Who tried again at once would say so thousands of times, or say nothing and keep a processor busy.
    let cpu = || [coordinator.cpu(), worker.cpu()];
    let (before, busy_before, began) = (refused(), cpu(), Instant::now());
    sleep(Duration::from_secs(2)).await;
    let (busy, elapsed) = (cpu(), began.elapsed());
    assert!(refused() - before < 100, "{} times in {elapsed:?}", refused() - before);
    for (before, after) in busy_before.into_iter().zip(busy) {
        let busy = after - before;
        assert!(busy < elapsed / 5, "a process computed for {busy:?} of {elapsed:?}");
    }
    drop(waiting);
    for process in [&coordinator, &worker] {
        process.limit("nofile", "1024");
    }
    assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
    // What there was no descriptor for is on the ledger, and never left.
    let books = books(&world.store, run, &[provider.bill()]).await;
    assert!(Books { invented: 0, ..books }.hold(0), "{books}");
    world.end(vec![coordinator, worker]).await;
}

/// A call that takes long holds its own slot and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn row_40_one_job_that_takes_its_time() {
    const JOBS: u32 = 300;
    let slow = Script::answering(Answer::Expression)
        .latency(Duration::from_millis(5))
        .rule(When::prompt("299 +"), Reaction::SlowMs(60_000));
    let provider = FakeProvider::start(slow).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 2").sums(JOBS, "");
    let run = place.start(&["run", "suite.yaml", "--json"]);
    let store = store_of(&place).await;
    let started = Instant::now();
    loop {
        if let Some(row) = store.runs(None, 1).await.unwrap().pop()
            && row.done() == u64::from(JOBS) - 1
        {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(50), "the others wait for it");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(provider.bill().in_flight, 1, "it is still asked");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.id() as i32), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    run.wait_with_output().unwrap();
    provider.set_script(Script::answering(Answer::Expression));
    Ran::from(place.command(&["run", "suite.yaml"]).output().unwrap()).expect(0);
    assert_books(&store, latest(&store).await, &[provider.bill()], 1).await;
}
