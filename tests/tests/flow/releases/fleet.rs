//! In a fleet nobody has to ask: whoever leads judges what is over, and tells of it.

use assay_tests::fleet::World;
use fake_provider::{Answer, FakeProvider, Script};

use super::notify::Receiver;
use super::says;

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_judges_what_is_over_and_tells_of_it() {
    let provider = FakeProvider::start(Script::answering(Answer::Expression)).await.unwrap();
    let mut world = World::new().await;
    let gate = "gate: {rules: [{metric: pass_rate, min: 0.9}], expires: 2d}";
    world.place.provider(provider.base_url(), "").sums(50, gate);
    let (receiver, url) = Receiver::start(200).await;
    let config = std::fs::read_to_string(world.place.path().join("assay.toml")).unwrap();
    let webhook = format!("[webhooks.chat]\nurl = \"{url}\"\nformat = \"slack\"\nallow_private = true\n");
    world.place.write("assay.toml", config + &webhook);
    let (coordinator, worker) = (world.coordinator(), world.worker());
    world.ready().await;
    let run = world.submit_sums().await;
    world.finished(run).await;
    coordinator.logged("recorded 1 verdicts on run").await;
    coordinator.logged("told chat of verdict.pass").await;
    assert_eq!(receiver.kinds(), ["message"]);
    let status = world.client(&["status", &run.to_string()]).await.expect(0);
    says(&status.stdout, &["Recorded: sum@1", "pass, until"]);
    world.end(vec![coordinator, worker]).await;
}
