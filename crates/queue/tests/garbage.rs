//! Messages that are no hints: they end as dead letters, and the hints behind them arrive.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use assay_common::committed::Committed;
use assay_common::id::RunId;
use assay_common::job::Hint;
use assay_queue::Queue;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::time::timeout;
use uuid::Uuid;

const VERSION_1: &str = "application/vnd.assay.hint.v1+json";
const SOON: Duration = Duration::from_secs(20);

/// A client that knows nothing of hints.
async fn stranger(url: &str) -> Channel {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

async fn send(channel: &Channel, queue: &str, content_type: &str, body: &[u8]) {
    let properties = BasicProperties::default().with_content_type(content_type.into());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish("".into(), queue.into(), options, body, properties).await.unwrap();
    assert!(confirm.await.unwrap().is_ack());
}

/// Takes dead letters until one of them is `body`.
async fn find_dead_letter(channel: &Channel, body: &[u8]) {
    let found = async {
        loop {
            let no_ack = BasicGetOptions { no_ack: true };
            match channel.basic_get("assay.dead.v1".into(), no_ack).await.unwrap() {
                Some(message) if message.data == body => return,
                Some(_) => {}
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(SOON, found).await.expect("the dead letter");
}

#[tokio::test]
async fn garbage_is_dead_lettered_and_hints_go_on() {
    let url = std::env::var("ASSAY_TEST_AMQP")
        .expect("ASSAY_TEST_AMQP is not set: run ./test.sh, which starts the RabbitMQ that this test needs");
    let pool = Uuid::now_v7().to_string();
    let queue = Queue::connect(&url.parse().unwrap(), &format!("test {pool}"));
    assert_eq!(queue.depth(&pool).await.unwrap(), 0);
    let channel = stranger(&url).await;
    let name = format!("assay.jobs.v1.{pool}");

    // Its own name in each, so that it is found among what other tests left.
    let garbage = [&[0xff, 0, b'{'], pool.as_bytes()].concat();
    let later = format!(r#"{{"run":"{pool}","ordinal":1,"of":"a later version"}}"#);
    send(&channel, &name, VERSION_1, &garbage).await;
    send(&channel, &name, "application/vnd.assay.hint.v2+json", later.as_bytes()).await;
    let hint = Hint { run: RunId::new(Uuid::from_u128(3)), ordinal: 3 };
    assert_eq!(queue.publish(&pool, &[hint]).await.unwrap(), []);

    let mut subscription = queue.subscribe(&pool, 1).await.unwrap();
    let delivery = timeout(SOON, subscription.next()).await.expect("a delivery in time").unwrap();
    assert_eq!(delivery.hint(), hint);
    delivery.ack(Committed::after_commit()).await.unwrap();
    find_dead_letter(&channel, &garbage).await;
    find_dead_letter(&channel, later.as_bytes()).await;
    assert_eq!(queue.depth(&pool).await.unwrap(), 0);
}

/// A field that a later writer added within version 1 is skipped.
#[tokio::test]
async fn a_hint_with_more_fields_is_a_hint() {
    let url = std::env::var("ASSAY_TEST_AMQP")
        .expect("ASSAY_TEST_AMQP is not set: run ./test.sh, which starts the RabbitMQ that this test needs");
    let pool = Uuid::now_v7().to_string();
    let queue = Queue::connect(&url.parse().unwrap(), &format!("test {pool}"));
    assert_eq!(queue.depth(&pool).await.unwrap(), 0);
    let body = format!(r#"{{"run":"{pool}","ordinal":4,"why":"tests"}}"#);
    send(&stranger(&url).await, &format!("assay.jobs.v1.{pool}"), VERSION_1, body.as_bytes()).await;
    let mut subscription = queue.subscribe(&pool, 1).await.unwrap();
    let delivery = timeout(SOON, subscription.next()).await.expect("a delivery in time").unwrap();
    assert_eq!(delivery.hint(), Hint { run: pool.parse().unwrap(), ordinal: 4 });
    delivery.ack(Committed::after_commit()).await.unwrap();
}
