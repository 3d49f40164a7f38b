//! What stands in the broker: a quorum queue per pool and one queue for dead letters. The same arguments work from
//! RabbitMQ 3.10 to 4.x.
//!
//! A queue's arguments can never change once it exists: another set of them means another version in its name.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, Queue};

use crate::MAX_DEPTH;

/// AMQP's word for a channel that is closed because it is done with.
const REPLY_SUCCESS: u16 = 200;
/// Before the pool's name in the name of its queue.
const JOBS: &str = "assay.jobs.v1.";
/// Where messages go that are no hints, or came back too often.
const DEAD: &str = "assay.dead.v1";
/// The most dead letters kept; the oldest make room. They are for a person to look at, nothing reads them.
const MAX_DEAD: i64 = 10_000;
/// How often a hint may come back (rejected, or its holder gone) before it is a dead letter. The default of
/// RabbitMQ 4, where 3.x has none. The job is not lost: the store is asked again when its hint seems to be.
const DELIVERY_LIMIT: i64 = 20;

/// The name of the pool's queue.
pub(super) fn queue_of(pool: &str) -> ShortString {
    format!("{JOBS}{pool}").into()
}

/// Makes the pool's queue where it is missing. Returns how it stands, with the number of messages ready in it.
pub(super) async fn declare(channel: &Channel, pool: &str) -> lapin::Result<Queue> {
    channel.queue_declare(queue_of(pool), durable(), arguments_of_jobs()).await
}

/// Makes the queue of dead letters where it is missing. Where that does not work, nothing but them is lost.
pub(super) async fn declare_dead(connection: &Connection) {
    let declared = async {
        // What goes wrong closes the channel.
        let channel = connection.create_channel().await?;
        channel.queue_declare(DEAD.into(), durable(), arguments_of_dead()).await?;
        channel.close(REPLY_SUCCESS, "done".into()).await
    };
    if let Err(error) = declared.await {
        tracing::warn!(%error, "cannot use the queue {DEAD}, dead letters are lost: {error}");
    }
}

fn durable() -> QueueDeclareOptions {
    QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() }
}

fn arguments_of_jobs() -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-delivery-limit".into(), DELIVERY_LIMIT.into());
    arguments.insert("x-max-length".into(), i64::try_from(MAX_DEPTH).unwrap_or(i64::MAX).into());
    // A full queue says so to the publisher; the other choices drop somebody else's hint in silence.
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(DEAD));
    arguments.insert("x-dead-letter-strategy".into(), text("at-most-once"));
    arguments
}

fn arguments_of_dead() -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-max-length".into(), MAX_DEAD.into());
    arguments.insert("x-overflow".into(), text("drop-head"));
    arguments
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
