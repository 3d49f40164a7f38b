//! The sending end: publish with confirms, depth, purge, delete.
//!
//! Each pool has a channel of its own, used by one caller at a time, so that a message that comes back belongs to the
//! batch in hand. A channel on which anything went wrong, or whose user was cancelled, is dropped; the next caller
//! opens another and makes sure of the queue.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_common::job::Hint;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeleteOptions, QueuePurgeOptions};
use lapin::{Channel, Confirmation};
use tokio::time::{sleep, timeout};

use super::link::Link;
use super::{message, topology};
use crate::{Message, QueueError};

/// How long the broker may take to confirm a batch or to answer a question.
const ANSWER: Duration = Duration::from_secs(10);
/// Messages sent before their confirms are awaited, together: one by one each would cost a round trip.
const BATCH: usize = 1000;

type Slot = Arc<tokio::sync::Mutex<Option<Channel>>>;

#[derive(Debug)]
pub(super) struct Publisher {
    link: Link,
    pools: Mutex<HashMap<String, Slot>>,
}

impl Publisher {
    pub(super) fn new(link: Link) -> Self {
        Self { link, pools: Mutex::default() }
    }

    /// Returns the hints that nobody confirmed; fails where nothing of a batch was. They may be in the queue all the same: a
    /// doubled hint dies at the claim.
    pub(super) async fn publish(&self, pool: &str, messages: &[Message]) -> Result<Vec<Hint>, QueueError> {
        let slot = self.slot(pool);
        let mut slot = slot.lock().await;
        let channel = self.channel(&mut slot, pool).await?;
        let mut refused = Vec::new();
        let mut batches = messages.chunks(BATCH);
        for batch in &mut batches {
            let fates = send(&channel, pool, batch).await;
            if fates.iter().all(|fate| *fate == Fate::Unknown) {
                return Err(self.link.failed(topology::queue_of(pool), "it confirmed nothing"));
            }
            let lost = batch.iter().zip(&fates).filter(|(_, fate)| **fate != Fate::Accepted);
            refused.extend(lost.map(|(message, _)| message.hint));
            if fates.iter().any(|fate| matches!(fate, Fate::Returned | Fate::Unknown)) {
                refused.extend(batches.flatten().map(|message| message.hint));
                return Ok(refused);
            }
        }
        *slot = Some(channel);
        Ok(refused)
    }

    pub(super) async fn depth(&self, pool: &str) -> Result<u64, QueueError> {
        let slot = self.slot(pool);
        let mut slot = slot.lock().await;
        let channel = self.channel(&mut slot, pool).await?;
        let queue = self.answer(pool, topology::declare(&channel, pool)).await?;
        *slot = Some(channel);
        Ok(queue.message_count().into())
    }

    pub(super) async fn purge(&self, pool: &str) -> Result<(), QueueError> {
        let slot = self.slot(pool);
        let mut slot = slot.lock().await;
        let channel = self.channel(&mut slot, pool).await?;
        self.answer(pool, async {
            topology::declare(&channel, pool).await?;
            channel.queue_purge(topology::queue_of(pool), QueuePurgeOptions::default()).await
        })
        .await?;
        *slot = Some(channel);
        Ok(())
    }

    /// Its channel is closed with it: a pool that is gone keeps nothing.
    pub(super) async fn delete(&self, pool: &str) -> Result<(), QueueError> {
        let slot = self.slot(pool);
        let mut slot = slot.lock().await;
        let channel = self.channel(&mut slot, pool).await?;
        let queue = topology::queue_of(pool);
        self.answer(pool, channel.queue_delete(queue, QueueDeleteOptions::default())).await?;
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).remove(pool);
        Ok(())
    }

    fn slot(&self, pool: &str) -> Slot {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        match pools.get(pool) {
            Some(slot) => Arc::clone(slot),
            None => Arc::clone(pools.entry(pool.to_owned()).or_default()),
        }
    }

    /// Takes the pool's channel from its slot, or opens one. Whoever takes it puts it back when all went well.
    async fn channel(&self, slot: &mut Option<Channel>, pool: &str) -> Result<Channel, QueueError> {
        let connection = self.link.for_publishing().await?;
        if let Some(channel) = slot.take().filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        self.answer(pool, async {
            topology::declare_dead(&connection).await;
            let channel = connection.create_channel().await?;
            topology::declare(&channel, pool).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        })
        .await
    }

    async fn answer<T>(
        &self,
        pool: &str,
        asked: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, QueueError> {
        let failed = |reason: String| self.link.failed(topology::queue_of(pool), reason);
        match timeout(ANSWER, asked).await {
            Ok(answer) => answer.map_err(|error| failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Not confirmed in time, or its channel failed.
    Unknown,
    /// Safe in the queue.
    Accepted,
    /// The queue is full.
    Refused,
    /// There is no such queue.
    Returned,
}

/// Sends a batch in order and awaits its confirms together.
async fn send(channel: &Channel, pool: &str, batch: &[Message]) -> Vec<Fate> {
    let queue = topology::queue_of(pool);
    let mut fates = vec![Fate::Unknown; batch.len()];
    let sent: FuturesUnordered<_> = batch
        .iter()
        .enumerate()
        .map(async |(id, message)| {
            let (body, properties) = message::encode(*message, id);
            // A message to a queue that does not exist is confirmed like any other, unless it is mandatory.
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let confirm = channel.basic_publish("".into(), queue.clone(), options, &body, properties).await?;
            assay_common::crash_point!(Sent);
            lapin::Result::Ok((id, confirm.await?))
        })
        .collect();
    let mut confirms = pin!(sent.take_until(sleep(ANSWER)));
    while let Some(confirm) = confirms.next().await {
        let Ok((id, confirm)) = confirm else { continue };
        // A message that came back may have set this fate already.
        if fates[id] == Fate::Unknown {
            fates[id] = if confirm.is_ack() { Fate::Accepted } else { Fate::Refused };
        }
        // What came back rides on whichever confirm is next: only its id says which message it was.
        if let Some(id) = returned(confirm).filter(|id| *id < fates.len()) {
            fates[id] = Fate::Returned;
        }
    }
    fates
}

fn returned(confirm: Confirmation) -> Option<usize> {
    message::id_of(&confirm.take_message()?.delivery.properties)
}
