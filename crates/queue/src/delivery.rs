//! The receiving end of a queue: a subscription yields deliveries, and each delivery ends once.

use assay_common::committed::Committed;
use assay_common::job::Hint;
use assay_common::trace::TraceParent;

use crate::{Message, QueueError, memory, rabbitmq};

/// A stream of deliveries from one pool. Dropping it takes no further hints; those delivered stay with their
/// holder.
#[derive(Debug)]
pub struct Subscription(Source);

#[derive(Debug)]
enum Source {
    Memory(memory::MemorySubscription),
    Rabbit(rabbitmq::RabbitSubscription),
}

impl Subscription {
    /// The next delivery, as soon as there is one and fewer than `prefetch` are unsettled. Cancelling the wait
    /// loses nothing. A subscription does not end: one whose broker is away waits.
    pub async fn next(&mut self) -> Result<Delivery, QueueError> {
        match &mut self.0 {
            Source::Memory(subscription) => Ok(Delivery(Handle::Memory(subscription.next().await))),
            Source::Rabbit(subscription) => Ok(Delivery(Handle::Rabbit(subscription.next().await?))),
        }
    }
}

impl From<memory::MemorySubscription> for Subscription {
    fn from(subscription: memory::MemorySubscription) -> Self {
        Self(Source::Memory(subscription))
    }
}

impl From<rabbitmq::RabbitSubscription> for Subscription {
    fn from(subscription: rabbitmq::RabbitSubscription) -> Self {
        Self(Source::Rabbit(subscription))
    }
}

/// A hint in hand. Ended by [`Delivery::ack`] or [`Delivery::reject`]; dropped without either, the hint returns to
/// its queue.
#[derive(Debug)]
#[must_use = "a dropped delivery goes back to its queue"]
pub struct Delivery(Handle);

#[derive(Debug)]
enum Handle {
    Memory(memory::MemoryDelivery),
    Rabbit(rabbitmq::RabbitDelivery),
}

impl Delivery {
    /// What was delivered.
    pub fn hint(&self) -> Hint {
        self.message().hint
    }

    /// The span that sent it.
    pub fn trace(&self) -> Option<TraceParent> {
        self.message().trace
    }

    fn message(&self) -> Message {
        match &self.0 {
            Handle::Memory(delivery) => delivery.message(),
            Handle::Rabbit(delivery) => delivery.message(),
        }
    }

    /// Ends the hint for good. The proof says that what it stood for is safe in the store.
    pub async fn ack(self, _proof: Committed) -> Result<(), QueueError> {
        match self.0 {
            Handle::Memory(delivery) => {
                delivery.ack();
                Ok(())
            }
            Handle::Rabbit(delivery) => {
                delivery.ack();
                Ok(())
            }
        }
    }

    /// Gives the hint back to its queue, for this subscriber or another.
    pub async fn reject(self) -> Result<(), QueueError> {
        match self.0 {
            Handle::Memory(delivery) => {
                drop(delivery);
                Ok(())
            }
            Handle::Rabbit(delivery) => {
                drop(delivery);
                Ok(())
            }
        }
    }
}
