//! What a broker can do to the queue: be away, die, freeze, lose queues, consumers and connections, be full. A test that breaks a
//! RabbitMQ node has one of its own.

use std::time::Duration;

use assay_common::committed::Committed;
use assay_common::id::RunId;
use assay_common::job::Hint;
use assay_queue::{Delivery, Health, Queue, QueueError, Subscription};
use assay_tests::rabbitmq::{Node, forget_consumers, vhost};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

const POOL: &str = "account.0123456789ab";
/// Long enough for a node to come up on a busy machine and for every pause of a reconnect.
const EVENTUALLY: Duration = Duration::from_secs(90);

fn hint(ordinal: u64) -> Hint {
    Hint { run: RunId::new(Uuid::from_u128(9)), ordinal }
}

fn connect(url: &str) -> Queue {
    Queue::connect(&url.parse().unwrap(), &format!("test {}", Uuid::now_v7()))
}

/// Publishes one hint, again and again until it is taken.
async fn publish(queue: &Queue, ordinal: u64) {
    let published = async {
        while !matches!(queue.publish(POOL, &[hint(ordinal)]).await.as_deref(), Ok([])) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(EVENTUALLY, published).await.expect("the hint is taken in time");
}

/// Takes deliveries until that hint comes, acknowledging the others: a hint may come twice.
async fn receive(subscription: &mut Subscription, ordinal: u64) -> Delivery {
    let received = async {
        loop {
            let delivery = subscription.next().await.expect("a subscription that goes on");
            if delivery.hint() == hint(ordinal) {
                return delivery;
            }
            delivery.ack(Committed::after_commit()).await.unwrap();
        }
    };
    timeout(EVENTUALLY, received).await.expect("the hint comes in time")
}

async fn until_health(queue: &Queue, within: Duration, expected: impl Fn(&Health) -> bool) {
    let end = Instant::now() + within;
    while !expected(&queue.health()) {
        assert!(Instant::now() < end, "{:?} after {within:?}", queue.health());
        sleep(Duration::from_millis(50)).await;
    }
}

fn is_down(health: &Health) -> bool {
    matches!(health, Health::Down { .. })
}

fn is_connected(health: &Health) -> bool {
    *health == Health::Connected
}

/// The queue is deleted under its subscriber, then every connection is closed by force. Hints published afterwards
/// arrive, and what was in hand can be settled without harm.
#[tokio::test]
async fn goes_on_when_its_queue_is_deleted_and_its_connections_are_closed() {
    let node = Node::start();
    let queue = connect(node.url());
    let mut subscription = queue.subscribe(POOL, 10).await.unwrap();
    publish(&queue, 1).await;
    let in_hand = receive(&mut subscription, 1).await;

    node.ctl(&["delete_queue", &format!("assay.jobs.v1.{POOL}")]);
    publish(&queue, 2).await;
    let second = receive(&mut subscription, 2).await;
    in_hand.ack(Committed::after_commit()).await.unwrap();

    node.ctl(&["close_all_connections", "the test says so"]);
    until_health(&queue, EVENTUALLY, is_connected).await;
    // Unsettled when its channel ended: it comes again, and the old delivery settles nothing.
    let again = receive(&mut subscription, 2).await;
    second.ack(Committed::after_commit()).await.unwrap();
    again.ack(Committed::after_commit()).await.unwrap();
    publish(&queue, 3).await;
    receive(&mut subscription, 3).await.ack(Committed::after_commit()).await.unwrap();
}

/// A queue that nobody subscribes to is deleted: what was sent to nowhere is handed back, and the next hint finds a
/// queue again.
#[tokio::test]
async fn hands_back_what_it_cannot_place() {
    let node = Node::start();
    let queue = connect(node.url());
    let hints: Vec<_> = (0..100).map(hint).collect();
    assert_eq!(queue.publish(POOL, &hints).await.unwrap(), []);
    node.ctl(&["delete_queue", &format!("assay.jobs.v1.{POOL}")]);
    assert_eq!(queue.publish(POOL, &hints).await.unwrap(), hints);
    assert_eq!(queue.publish(POOL, &hints).await.unwrap(), []);

    // A policy makes the queue full at ten; its own bound is beyond what a test should send.
    node.ctl(&["set_policy", "small", "^assay", r#"{"max-length":10}"#, "--apply-to", "queues"]);
    queue.purge(POOL).await.unwrap();
    // The limit of a quorum queue is soft: its publishers feel it some messages later.
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..20 {
        refused = queue.publish(POOL, &hints).await.unwrap().len();
        taken += hints.len() - refused;
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0, "{taken} hints in a queue for ten");
    assert_eq!(queue.depth(POOL).await.unwrap(), taken as u64);
}

/// The broker is away at the start, comes, is killed, and comes again.
#[tokio::test]
async fn waits_for_a_broker_that_is_away() {
    let node = Node::start();
    node.stop();
    let queue = connect(node.url());
    let mut subscription = queue.subscribe(POOL, 10).await.unwrap();
    let error = queue.publish(POOL, &[hint(1)]).await.unwrap_err();
    let QueueError::Unavailable { url, reason } = &error else { panic!("{error:?}") };
    assert!(url.starts_with("amqp://guest:***@127.0.0.1:"), "{url}");
    assert!(reason.contains("refused"), "{reason}");
    assert!(is_down(&queue.health()), "{:?}", queue.health());
    assert!(timeout(Duration::from_millis(300), subscription.next()).await.is_err());

    node.restart();
    publish(&queue, 1).await;
    let in_hand = receive(&mut subscription, 1).await;
    assert!(is_connected(&queue.health()), "{:?}", queue.health());

    node.stop();
    until_health(&queue, Duration::from_secs(10), is_down).await;
    assert!(matches!(queue.depth(POOL).await, Err(QueueError::Unavailable { .. })));
    node.restart();
    // Not settled before: it is there again. What is left of the delivery before settles nothing.
    let again = receive(&mut subscription, 1).await;
    in_hand.ack(Committed::after_commit()).await.unwrap();

    // Not before a stop in good order: RabbitMQ 3.10 may not find a queue again that is made and killed in one second.
    node.kill();
    until_health(&queue, Duration::from_secs(10), is_down).await;
    drop(again);
    node.restart();
    receive(&mut subscription, 1).await.ack(Committed::after_commit()).await.unwrap();
    publish(&queue, 2).await;
    receive(&mut subscription, 2).await.ack(Committed::after_commit()).await.unwrap();
}

/// The broker drops a consumer without a word: at first there is no other, then another has its hands full and hints wait. Either
/// way nobody has to tell the subscription.
#[tokio::test(flavor = "multi_thread")]
async fn notices_that_the_broker_has_forgotten_its_consumer() {
    let broker = vhost();
    // Quiet is borne for half a heartbeat.
    let queue = Queue::connect(&format!("{broker}?heartbeat=2").parse().unwrap(), "forgotten");
    // It is not there while it is made anew.
    let forget = async || {
        while !forget_consumers(&broker, POOL, "forgotten") {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let mut forgotten = queue.subscribe(POOL, 1).await.unwrap();
    publish(&queue, 1).await;
    receive(&mut forgotten, 1).await.ack(Committed::after_commit()).await.unwrap();
    forget().await;
    publish(&queue, 2).await;

    let in_hand = receive(&mut forgotten, 2).await;
    let others = Queue::connect(&broker.parse().unwrap(), "known");
    let mut known = others.subscribe(POOL, 1).await.unwrap();
    publish(&queue, 3).await;
    let _in_other_hands = receive(&mut known, 3).await;
    forget().await;
    in_hand.ack(Committed::after_commit()).await.unwrap();
    publish(&queue, 4).await;
    receive(&mut forgotten, 4).await.ack(Committed::after_commit()).await.unwrap();
}

/// A broker that is there and silent is given up after two heartbeats, and taken back when it wakes.
#[tokio::test]
async fn notices_a_frozen_broker() {
    let node = Node::start();
    let queue = connect(&format!("{}?heartbeat=1", node.url()));
    let mut subscription = queue.subscribe(POOL, 10).await.unwrap();
    publish(&queue, 1).await;
    receive(&mut subscription, 1).await.ack(Committed::after_commit()).await.unwrap();

    node.signal("STOP");
    // Nobody knows what became of it: handed back, or refused outright.
    let unknown = queue.publish(POOL, &[hint(2)]).await;
    let is_unknown = matches!(
        unknown.as_deref(),
        Ok([_]) | Err(QueueError::Unavailable { .. } | QueueError::Unusable { .. })
    );
    assert!(is_unknown, "{unknown:?}");
    until_health(&queue, Duration::from_secs(10), is_down).await;
    node.signal("CONT");
    until_health(&queue, EVENTUALLY, is_connected).await;
    publish(&queue, 3).await;
    receive(&mut subscription, 3).await.ack(Committed::after_commit()).await.unwrap();
}
