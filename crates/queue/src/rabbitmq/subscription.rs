//! The receiving end: a subscription is a task that consumes, hands deliveries out and settles them, and starts again
//! on a new channel whenever its own ends, or is of no use any more (`quiet`).
//!
//! Every hint handed out comes back to the task as exactly one settlement, and the task counts them: never more than
//! `prefetch` are out, so both of its queues are bounded by it, and sending to them never waits.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery as Delivered;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::backoff::Backoff;
use super::link::Link;
use super::quiet::Quiet;
use super::{message, topology};
use crate::{Message, QueueError};

/// How long the broker may take to set up or to cancel a consumer.
const ANSWER: Duration = Duration::from_secs(10);
/// Settlements sent to the broker together.
const BATCH: usize = 500;
/// Bytes shown of a message that is no hint.
const SHOWN: usize = 64;

/// Receives the hints of one pool.
#[derive(Debug)]
pub struct RabbitSubscription {
    deliveries: mpsc::Receiver<RabbitDelivery>,
}

impl RabbitSubscription {
    pub(super) fn open(link: Link, name: &str, pool: &str, prefetch: u32) -> Self {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        // The protocol counts in 16 bits, and none means no bound.
        let prefetch = u16::try_from(prefetch.max(1)).unwrap_or(u16::MAX);
        let (deliveries, receiver) = mpsc::channel(prefetch.into());
        let (settle, settlements) = mpsc::channel(prefetch.into());
        let tag = format!("{name}.{}", OPENED.fetch_add(1, Ordering::Relaxed));
        let backoff = Backoff::new(&tag);
        let pool = pool.to_owned();
        let reader = Reader {
            link,
            tag,
            pool,
            prefetch,
            generation: 0,
            in_hand: 0,
            deliveries,
            settle,
            settlements,
            backoff,
        };
        tokio::spawn(reader.run());
        Self { deliveries: receiver }
    }

    pub(crate) async fn next(&mut self) -> Result<RabbitDelivery, QueueError> {
        // The task lives as long as this receiver, or the runtime.
        self.deliveries.recv().await.ok_or(QueueError::Closed)
    }
}

/// A hint in hand. However it is dropped, its settlement is sent.
#[derive(Debug)]
pub(crate) struct RabbitDelivery {
    message: Message,
    settlement: Settlement,
    settle: mpsc::Sender<Settlement>,
}

#[derive(Clone, Copy, Debug)]
struct Settlement {
    /// The channel it was delivered on, as a number that grows; only that channel knows the tag.
    generation: u64,
    tag: u64,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Done,
    GiveBack,
}

impl RabbitDelivery {
    pub(crate) fn message(&self) -> Message {
        self.message
    }

    pub(crate) fn ack(mut self) {
        self.settlement.verdict = Verdict::Done;
    }
}

impl Drop for RabbitDelivery {
    fn drop(&mut self) {
        // There is room for every hint in hand. Without the task there is no channel: the broker gives the hint back.
        let _ = self.settle.try_send(self.settlement);
    }
}

/// The task of a subscription.
struct Reader {
    link: Link,
    tag: String,
    pool: String,
    prefetch: u16,
    generation: u64,
    /// Handed out, and their settlement not yet seen here.
    in_hand: u16,
    deliveries: mpsc::Sender<RabbitDelivery>,
    settle: mpsc::Sender<Settlement>,
    settlements: mpsc::Receiver<Settlement>,
    backoff: Backoff,
}

/// A consumer that works, on a channel of its own.
struct Consuming {
    channel: Channel,
    consumer: Consumer,
    quiet: Quiet,
}

/// Why a channel is no longer read.
enum End {
    Unsubscribed,
    Lost(String),
}

impl Reader {
    async fn run(mut self) {
        let subscriber = self.deliveries.clone();
        // A subscription that the broker refuses is told once, until it works again.
        let mut told = false;
        loop {
            let opened = tokio::select! {
                () = subscriber.closed() => return,
                opened = self.open() => opened,
            };
            match opened {
                Ok(consuming) => {
                    told = false;
                    let since = Instant::now();
                    let End::Lost(reason) = self.serve(consuming).await else { return };
                    let Self { pool, .. } = &self;
                    tracing::info!(queue.pool = pool, error = %reason, "subscribing again to {pool}: {reason}");
                    self.backoff.worked_for(since.elapsed());
                }
                Err(QueueError::Closed) => return,
                Err(error) if !told => {
                    told = true;
                    let Self { pool, .. } = &self;
                    tracing::warn!(queue.pool = pool, %error, "cannot subscribe to {pool}, trying until it works: {error}");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = subscriber.closed() => return,
                () = sleep(self.backoff.next()) => {}
            }
        }
    }

    /// A new channel with a new consumer on it. Tags are new each time, so that what is left of an old one cannot be
    /// taken for it.
    async fn open(&mut self) -> Result<Consuming, QueueError> {
        let connection = self.link.for_consuming().await?;
        self.generation += 1;
        let tag: ShortString = format!("{}.{}", self.tag, self.generation).into();
        let opening = async {
            topology::declare_dead(&connection).await;
            let channel = connection.create_channel().await?;
            topology::declare(&channel, &self.pool).await?;
            // Before consuming, or the first deliveries come without a bound.
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let queue = topology::queue_of(&self.pool);
            let consumer = channel
                .basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default())
                .await?;
            lapin::Result::Ok(Consuming { channel, consumer, quiet: Quiet::new(&connection) })
        };
        match timeout(ANSWER, opening).await {
            Ok(opened) => opened.map_err(|error| self.link.unavailable(error)),
            Err(_) => Err(self.link.unavailable(format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }

    async fn serve(&mut self, Consuming { channel, mut consumer, mut quiet }: Consuming) -> End {
        let subscriber = self.deliveries.clone();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                () = subscriber.closed() => {
                    self.wind_down(&channel, consumer).await;
                    return End::Unsubscribed;
                }
                _ = self.settlements.recv_many(&mut batch, BATCH) => self.settle(&channel, &mut batch),
                next = consumer.next(), if self.in_hand < self.prefetch => match next {
                    Some(Ok(message)) => {
                        quiet.ends();
                        self.hand_out(&channel, message);
                    }
                    Some(Err(error)) => return End::Lost(error.to_string()),
                    None => return End::Lost("the broker cancelled the consumer".to_owned()),
                },
                // Whoever was sent nothing for so long does not miss anything in the moment that this takes.
                () = quiet.lasts(), if self.in_hand < self.prefetch => {
                    if let Err(reason) = quiet.look(&channel, &self.pool).await {
                        return End::Lost(reason);
                    }
                }
            }
        }
    }

    fn hand_out(&mut self, channel: &Channel, delivered: Delivered) {
        let tag = delivered.delivery_tag;
        match message::decode(&delivered.properties, &delivered.data) {
            Ok(message) => {
                self.in_hand += 1;
                let settlement = Settlement { generation: self.generation, tag, verdict: Verdict::GiveBack };
                let delivery = RabbitDelivery { message, settlement, settle: self.settle.clone() };
                // There is room for every hint in hand; without a subscriber it is dropped here and so given back.
                let _ = self.deliveries.try_send(delivery);
            }
            Err(reason) => {
                let Self { pool, .. } = self;
                let start = delivered.data[..delivered.data.len().min(SHOWN)].escape_ascii();
                tracing::warn!(
                    queue.pool = pool, message.bytes = delivered.data.len(), message.start = %start, error = %reason,
                    "put a message of {pool} to the dead letters, as it is no hint: {reason}"
                );
                refuse(channel, tag, false);
            }
        }
    }

    fn settle(&mut self, channel: &Channel, batch: &mut Vec<Settlement>) {
        for Settlement { generation, tag, verdict } in batch.drain(..) {
            self.in_hand -= 1;
            if generation != self.generation {
                // The broker gave it back when that channel ended.
                tracing::debug!(queue.pool = self.pool, "the channel of a hint ended before its settlement");
                continue;
            }
            match verdict {
                Verdict::Done => queued(channel.basic_ack(tag, BasicAckOptions::default())),
                Verdict::GiveBack => refuse(channel, tag, true),
            }
        }
    }

    /// Nobody waits for hints any more. Those that came and were not taken go back; those in hand may still be
    /// settled, as long as the channel lives.
    async fn wind_down(&mut self, channel: &Channel, mut consumer: Consumer) {
        let cancel = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        if !matches!(timeout(ANSWER, cancel).await, Ok(Ok(()))) {
            return;
        }
        while let Some(Ok(message)) = consumer.next().await {
            refuse(channel, message.delivery_tag, true);
        }
        let mut batch = Vec::with_capacity(BATCH);
        while self.in_hand > 0 {
            self.settlements.recv_many(&mut batch, BATCH).await;
            self.settle(channel, &mut batch);
        }
    }
}

/// Rejects a message: back to its queue, or to the dead letters.
fn refuse(channel: &Channel, tag: u64, requeue: bool) {
    queued(channel.basic_nack(tag, BasicNackOptions { requeue, ..BasicNackOptions::default() }));
}

/// Puts a frame into the channel's line of frames, which its first poll does. To wait until it is written would cost
/// a wake-up for each hint and tell nothing: where writing fails, the consumer's stream ends too.
fn queued(frame: impl Future<Output = lapin::Result<()>>) {
    if let Some(Err(error)) = frame.now_or_never() {
        tracing::debug!(%error, "a hint was settled after its channel had ended");
    }
}
