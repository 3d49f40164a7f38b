//! The conformance suite of the Queue port on every adapter.

use assay_queue::Queue;
use assay_tests::queue_conformance as conformance;
use assay_tests::rabbitmq;
use uuid::Uuid;

macro_rules! conforms {
    ($($function:ident),+ $(,)?) => {
        mod memory {
            use super::*;
            $(#[tokio::test]
            async fn $function() {
                conformance::$function(Queue::memory(), "pool").await;
            })+
        }

        mod rabbit {
            use super::*;
            $(#[tokio::test]
            async fn $function() {
                conformance::$function(Queue::connect(&rabbitmq::vhost().parse().unwrap(), "test"), "pool").await;
            })+
        }
    };
}

conforms!(
    delivers_in_order_and_once,
    keeps_the_order_of_a_long_batch,
    wakes_a_waiting_subscriber,
    prefetch_bounds_what_is_in_hand,
    rejected_and_dropped_hints_come_again,
    a_dropped_subscription_leaves_what_it_has_not_taken,
    pools_are_apart_and_subscribers_share,
    depth_and_purge,
    a_deleted_queue_is_made_again,
    a_trace_travels_with_its_hint,
);

/// Beyond its depth a queue refuses, and what it refused is handed back.
#[tokio::test]
async fn a_full_memory_queue_hands_back_what_it_refuses() {
    use assay_common::{id::RunId, job::Hint};
    let queue = Queue::memory();
    let hints: Vec<_> = (0..assay_queue::MAX_DEPTH as u64 + 3)
        .map(|ordinal| Hint { run: RunId::new(Uuid::from_u128(1)), ordinal })
        .collect();
    let refused = queue.publish("pool", &hints).await.unwrap();
    assert_eq!(refused, hints[assay_queue::MAX_DEPTH..]);
    assert_eq!(queue.depth("pool").await.unwrap(), assay_queue::MAX_DEPTH as u64);
}
