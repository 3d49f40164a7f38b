//! The queue between machines: RabbitMQ.
//!
//! Two connections, because a broker short of memory stops reading from one that publishes, and acknowledgements must
//! go on. Each has a supervisor of its own; nothing is recovered by the library.
//!
//! - `dial`: one attempt to connect; `backoff`: the pause before the next
//! - `link`: a supervised connection
//! - `topology`: queues and their arguments; `message`: a hint on the wire
//! - `publisher`: publish, depth, purge, delete
//! - `subscription`: deliveries and their settlement; `quiet`: a consumer that the broker has forgotten

mod backoff;
mod dial;
mod link;
mod message;
mod publisher;
mod quiet;
mod subscription;
mod topology;

use std::sync::Arc;

use assay_common::job::Hint;

use self::link::Link;
use self::publisher::Publisher;
pub(crate) use self::subscription::{RabbitDelivery, RabbitSubscription};
use crate::url::RabbitUrl;
use crate::{Health, Message, QueueError};

/// The queues of a broker. Clones share its connections, which are closed with the last of them.
#[derive(Clone, Debug)]
pub struct Rabbit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    publishing: Link,
    consuming: Link,
    publisher: Publisher,
}

impl Rabbit {
    pub(crate) fn connect(url: &RabbitUrl, name: &str) -> Self {
        let publishing = Link::open(url.clone(), format!("{name} publishing"), "publishing");
        let consuming = Link::open(url.clone(), format!("{name} consuming"), "consuming");
        let publisher = Publisher::new(publishing.clone());
        Self(Arc::new(Inner { name: name.to_owned(), publishing, consuming, publisher }))
    }

    pub(crate) async fn publish(&self, pool: &str, messages: &[Message]) -> Result<Vec<Hint>, QueueError> {
        self.0.publisher.publish(pool, messages).await
    }

    pub(crate) async fn depth(&self, pool: &str) -> Result<u64, QueueError> {
        self.0.publisher.depth(pool).await
    }

    pub(crate) async fn purge(&self, pool: &str) -> Result<(), QueueError> {
        self.0.publisher.purge(pool).await
    }

    pub(crate) async fn delete(&self, pool: &str) -> Result<(), QueueError> {
        self.0.publisher.delete(pool).await
    }

    pub(crate) fn subscribe(&self, pool: &str, prefetch: u32) -> RabbitSubscription {
        RabbitSubscription::open(self.0.consuming.clone(), &self.0.name, pool, prefetch)
    }

    /// The worse of the two connections.
    pub(crate) fn health(&self) -> Health {
        let severity = |health: &Health| match health {
            Health::Connected => 0,
            Health::Blocked { .. } => 1,
            Health::Down { .. } => 2,
        };
        let (publishing, consuming) = (self.0.publishing.health(), self.0.consuming.health());
        if severity(&consuming) > severity(&publishing) { consuming } else { publishing }
    }
}
