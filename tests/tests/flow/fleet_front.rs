//! A fleet's front door: what people and CI see of a live fleet, and what they are told when a part of it is away.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_store::{AccountProblem, RunState};
use assay_tests::fleet::{World, ended};
use assay_tests::proxy::Proxy;
use assay_tests::scenes::{assert_says, provider};

/// The database goes away in the middle: everybody says so and waits, and whoever waits for the run is answered after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_is_waited_for_by_everybody() {
    const JOBS: u32 = 1_500;
    let provider = provider(20).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(JOBS, "");
    let mut door = Proxy::to(world.database()).await;
    door.open().await;
    let behind = world.store_url_at(door.address());
    let coordinator = world.coordinator_on(&behind);
    let worker = world.worker_on(&behind);
    world.ready().await;
    let waiting =
        world.start_client(&["submit", "suite.yaml", "--wait", "--json", "--patience", "80s"]).await;
    let run = world.submitted().await;
    world.done(run, 200).await;
    door.shut().await;
    world.until("the store is missed", async || coordinator.readiness().await.0 == 503).await;
    let readiness = coordinator.readiness().await.1;
    assert_eq!((&readiness["status"], &readiness["store"]["ok"]), (&"unready".into(), &false.into()));
    let asked = world.client(&["status", &run.to_string()]).await.expect(4);
    assert_says(&asked.stderr, &["503", "the store does not answer"]);
    coordinator.logged("trying again").await;
    worker.logged("failed to").await;
    assert!(!world.run(run).await.state.is_over(), "there is nothing left to miss");
    door.open().await;
    let report = ended(waiting).await.expect(0);
    assert_eq!(report.json()["variants"][0]["passed"], JOBS);
    assert_says(&report.stderr, &["trying again", "answers again"]);
    world.assert_each_job_has_one_result(run, JOBS.into());
    // Nobody has died: what was answered meanwhile was recorded when it could be.
    assert_eq!(provider.bill().totals().calls, u64::from(JOBS));
    world.end(vec![coordinator, worker]).await;
}

/// Who waits for a run does not notice more of a coordinator's death than a line on stderr.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_goes_on_when_another_coordinator_takes_over() {
    const JOBS: u32 = 2_000;
    let provider = provider(50).await;
    let mut world = World::new().await;
    world
        .place
        .provider(provider.base_url(), "in_flight = 20")
        .sums(JOBS, "gate: {rules: [{metric: pass_rate, min: 0.9}]}");
    let first = world.coordinator();
    let worker = world.worker();
    world.ready().await;
    let waiting = world.start_client(&["submit", "suite.yaml", "--wait", "--json"]).await;
    let run = world.submitted().await;
    world.done(run, 200).await;
    let address = first.address().await;
    first.kill();
    // The client looks every two seconds.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let second = world.coordinator_at(&address);
    let report = ended(waiting).await.expect(0);
    assert_eq!(report.json()["run"]["id"], run.to_string());
    assert_eq!(report.json()["verdict"]["outcome"], "pass");
    assert_says(&report.stderr, &["cannot reach the coordinator", "trying again", "answers again"]);
    assert_eq!(provider.bill().totals().calls, u64::from(JOBS), "nobody who pays has died");
    world.end(vec![second, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_run_is_paused_resumed_watched_and_cancelled() {
    let provider = provider(20).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(3_000, "");
    let coordinator = world.coordinator();
    let worker = world.worker();
    let run = world.submit_sums().await;
    let id = run.to_string();
    world.done(run, 100).await;
    let paused = world.client(&["pause", &id, "--reason", "the provider is ill"]).await.expect(0);
    assert_says(&paused.stdout, &[&format!("run {id} is paused")]);
    // What was claimed is finished; after that nothing moves.
    let mut calls = 0;
    world
        .until("it stands still", async || {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let before = std::mem::replace(&mut calls, provider.bill().totals().calls);
            before == calls
        })
        .await;
    assert!(calls < 3_000, "{calls} calls");
    let status = world.client(&["status", &id]).await.expect(0);
    assert_says(&status.stdout, &["paused by tests", "the provider is ill", "assay resume"]);

    world.client(&["resume", &id]).await.expect(0);
    let watching = world.start_client(&["watch", &id]).await;
    let done = world.run(run).await.done();
    world.done(run, done + 100).await;
    world.client(&["cancel", &id, "--reason", "seen enough"]).await.expect(0);
    let watched = ended(watching).await.expect(3);
    assert_says(&watched.stdout, &["cancelled because seen enough"]);
    let over = world.finished(run).await;
    assert_eq!(over.state, RunState::Cancelled);
    // Cancelled is cancelled: whatever was called by now is all there is.
    let calls = provider.bill().totals().calls;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(provider.bill().totals().calls, calls);
    world.end(vec![coordinator, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nothing_moves_the_status_says_why_and_what_to_do() {
    let provider = provider(1).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "").sums(50, "");
    let toml = std::fs::read_to_string(world.place.path().join("assay.toml")).unwrap();
    world.place.write("assay.toml", toml.replace("[providers.fake.limits]", "api_key_env = \"FAKE_KEY\""));
    let coordinator = world.coordinator();
    world.ready().await;
    let impatient = ["submit", "suite.yaml", "--wait", "--patience", "1s", "--idempotency-key", "once"];
    let stuck = world.client(&impatient).await.expect(4);
    assert_says(&stuck.stderr, &["no worker is alive; start one with `assay worker`", "assay watch"]);
    assert_eq!(stuck.stdout, "");
    let run = world.submitted().await;

    let poor = world.worker();
    let id = run.to_string();
    world
        .until("the reason is told", async || {
            let status = world.client(&["status", &id]).await.expect(0).stdout;
            status.contains("start one whose environment has FAKE_KEY")
                && status.contains(&format!("process {}", poor.id()))
        })
        .await;
    let stuck = world.client(&impatient).await.expect(4);
    assert_says(&stuck.stderr, &["submitted before, under the same key", "FAKE_KEY", "assay watch"]);

    let rich = world.worker_with(&[("FAKE_KEY", "sk-0123456789abcdef")]);
    let watched = world.client(&["watch", &id]).await.expect(0);
    assert_says(&watched.stdout, &["sums: 50 jobs, completed"]);
    world.end(vec![coordinator, poor, rich]).await;
}

/// Everybody was killed, and nobody is left who could bury them: the status says so all the same, beside whatever else is
/// wrong.
#[tokio::test(flavor = "multi_thread")]
async fn when_everybody_was_killed_the_status_says_who_is_missing() {
    let provider = provider(1_000).await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 1").sums(30, "");
    let (coordinator, worker) = (world.coordinator(), world.worker());
    let run = world.submit_sums().await;
    let id = run.to_string();
    world.calls(&provider, 1).await;
    worker.kill();
    world
        .until("the coordinator says who holds what is left", async || {
            let status = world.client(&["status", &id]).await.expect(0).stdout;
            status.contains("held by a worker that has not beaten for")
                && status.contains("free again within")
        })
        .await;
    coordinator.kill();
    let status = || world.place.assay(&["status", &id, "--store", world.store_url()]).expect(0).stdout;
    let nobody = ["no worker is alive", "no coordinator is alive", "start one with"];
    let told = status();
    assert_says(&told, &nobody);
    assert_says(&told, &["held by a worker that has not beaten for 2 s", "--dead-after"]);
    let refused = AccountProblem { kind: "unauthorized".into(), detail: "401".into(), since: Micros(0) };
    world.store.report_account("fake".into(), Some(refused), Micros(0)).await.unwrap();
    let refused = status();
    assert_says(&refused, &nobody);
    assert_says(&refused, &["fake needs attention", "a key that holds"]);

    let calls = provider.bill().totals().calls;
    let mut alone = world.place.start(&["run", "suite.yaml"]);
    world.calls(&provider, calls + 1).await;
    let running = world.place.assay(&["status", "--json"]).expect(0).json();
    alone.kill().unwrap();
    alone.wait().unwrap();
    let id = running[0]["run"]["id"].as_str().unwrap();
    let status = world.place.assay(&["status", id]).expect(0);
    assert_says(&status.stdout, &["nobody runs it", "the same `assay run SUITE` goes on with it"]);
    world.dead_after = "2s";
    let coordinator = world.coordinator();
    world.ready().await;
    world.client(&["cancel", &run.to_string()]).await.expect(0);
    world.finished(run).await;
    world.end(vec![coordinator]).await;
}

/// 300 prompts of a quarter of a MiB each: more than a submission may hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_suite_that_is_too_large_is_refused_in_words() {
    let mut world = World::new().await;
    world.place.sums(1, "");
    let prompts: String = (0..300)
        .map(|n| {
            let name = format!("prompts/{n}.md");
            world.place.write(&name, format!("{n} {}", "x".repeat(250_000)));
            format!("  - {{name: large, label: l{n}, file: {name}}}\n")
        })
        .collect();
    world.place.write(
        "suite.yaml",
        format!(
            "suite: large\nprompts:\n{prompts}models: [echo/e]\ncases: [{{file: cases.jsonl, id: id}}]\n"
        ),
    );
    let coordinator = world.coordinator();
    world.ready().await;
    let refused = world.client(&["submit", "suite.yaml"]).await.expect(2);
    assert_says(&refused.stderr, &["413", "67108864 bytes"]);
    assert_eq!(refused.stdout, "");
    assert!(world.store.runs(None, 1).await.unwrap().is_empty());
    world.end(vec![coordinator]).await;
}
