//! What every adapter of the Queue port promises. Each function takes a queue that nobody else uses and the name of
//! a pool in it; `tests/queue.rs` runs them all on every adapter.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::time::Duration;

use assay_common::committed::Committed;
use assay_common::id::RunId;
use assay_common::job::Hint;
use assay_common::trace::TraceParent;
use assay_queue::{Delivery, Message, Queue, Subscription};
use tokio::time::timeout;
use uuid::Uuid;

/// Long enough for any adapter to deliver what it has.
const SOON: Duration = Duration::from_secs(10);
/// Long enough to believe that nothing comes.
const QUIET: Duration = Duration::from_millis(200);

fn hints(count: u64) -> Vec<Hint> {
    (0..count).map(|ordinal| Hint { run: RunId::new(Uuid::from_u128(7)), ordinal }).collect()
}

async fn next(subscription: &mut Subscription) -> Delivery {
    timeout(SOON, subscription.next()).await.expect("a delivery in time").expect("an open queue")
}

async fn assert_quiet(subscription: &mut Subscription) {
    assert!(timeout(QUIET, subscription.next()).await.is_err(), "a delivery where none was due");
}

/// The tests play the store.
fn proof() -> Committed {
    Committed::after_commit()
}

/// Hints arrive in order, and an acknowledged one never again.
pub async fn delivers_in_order_and_once(queue: Queue, pool: &str) {
    assert_eq!(queue.publish(pool, &hints(3)).await.unwrap(), []);
    let mut subscription = queue.subscribe(pool, 10).await.unwrap();
    for expected in hints(3) {
        let delivery = next(&mut subscription).await;
        assert_eq!(delivery.hint(), expected);
        delivery.ack(proof()).await.unwrap();
    }
    assert_quiet(&mut subscription).await;
    drop(subscription);
    let mut again = queue.subscribe(pool, 10).await.unwrap();
    assert_quiet(&mut again).await;
}

/// More hints than any adapter sends or takes at once keep their order, and none is lost.
pub async fn keeps_the_order_of_a_long_batch(queue: Queue, pool: &str) {
    assert_eq!(queue.publish(pool, &hints(2500)).await.unwrap(), []);
    let mut subscription = queue.subscribe(pool, 100).await.unwrap();
    for expected in hints(2500) {
        let delivery = next(&mut subscription).await;
        assert_eq!(delivery.hint(), expected);
        delivery.ack(proof()).await.unwrap();
    }
    assert_eq!(queue.depth(pool).await.unwrap(), 0);
}

/// A subscriber that waits is woken by a hint that comes later.
pub async fn wakes_a_waiting_subscriber(queue: Queue, pool: &str) {
    let mut subscription = queue.subscribe(pool, 1).await.unwrap();
    let publisher = queue.clone();
    let name = pool.to_owned();
    let publishing = tokio::spawn(async move {
        tokio::time::sleep(QUIET).await;
        publisher.publish(&name, &hints(1)).await.unwrap();
    });
    let delivery = next(&mut subscription).await;
    delivery.ack(proof()).await.unwrap();
    publishing.await.unwrap();
}

/// No more than `prefetch` deliveries are unsettled at a time.
pub async fn prefetch_bounds_what_is_in_hand(queue: Queue, pool: &str) {
    queue.publish(pool, &hints(5)).await.unwrap();
    let mut subscription = queue.subscribe(pool, 2).await.unwrap();
    let first = next(&mut subscription).await;
    let second = next(&mut subscription).await;
    assert_quiet(&mut subscription).await;
    first.ack(proof()).await.unwrap();
    let third = next(&mut subscription).await;
    assert_eq!(third.hint().ordinal, 2);
    assert_quiet(&mut subscription).await;
    second.ack(proof()).await.unwrap();
    third.ack(proof()).await.unwrap();
}

/// What is rejected or dropped comes again.
pub async fn rejected_and_dropped_hints_come_again(queue: Queue, pool: &str) {
    queue.publish(pool, &hints(2)).await.unwrap();
    let mut subscription = queue.subscribe(pool, 10).await.unwrap();
    let first = next(&mut subscription).await;
    let second = next(&mut subscription).await;
    first.reject().await.unwrap();
    drop(second);
    let mut seen = vec![];
    for _ in 0..2 {
        let delivery = next(&mut subscription).await;
        seen.push(delivery.hint().ordinal);
        delivery.ack(proof()).await.unwrap();
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1]);
}

/// A subscription that ends has taken only what it handed out: the rest goes to others at once, and what is in hand
/// can still be settled.
pub async fn a_dropped_subscription_leaves_what_it_has_not_taken(queue: Queue, pool: &str) {
    queue.publish(pool, &hints(4)).await.unwrap();
    let mut subscription = queue.subscribe(pool, 10).await.unwrap();
    let acknowledged = next(&mut subscription).await;
    let returned = next(&mut subscription).await;
    drop(subscription);
    let mut other = queue.subscribe(pool, 10).await.unwrap();
    let mut rest = vec![];
    for _ in 0..2 {
        rest.push(next(&mut other).await);
    }
    assert_quiet(&mut other).await;
    acknowledged.ack(proof()).await.unwrap();
    returned.reject().await.unwrap();
    rest.push(next(&mut other).await);
    assert_quiet(&mut other).await;
    let mut seen: Vec<_> = rest.iter().map(|delivery| delivery.hint().ordinal).collect();
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3]);
}

/// Two subscribers share a pool; pools do not share hints.
pub async fn pools_are_apart_and_subscribers_share(queue: Queue, pool: &str) {
    let other = format!("{pool}-other");
    queue.publish(pool, &hints(4)).await.unwrap();
    let mut stranger = queue.subscribe(&other, 10).await.unwrap();
    assert_quiet(&mut stranger).await;
    let mut one = queue.subscribe(pool, 1).await.unwrap();
    let mut two = queue.subscribe(pool, 1).await.unwrap();
    let (first, second) = (next(&mut one).await, next(&mut two).await);
    assert_ne!(first.hint(), second.hint());
    first.ack(proof()).await.unwrap();
    second.ack(proof()).await.unwrap();
    for subscription in [&mut one, &mut two] {
        next(subscription).await.ack(proof()).await.unwrap();
    }
}

/// A deleted queue has lost its hints, and is there again when somebody needs it.
pub async fn a_deleted_queue_is_made_again(queue: Queue, pool: &str) {
    queue.delete(pool).await.unwrap();
    queue.publish(pool, &hints(5)).await.unwrap();
    queue.delete(pool).await.unwrap();
    assert_eq!(queue.depth(pool).await.unwrap(), 0);
    queue.publish(pool, &hints(1)).await.unwrap();
    let mut subscription = queue.subscribe(pool, 10).await.unwrap();
    next(&mut subscription).await.ack(proof()).await.unwrap();
    assert_quiet(&mut subscription).await;
}

/// Depth counts what waits; a purge empties it.
pub async fn depth_and_purge(queue: Queue, pool: &str) {
    assert_eq!(queue.depth(pool).await.unwrap(), 0);
    queue.publish(pool, &hints(5)).await.unwrap();
    assert_eq!(queue.depth(pool).await.unwrap(), 5);
    queue.purge(pool).await.unwrap();
    assert_eq!(queue.depth(pool).await.unwrap(), 0);
    let mut subscription = queue.subscribe(pool, 10).await.unwrap();
    assert_quiet(&mut subscription).await;
}

/// A trace travels with its hint, also when the hint comes again; one without is as good.
pub async fn a_trace_travels_with_its_hint(queue: Queue, pool: &str) {
    let trace = Some(TraceParent { trace: 1 << 127 | 3, span: 1 << 63, sampled: false });
    let mut messages: Vec<Message> = hints(2).into_iter().map(Message::from).collect();
    messages[0].trace = trace;
    queue.publish(pool, &messages).await.unwrap();
    let mut subscription = queue.subscribe(pool, 1).await.unwrap();
    let first = next(&mut subscription).await;
    assert_eq!(first.trace(), trace);
    first.reject().await.unwrap();
    let again = next(&mut subscription).await;
    assert_eq!((again.hint(), again.trace()), (messages[0].hint, trace));
    again.ack(proof()).await.unwrap();
    let second = next(&mut subscription).await;
    assert_eq!(second.trace(), None);
    second.ack(proof()).await.unwrap();
}
