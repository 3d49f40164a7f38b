//! A fleet of real processes over RabbitMQ and PostgreSQL: the same answers as on a laptop. What breaks in it is the matter of
//! [`crate::matrix`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use assay_common::id::RunId;
use assay_store::RunState;
use assay_tests::assay::{Workplace, repository};
use assay_tests::fleet::{World, ended};
use assay_tests::scenes::{provider, variants};
use fake_provider::{Answer, FakeProvider, Reaction, Script, When};
use tokio::time::sleep;

pub(crate) fn gsm8k() -> PathBuf {
    repository().join("tests/data/gsm8k_openai/suite.yaml")
}

fn first_look() -> PathBuf {
    repository().join("examples/first-look/suite.yaml")
}

/// Slow enough that there is something left to kill.
pub(crate) const RECORDED_SLOWLY: &str = "[providers.recorded]\nkind = \"recorded\"\n[providers.recorded.limits]\nrequests_per_minute = 12000\nin_flight = 10\n";

/// The same suite in one process, run once for all tests.
pub(crate) fn on_a_laptop(suite: &Path) -> String {
    static KNOWN: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());
    let run = || {
        let suite = suite.display().to_string();
        variants(Workplace::default().assay(&["run", &suite, "--json"]).expect(0).json())
    };
    KNOWN.lock().unwrap().entry(suite.to_owned()).or_insert_with(run).clone()
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
        let deaths = world.killing(&mut workers, run, Duration::from_millis(500), 4).await;
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
    let pool = world.store.open_pools().await.unwrap().remove(0).pool.pool;
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
async fn told_twice_a_worker_ends_at_once_and_gives_its_jobs_back() {
    let hang = Script::answering(Answer::Expression).rule(When::always(), Reaction::Hang);
    let provider = FakeProvider::start(hang).await.unwrap();
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 5").sums(20, "");
    let coordinator = world.coordinator();
    let mut first = world.worker();
    let run = world.submit_sums().await;
    world.calls(&provider, 5).await;
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
async fn row_27_an_urgent_run_overtakes_a_sweep() {
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
