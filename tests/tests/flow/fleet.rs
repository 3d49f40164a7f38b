//! A fleet of real processes over RabbitMQ and PostgreSQL: the same answers as on a laptop, whatever dies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use assay_common::id::RunId;
use assay_common::job::Hint;
use assay_store::{RunPool, RunState};
use assay_tests::assay::{Workplace, repository};
use assay_tests::fleet::{Process, World, ended};
use assay_tests::rabbitmq::Node;
use fake_provider::{Answer, FakeProvider, Reaction, Script, When};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::sleep;
use uuid::Uuid;

fn gsm8k() -> PathBuf {
    repository().join("tests/data/gsm8k_openai/suite.yaml")
}

fn first_look() -> PathBuf {
    repository().join("examples/first-look/suite.yaml")
}

/// Slow enough that there is something left to kill.
const RECORDED_SLOWLY: &str = "[providers.recorded]\nkind = \"recorded\"\n[providers.recorded.limits]\nrequests_per_minute = 12000\nin_flight = 10\n";

/// `variants[]` of a report, to the byte, but for latencies, which are measured.
fn variants(mut report: Value) -> String {
    for variant in report["variants"].as_array_mut().unwrap() {
        variant.as_object_mut().unwrap().remove("latency_ms");
    }
    serde_json::to_string(&report["variants"]).unwrap()
}

/// The same suite in one process, run once for all tests.
fn on_a_laptop(suite: &Path) -> String {
    static KNOWN: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());
    let run = || {
        let suite = suite.display().to_string();
        variants(Workplace::default().assay(&["run", &suite, "--json"]).expect(0).json())
    };
    KNOWN.lock().unwrap().entry(suite.to_owned()).or_insert_with(run).clone()
}

async fn provider(latency_ms: u64) -> FakeProvider {
    let script = Script::answering(Answer::Expression).latency(Duration::from_millis(latency_ms));
    FakeProvider::start(script).await.expect("the fake provider starts")
}

async fn until_calls(world: &World, provider: &FakeProvider, calls: u64) {
    world.until(&format!("{calls} calls"), async || provider.bill().totals().calls >= calls).await;
}

fn leads(readiness: &(u16, Value)) -> bool {
    readiness.1["role"] == "leading"
}

/// Kills one worker after the other and replaces it, as long as the run goes on and four times at most; returns how
/// often it did.
async fn killing(world: &mut World, workers: &mut [Process], run: RunId, every: Duration) -> u64 {
    let mut deaths = 0;
    loop {
        sleep(every).await;
        if deaths == 4 || world.run(run).await.state.is_over() {
            world.finished(run).await;
            return deaths;
        }
        let next = usize::try_from(deaths).unwrap() % workers.len();
        let replacement = world.worker();
        std::mem::replace(&mut workers[next], replacement).kill();
        deaths += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_gives_the_variants_of_a_laptop() {
    let mut world = World::new().await;
    let coordinator = world.coordinator();
    let workers = [world.worker(), world.worker(), world.worker()];
    world.ready().await;
    for suite in [gsm8k(), first_look()] {
        let expected = on_a_laptop(&suite);
        let ended = world.client(&["submit", &suite.display().to_string(), "--wait", "--json"]).await;
        assert_eq!(variants(ended.expect(0).json()), expected);
    }
    assert!(coordinator.log().contains("completed run"), "{}", coordinator.log());
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_so_it_does_while_workers_are_killed() {
    let mut world = World::new().await;
    world.place.write("assay.toml", RECORDED_SLOWLY);
    world.dead_after = "2s";
    let coordinator = world.coordinator();
    for suite in [gsm8k(), first_look()] {
        let expected = on_a_laptop(&suite);
        let mut workers = vec![world.worker(), world.worker(), world.worker()];
        world.ready().await;
        let known = world.store.runs(None, 10).await.unwrap().len();
        let path = suite.display().to_string();
        let waiting = world.start_client(&["submit", &path, "--wait", "--json"]).await;
        world
            .until("it is submitted", async || world.store.runs(None, 10).await.unwrap().len() > known)
            .await;
        let run = world.submitted().await;
        world.done(run, 1).await;
        let deaths = killing(&mut world, &mut workers, run, Duration::from_millis(500)).await;
        assert!(deaths >= 1, "the run was over before anybody died");
        assert_eq!(variants(ended(waiting).await.expect(0).json()), expected);
        for mut worker in workers {
            worker.terminate();
            worker.wait().await;
        }
    }
    world.end(vec![coordinator]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_is_paid_for_once_but_for_what_was_in_flight_at_a_death() {
    const JOBS: u32 = 8_000;
    const IN_FLIGHT: u64 = 40;
    let provider = provider(20).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), &format!("in_flight = {IN_FLIGHT}")).sums(JOBS, "");
    world.dead_after = "3s";
    let coordinator = world.coordinator();
    let mut workers = vec![world.worker(), world.worker(), world.worker()];
    let run = world.submit_sums().await;
    until_calls(&world, &provider, 500).await;
    let deaths = killing(&mut world, &mut workers, run, Duration::from_millis(600)).await;
    assert!(deaths >= 2, "{deaths} deaths");
    let ended = world.run(run).await;
    assert_eq!((ended.state, ended.passed), (RunState::Completed, u64::from(JOBS)));
    world.assert_each_job_has_one_result(run, u64::from(JOBS));
    let totals = provider.bill().totals();
    assert_eq!((totals.jobs, totals.untagged), (u64::from(JOBS), 0));
    assert!(totals.calls <= u64::from(JOBS) + deaths * IN_FLIGHT, "{} calls, {deaths} deaths", totals.calls);
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_restarts_and_loses_and_doubles_hints_changes_nothing() {
    let node = Node::start();
    let mut world = World::on(node.url().to_owned()).await;
    // Workers go on with what they hold while the broker is away: slowly, so that something is left for later.
    world.place.write("assay.toml", RECORDED_SLOWLY.replace("12000", "9000"));
    let expected = on_a_laptop(&gsm8k());
    let coordinator = world.coordinator();
    let workers = [world.worker(), world.worker()];
    let run = world.submit(&gsm8k()).await;
    world.done(run, 50).await;
    node.stop();
    world
        .until("the broker is missed", async || coordinator.readiness().await.1["status"] == "degraded")
        .await;
    let (status, readiness) = coordinator.readiness().await;
    assert_eq!(
        (status, &readiness["queue"]["ok"], &readiness["store"]["ok"]),
        (200, &false.into(), &true.into())
    );
    node.restart();
    // Not the connection of before, which waits some seconds between its attempts.
    let queue = world.connect().await;
    assert!(!world.run(run).await.state.is_over(), "there is nothing left to lose");
    // Every hint that waits is lost, and comes twice from somebody else, with some of a run that nobody knows.
    for RunPool { pool, .. } in world.store.open_pools().await.unwrap() {
        queue.purge(&pool).await.unwrap();
        let stranger = RunId::new(Uuid::from_u128(1));
        let hint = |run| move |ordinal| Hint { run, ordinal };
        let meddled: Vec<_> = (0..400).map(hint(run)).chain((0..50).map(hint(stranger))).collect();
        for _ in 0..2 {
            queue.publish(&pool, &meddled).await.unwrap();
        }
    }
    assert_eq!(world.finished(run).await.state, RunState::Completed);
    assert_eq!(variants(world.report(run)), expected);
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_coordinator_what_is_queued_is_finished_and_the_next_takes_over() {
    const JOBS: u32 = 2_000;
    let provider = provider(50).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 20").sums(JOBS, "");
    let first = world.coordinator();
    let workers = [world.worker(), world.worker()];
    let run = world.submit_sums().await;
    world.done(run, 200).await;
    first.kill();
    let pool = world.store.open_pools().await.unwrap().remove(0).pool;
    let queued = world.queue.depth(&pool).await.unwrap();
    let done = world.run(run).await.done();
    // What the workers took in advance comes on top.
    world.done(run, done + queued.max(100)).await;
    // Nobody sends hints: what is there is worked off, and then there is none.
    world.until("the queue is empty", async || world.queue.depth(&pool).await.unwrap() == 0).await;
    let second = world.coordinator();
    assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
    assert_eq!(provider.bill().totals().calls, u64::from(JOBS), "nobody who pays has died");
    world.end(workers.into_iter().chain([second]).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_who_wakes_too_late_is_fenced() {
    let provider = provider(50).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(800, "");
    world.dead_after = "2s";
    let first = world.coordinator();
    world.until("the first leads", async || leads(&first.readiness().await)).await;
    let second = world.coordinator();
    let worker = world.worker();
    let run = world.submit_sums().await;
    world.done(run, 50).await;
    let (status, standby) = second.readiness().await;
    assert_eq!((status, &standby["role"], &standby["status"]), (200, &"standby".into(), &"ready".into()));

    first.signal(Signal::SIGSTOP);
    world.until("the second leads", async || leads(&second.readiness().await)).await;
    first.signal(Signal::SIGCONT);
    first.logged("leads no longer").await;
    world.until("the first stands by", async || !leads(&first.readiness().await)).await;
    assert!(leads(&second.readiness().await));
    assert_eq!(world.finished(run).await.passed, 800);
    world.assert_each_job_has_one_result(run, 800);
    world.end(vec![first, second, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_and_pay_for_nothing_twice() {
    const JOBS: u32 = 1_000;
    let provider = provider(400).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 100").sums(JOBS, "");
    let coordinator = world.coordinator();
    let mut first = world.worker();
    let run = world.submit_sums().await;
    until_calls(&world, &provider, 150).await;
    let second = world.worker();
    // With about a hundred calls in flight.
    first.terminate();
    assert!(first.wait().await.success(), "{}", first.log());
    let left = world.store.members().await.unwrap();
    assert!(left.iter().all(|member| member.pid != first.id()), "{left:?}");
    assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
    assert_eq!(provider.bill().totals().calls, u64::from(JOBS));
    world.end(vec![coordinator, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_twice_a_worker_ends_at_once_and_gives_its_jobs_back() {
    let hang = Script::answering(Answer::Expression).rule(When::always(), Reaction::Hang);
    let provider = FakeProvider::start(hang).await.unwrap();
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 5").sums(20, "");
    let coordinator = world.coordinator();
    let mut first = world.worker();
    let run = world.submit_sums().await;
    until_calls(&world, &provider, 5).await;
    first.terminate();
    first.logged("stopping worker").await;
    sleep(Duration::from_millis(200)).await;
    assert!(first.is_running(), "it waits for the calls in flight");
    first.terminate();
    assert!(first.wait().await.success(), "{}", first.log());
    provider.set_script(Script::answering(Answer::Expression));
    let second = world.worker();
    // Well before anybody could be taken for dead: it left.
    assert_eq!(world.finished(run).await.passed, 20);
    assert_eq!(provider.bill().totals().calls, 25);
    world.end(vec![coordinator, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_a_worker_needs_attention_until_one_comes() {
    let provider = provider(1).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "").sums(50, "");
    let toml = std::fs::read_to_string(world.place.path().join("assay.toml")).unwrap();
    world.place.write("assay.toml", toml.replace("[providers.fake.limits]", "api_key_env = \"FAKE_KEY\""));
    let coordinator = world.coordinator();
    let poor = world.worker();
    poor.logged("set FAKE_KEY").await;
    let run = world.submit_sums().await;
    world.until("somebody is told", async || !world.store.account_problems().await.unwrap().is_empty()).await;
    let problems = world.store.account_problems().await.unwrap();
    let (account, problem) = &problems[0];
    assert_eq!((account.as_str(), problem.kind.as_str()), ("fake/small", "unserved"));
    let expected = "no worker serves `fake/small`: start one whose environment has FAKE_KEY";
    assert!(problem.detail.starts_with(expected), "{}", problem.detail);
    assert!(problem.detail.contains(&format!("process {}", poor.id())), "{}", problem.detail);
    let status = world.place.assay(&["status", &run.to_string(), "--store", world.store_url()]).expect(0);
    for part in ["no worker serves `fake/small`, since 2", "help: start one whose environment has FAKE_KEY"] {
        assert!(status.stdout.contains(part), "{part} is missing in:\n{}", status.stdout);
    }

    let rich = world.worker_with(&[("FAKE_KEY", "sk-0123456789abcdef")]);
    assert_eq!(world.finished(run).await.passed, 50);
    world
        .until("the problem is gone", async || world.store.account_problems().await.unwrap().is_empty())
        .await;
    assert!(!world.logs().contains("sk-0123456789abcdef"));
    world.end(vec![coordinator, poor, rich]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_refused_pauses_and_the_others_go_on() {
    let refused = Script::answering(Answer::Expression).rule(When::prompt("7"), Reaction::status(400));
    let provider = FakeProvider::start(refused).await.unwrap();
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 5");
    let coordinator = world.coordinator();
    let worker = world.worker();
    // Every prompt of the first has a 7 in it.
    world.place.sums(2_000, "description: '7'");
    let suite = std::fs::read_to_string(world.place.path().join("suite.yaml")).unwrap();
    world.place.write("refused.yaml", suite.replace("{{ a }} + 1", "{{ a }} + 1 (of 7)"));
    world.place.write("suite.yaml", suite.replace("cases.jsonl", "few.jsonl"));
    world.place.write("few.jsonl", "{\"id\": \"a\", \"a\": 1, \"sum\": 2}\n");
    let odd = world.submit(&world.place.path().join("refused.yaml")).await;
    world.until("it pauses", async || world.run(odd).await.state == RunState::Paused).await;
    let run = world.run(odd).await;
    assert!(run.done() < 2_000, "{} done", run.done());
    let reason = run.reason.unwrap();
    assert!(reason.starts_with("fake is refusing: 50 of the first 50 jobs were refused"), "{reason}");
    let fine = world.submit_sums().await;
    assert_eq!(world.finished(fine).await.passed, 1);
    world.store.cancel(odd, "seen".into(), run.created_at).await.unwrap();
    assert_eq!(world.finished(odd).await.state, RunState::Cancelled);
    world.end(vec![coordinator, worker]).await;
}

/// Calls in flight, and how long each takes: 200 a second.
const SLOTS: u64 = 20;
const LATENCY_MS: u64 = 100;

/// An urgent run waits for what is in the window before it, for its own jobs, and for nothing else of a sweep.
#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_run_overtakes_a_sweep() {
    const URGENT: u64 = 100;
    let provider = provider(LATENCY_MS).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), &format!("in_flight = {SLOTS}")).sums(5_000, "");
    let coordinator = world.coordinator();
    let worker = world.worker();
    world.ready().await;
    let submit = async |world: &World, priority: &str| -> RunId {
        let submitted = world.client(&["submit", "suite.yaml", "--priority", priority]).await.expect(0);
        submitted.stdout.trim_end().parse().unwrap()
    };
    let sweep = submit(&world, "sweep").await;
    world.done(sweep, 100).await;
    world.place.sums(u32::try_from(URGENT).unwrap(), "");
    let before = world.run(sweep).await.done();
    let urgent = submit(&world, "interactive").await;
    assert_eq!(world.finished(urgent).await.passed, URGENT);
    let beside = world.run(sweep).await.done() - before;
    // What the worker takes in advance, and five seconds of its work; then a hint for every ten of the urgent run.
    let window = 3 * 64 + 2 * SLOTS + 5 * SLOTS * 1_000 / LATENCY_MS;
    assert!(beside <= window + URGENT / 10 + SLOTS, "{beside} of the sweep beside it");
    world.store.cancel(sweep, "seen".into(), world.run(sweep).await.created_at).await.unwrap();
    world.finished(sweep).await;
    world.end(vec![coordinator, worker]).await;
}
