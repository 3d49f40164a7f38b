//! A broker that is away, dies, freezes, is full, forgets, closes channels, and delivers what is no hint. Hints are all it
//! has: nothing is lost or paid twice for, whatever becomes of them.

use std::fs;
use std::time::Duration;

use assay_common::id::RunId;
use assay_common::job::Hint;
use assay_store::RunState;
use assay_tests::fleet::{Process, World};
use assay_tests::rabbitmq::{Node, breakable};
use assay_tests::scenes::{assert_says, provider, variants};
use fake_provider::FakeProvider;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::fleet::{RECORDED_SLOWLY, gsm8k, on_a_laptop};

/// A gate for which jobs are made a few at a time, since it may end its run early; it never does.
const EXPANDED_SLOWLY: &str = "gate: {stop_early: true, rules: [{metric: latency_p95_ms, max: 1000000}]}";

async fn status(coordinator: &Process) -> String {
    coordinator.readiness().await.1["status"].as_str().unwrap_or_default().to_owned()
}

async fn until_status(world: &World, coordinator: &Process, expected: &str) {
    world.until(expected, async || status(coordinator).await == expected).await;
}

/// Every job has passed, each for one call, and the fleet ends well.
async fn ends_well(world: World, run: RunId, provider: &FakeProvider, processes: Vec<Process>) {
    let over = world.finished(run).await;
    assert_eq!(over.passed, over.planned, "{over:?}");
    let books = world.assert_books(run, provider, 0).await;
    assert_eq!(books.calls, books.jobs, "nobody who pays has died");
    world.end(processes).await;
}

fn pool() -> String {
    let model = assay_common::model::Model {
        provider: "fake".into(),
        model: "small".into(),
        sampling: Default::default(),
        recording: None,
    };
    model.pool()
}

/// In the middle of its expansion too: a gate that may end the run early has its jobs made a few at a time, and this one
/// waits for the last.
#[tokio::test(flavor = "multi_thread")]
async fn row_06_a_broker_restarted_and_killed_in_the_middle() {
    let node = breakable().await;
    let provider = provider(50).await;
    let mut world = World::on(node.url().to_owned()).await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(3_000, EXPANDED_SLOWLY);
    let coordinator = world.coordinator();
    let workers = [world.worker(), world.worker()];
    let run = world.submit_sums().await;
    world.done(run, 100).await;
    for breaks in [Node::stop, Node::kill] {
        let before = world.run(run).await;
        assert!(before.cursor < before.planned, "there is nothing left to miss: {before:?}");
        breaks(&node);
        until_status(&world, &coordinator, "degraded").await;
        node.restart();
        until_status(&world, &coordinator, "ready").await;
        let done = world.run(run).await.done();
        world.done(run, done + 100).await;
    }
    ends_well(world, run, &provider, workers.into_iter().chain([coordinator]).collect()).await;
}

/// A submission touches the store alone: it is answered while nobody answers the coordinator, which says so. What it left there
/// runs when the broker is back, however long that took: no two attempts to reach it are more than four seconds apart
/// (`rabbitmq/backoff.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn row_07_a_suite_submitted_while_the_broker_is_down() {
    let node = breakable().await;
    let mut world = World::on(node.url().to_owned()).await;
    let provider = provider(1).await;
    world.place.provider(provider.base_url(), "").sums(200, "");
    let coordinator = world.coordinator();
    let worker = world.worker();
    world.ready().await;
    node.stop();
    until_status(&world, &coordinator, "degraded").await;
    let run = world.submit_sums().await;
    assert_eq!(status(&coordinator).await, "degraded", "it was accepted without a broker");
    let shown = world.client(&["status", &run.to_string()]).await.expect(0);
    assert_says(&shown.stdout, &["running, 0 of 200"]);
    coordinator.logged("cannot drive runs, trying again until it works").await;
    assert_says(&coordinator.log(), &[node.url().rsplit('@').next().unwrap()]);
    assert_eq!(status(&coordinator).await, "degraded");
    node.restart();
    ends_well(world, run, &provider, vec![coordinator, worker]).await;
}

/// Nothing but its silence tells of it: the log says that heartbeats are missed, which is so after two of the interval that was
/// agreed on, here a second. How soon is not measured; but an interval of its own, ten seconds, would take whoever sends or
/// receives longer than the bound. While it is away nothing piles up in anybody's memory, and each of them knocks at moments of its own
/// (`backoff::two_names_pause_apart`).
#[tokio::test(flavor = "multi_thread")]
async fn row_08_a_frozen_broker() {
    let node = breakable().await;
    let provider = provider(20).await;
    let mut world = World::on(format!("{}?heartbeat=1", node.url())).await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(2_000, "");
    let coordinator = world.coordinator();
    let worker = world.worker();
    let run = world.submit_sums().await;
    world.done(run, 200).await;
    let memory = || [coordinator.memory_mib(), worker.memory_mib()];
    let before = memory();
    node.signal("STOP");
    let noticed = async {
        for process in [&coordinator, &worker] {
            until_status(&world, process, "degraded").await;
            process.logged("no heartbeat").await;
        }
    };
    timeout(Duration::from_secs(15), noticed).await.expect("its heartbeats are missed");
    sleep(Duration::from_secs(1)).await;
    for (before, after) in before.into_iter().zip(memory()) {
        assert!(after <= before + 30, "{before} MiB grew to {after} MiB");
    }
    assert!(!world.run(run).await.state.is_over(), "there is nothing left to miss");
    node.signal("CONT");
    ends_well(world, run, &provider, vec![coordinator, worker]).await;
}

/// No hints come any more, be it for memory or for disk; what was sent before is worked off and recorded, and acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn row_09_a_broker_that_has_no_memory_or_disk_left() {
    let node = breakable().await;
    let provider = provider(50).await;
    let mut world = World::on(node.url().to_owned()).await;
    world.place.provider(provider.base_url(), "in_flight = 10").sums(2_000, "");
    let coordinator = world.coordinator();
    let worker = world.worker();
    let run = world.submit_sums().await;
    world.done(run, 50).await;
    for (what, nothing, enough) in
        [("set_vm_memory_high_watermark", "0", "0.4"), ("set_disk_free_limit", "1000000000000000", "1000000")]
    {
        node.ctl(&[what, nothing]);
        until_status(&world, &coordinator, "degraded").await;
        let readiness = coordinator.readiness().await.1;
        assert_says(readiness["queue"]["reason"].as_str().unwrap(), &["takes no messages"]);
        let done = world.run(run).await.done();
        world.done(run, done + 50).await;
        assert_eq!(status(&coordinator).await, "degraded");
        assert!(!world.run(run).await.state.is_over(), "there is nothing left to send");
        node.ctl(&[what, enough]);
        until_status(&world, &coordinator, "ready").await;
    }
    ends_well(world, run, &provider, vec![coordinator, worker]).await;
}

/// Queues are purged, deleted and filled with doubles and strangers as long as the run goes on; in the middle of it the
/// broker forgets everything. What comes out is what comes out on a laptop, to the byte.
#[tokio::test(flavor = "multi_thread")]
async fn row_10_hints_purged_doubled_deleted_and_wiped() {
    let node = breakable().await;
    // A consumer that the broker forgets notices it within two of these.
    let mut world = World::on(format!("{}?heartbeat=2", node.url())).await;
    // Workers go on with what they hold while the broker is away: slowly, so that something is left for later.
    world.place.write("assay.toml", RECORDED_SLOWLY.replace("12000", "9000"));
    let expected = on_a_laptop(&gsm8k());
    let coordinator = world.coordinator();
    let workers = [world.worker(), world.worker()];
    let run = world.submit(&gsm8k()).await;
    world.done(run, 50).await;
    let pools = world.store.open_pools().await.unwrap();
    for round in 0..4 {
        let queue = world.connect().await;
        for pool in &pools {
            let stranger = RunId::new(Uuid::from_u128(1));
            let hint = |run| move |ordinal| Hint { run, ordinal };
            let meddled: Vec<_> = (0..400).map(hint(run)).chain((0..50).map(hint(stranger))).collect();
            let pool = &pool.pool.pool;
            // A broker that is treated so may close a connection in the midst of it.
            world.until("it is purged", async || queue.purge(pool).await.is_ok()).await;
            for _ in 0..2 {
                world.until("it is doubled", async || queue.publish(pool, &meddled).await.is_ok()).await;
            }
            world.until("it is deleted", async || queue.delete(pool).await.is_ok()).await;
            world.until("it is made again", async || queue.publish(pool, &meddled).await.is_ok()).await;
        }
        if round == 1 {
            assert!(!world.run(run).await.state.is_over(), "there is nothing left to forget");
            node.stop();
            node.wipe();
            node.restart();
        }
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(world.finished(run).await.state, RunState::Completed);
    assert_eq!(variants(world.report(run)), expected);
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
}

/// The queue of the sums.
fn queue() -> String {
    format!("assay.jobs.v1.{}", pool())
}

/// Submits the sums once more, to another model, which has a queue of its own.
async fn submit_other(world: &World) -> RunId {
    let suite = fs::read_to_string(world.place.path().join("suite.yaml")).unwrap();
    let other = suite.replace("fake/small", "fake/other").replace("suite: sums", "suite: other");
    world.place.write("other.yaml", other);
    world.submit(&world.place.path().join("other.yaml")).await
}

/// Waits until the status of a run says that this queue cannot be used.
async fn until_named(world: &World, run: RunId, queue: &str) {
    world
        .until("the queue is named", async || {
            let told = world.client(&["status", &run.to_string()]).await.expect(0).stdout;
            told.contains("a queue cannot be used since") && told.contains(queue)
        })
        .await;
}

/// A queue that somebody has made in another way cannot be used. That holds up its own pool alone, is told with its name, and ends
/// when it is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_used_holds_up_no_other() {
    let node = breakable().await;
    let provider = provider(1).await;
    let mut world = World::on(node.url().to_owned()).await;
    world.place.provider(provider.base_url(), "").sums(50, "");
    let queue = queue();
    let named = format!("rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)");
    node.ctl(&["eval", &format!("rabbit_amqqueue:declare({named}, true, false, [], none, <<\"test\">>).")]);
    let coordinator = world.coordinator();
    let worker = world.worker();
    let stuck = world.submit_sums().await;
    let other = submit_other(&world).await;
    world.finished(other).await;
    until_named(&world, stuck, &queue).await;
    let moved = world.client(&["status", &other.to_string()]).await.expect(0).stdout;
    assert!(!moved.contains("cannot be used"), "{moved}");
    assert_eq!(world.run(stuck).await.done(), 0);
    node.ctl(&["delete_queue", &queue]);
    assert_eq!(world.finished(stuck).await.passed, 50);
    world.end(vec![worker, coordinator]).await;
}

/// A queue that answers nobody, as one without its majority does: the others go on, it is named, and goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_answers_nobody_holds_up_no_other() {
    let node = breakable().await;
    let provider = provider(1).await;
    let mut world = World::on(node.url().to_owned()).await;
    world.place.provider(provider.base_url(), "").sums(50, "");
    let coordinator = world.coordinator();
    let worker = world.worker();
    let first = world.submit_sums().await;
    world.finished(first).await;
    let queue = queue();
    let tell = |what: &str| {
        let found = format!("rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>))");
        node.ctl(&["eval", &format!("{{ok, Q}} = {found}, {{N, _}} = amqqueue:get_pid(Q), sys:{what}(N).")]);
    };
    tell("suspend");
    let stuck = world.submit_sums().await;
    let other = submit_other(&world).await;
    world.finished(other).await;
    until_named(&world, stuck, &queue).await;
    tell("resume");
    assert_eq!(world.finished(stuck).await.passed, 50);
    world.end(vec![worker, coordinator]).await;
}

/// The broker takes a worker that holds hints for long for dead and closes its channel. The calls go on, and their hints,
/// which come again, wait for them.
#[tokio::test(flavor = "multi_thread")]
async fn row_11_channels_closed_by_the_broker() {
    let node = breakable().await;
    let set = |timeout: &str, tick: &str| {
        let set = |name: &str, value: &str| format!("application:set_env(rabbit, {name}, {value})");
        node.ctl(&[
            "eval",
            &format!("{}, {}.", set("consumer_timeout", timeout), set("channel_tick_interval", tick)),
        ]);
    };
    set("1000", "250");
    let provider = provider(2_500).await;
    let mut world = World::on(node.url().to_owned()).await;
    world.place.provider(provider.base_url(), "in_flight = 20").sums(40, "");
    let coordinator = world.coordinator();
    let worker = world.worker();
    let run = world.submit_sums().await;
    worker.logged("subscribing again").await;
    assert_says(&worker.log(), &["PRECONDITION"]);
    world.finished(run).await;
    set("1800000", "60000");
    ends_well(world, run, &provider, vec![coordinator, worker]).await;
}

/// It goes to the dead letters and is told once; nothing else happens.
#[tokio::test(flavor = "multi_thread")]
async fn row_12_messages_that_are_no_hints() {
    const JOBS: u32 = 100;
    let node = breakable().await;
    let provider = provider(20).await;
    let mut world = World::on(node.url().to_owned()).await;
    world.place.provider(provider.base_url(), "in_flight = 5").sums(JOBS, "");
    let coordinator = world.coordinator();
    let run = world.submit_sums().await;
    world
        .until("hints wait", async || {
            world.queue.depth(&pool()).await.is_ok_and(|depth| depth == u64::from(JOBS))
        })
        .await;
    node.ctl(&["purge_queue", "assay.dead.v1"]);
    let garbage = [
        ("application/vnd.assay.hint.v1+json", "no \\\"hint"),
        ("application/vnd.assay.hint.v9+json", "{}"),
        ("text/plain", "hello"),
    ];
    let published: Vec<_> = garbage.iter().map(|(kind, body)| published(kind, body)).collect();
    node.ctl(&["eval", &format!("{}.", published.join(", "))]);
    let worker = world.worker();
    worker.logged("its content type is `text/plain`").await;
    worker.logged("its body is malformed").await;
    let dead = || node.ctl(&["list_queues", "--quiet", "name", "messages"]);
    world.until("they are dead letters", async || dead().contains("assay.dead.v1\t3")).await;
    assert_eq!(worker.log().matches("to the dead letters").count(), 3, "{}", worker.log());
    ends_well(world, run, &provider, vec![coordinator, worker]).await;
}

/// Erlang that puts a message into the queue of the sums.
fn published(content_type: &str, body: &str) -> String {
    format!(
        "rabbit_basic:publish(rabbit_misc:r(<<\"/\">>, exchange, <<\"\">>), <<\"assay.jobs.v1.{}\">>, \
         [{{content_type, <<\"{content_type}\">>}}], <<\"{body}\">>)",
        pool()
    )
}
