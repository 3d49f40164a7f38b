//! The Queue port: hints that a job is waiting, never its state.
//!
//! The store is the truth. Losing, doubling or purging hints can delay a result, never change one, so this port
//! promises little: a hint that was published is delivered at least once while its subscriber lives, unless it is
//! purged.
//!
//! - [`Queue`]: publish, depth, purge, delete, subscribe; one variant for each adapter
//! - [`Message`]: what is published: a hint, and the trace it belongs to
//! - [`Subscription`], [`Delivery`]: the receiving end; a delivery ends once, with proof of commit
//! - [`QueueUrl`]: where a queue is; [`Health`]: whether it can be used now
//! - [`memory`]: the adapter inside one process
//! - [`rabbitmq`]: the adapter between machines
//!
//! The conformance suite in `tests/` runs on every adapter.

mod delivery;
mod health;
pub mod memory;
mod message;
pub mod rabbitmq;
mod url;

pub use delivery::{Delivery, Subscription};
pub use health::Health;
pub use message::Message;
pub use url::{QueueUrl, RabbitUrl};

use assay_common::job::Hint;

/// The most hints one pool's queue holds; beyond it publishing is refused and the jobs stay pending in the store.
pub const MAX_DEPTH: usize = 100_000;

/// A handle to the queues of all pools. Clones share them.
#[derive(Clone, Debug)]
pub enum Queue {
    /// Inside this process.
    Memory(memory::Memory),
    /// Between machines.
    Rabbit(rabbitmq::Rabbit),
}

/// Why the queue did not answer.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue is gone for good: its process is shutting down.
    #[error("the queue is closed")]
    Closed,
    /// The broker cannot be reached, or did not answer. Connecting goes on by itself.
    #[error("cannot use {url}: {reason}")]
    Unavailable {
        /// Where, with its password masked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The broker answers, and what is asked of the queue of one pool fails. Other pools need not suffer from it.
    #[error("cannot use the queue {queue} of {url}: {reason}")]
    Unusable {
        /// The queue, as the broker knows it.
        queue: String,
        /// Where, with its password masked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The text that should have been the URL of a queue.
    #[error("{0}")]
    Url(String),
}

impl Queue {
    /// Queues inside this process.
    pub fn memory() -> Self {
        Self::Memory(memory::Memory::default())
    }

    /// The queues at `url`, at once: where the broker cannot be reached, connecting goes on until it can. Call it
    /// within a runtime. `name` is what the broker shows of this process; it must differ from that of any other, as
    /// it also spreads their attempts to reconnect.
    pub fn connect(url: &QueueUrl, name: &str) -> Self {
        match url {
            QueueUrl::Memory => Self::memory(),
            QueueUrl::Rabbit(url) => Self::Rabbit(rabbitmq::Rabbit::connect(url, name)),
        }
    }

    /// Whether the queues can be used now.
    pub fn health(&self) -> Health {
        match self {
            Self::Memory(_) => Health::Connected,
            Self::Rabbit(rabbit) => rabbit.health(),
        }
    }

    /// Puts hints, with or without a trace, at the end of the pool's queue, in order. Returns those that were refused
    /// (the queue is full, or the broker did not confirm them): forget them, their jobs are still pending. Fails where
    /// none could be sent.
    pub async fn publish<M>(&self, pool: &str, hints: &[M]) -> Result<Vec<Hint>, QueueError>
    where
        M: Copy + Into<Message>,
    {
        let messages: Vec<Message> = hints.iter().map(|hint| (*hint).into()).collect();
        match self {
            Self::Memory(memory) => Ok(memory.publish(pool, &messages)),
            Self::Rabbit(rabbit) => rabbit.publish(pool, &messages).await,
        }
    }

    /// Hints of the pool that wait for a subscriber; those delivered and not yet settled do not count.
    pub async fn depth(&self, pool: &str) -> Result<u64, QueueError> {
        match self {
            Self::Memory(memory) => Ok(memory.depth(pool)),
            Self::Rabbit(rabbit) => rabbit.depth(pool).await,
        }
    }

    /// Returns when the last hint of a pool has been acknowledged, where this process can know: time for whoever
    /// dispatches to look again. Never returns on a broker. One listener is told; what happened before it listened counts.
    pub async fn drained(&self) {
        match self {
            Self::Memory(memory) => memory.drained().await,
            Self::Rabbit(_) => std::future::pending().await,
        }
    }

    /// Drops every waiting hint of the pool. Always safe: the jobs are still pending in the store.
    pub async fn purge(&self, pool: &str) -> Result<(), QueueError> {
        match self {
            Self::Memory(memory) => {
                memory.purge(pool);
                Ok(())
            }
            Self::Rabbit(rabbit) => rabbit.purge(pool).await,
        }
    }

    /// Deletes the pool's queue with all that waits in it; whoever publishes or subscribes makes it again. Always safe,
    /// as [`Queue::purge`] is.
    pub async fn delete(&self, pool: &str) -> Result<(), QueueError> {
        match self {
            // An empty one costs nothing here, and a subscriber may hold it.
            Self::Memory(memory) => {
                memory.purge(pool);
                Ok(())
            }
            Self::Rabbit(rabbit) => rabbit.delete(pool).await,
        }
    }

    /// Receives the pool's hints, at most `prefetch` unsettled at a time. With the broker away, it begins when that
    /// is back.
    pub async fn subscribe(&self, pool: &str, prefetch: u32) -> Result<Subscription, QueueError> {
        match self {
            Self::Memory(memory) => Ok(memory.subscribe(pool, prefetch).into()),
            Self::Rabbit(rabbit) => Ok(rabbit.subscribe(pool, prefetch).into()),
        }
    }
}
