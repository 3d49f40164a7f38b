//! Noticing that the broker has forgotten a consumer: one that has room and was sent nothing for a while looks at its queue.
//!
//! A broker that was wiped, or loses a queue while it recovers, may drop what consumed from it and say nothing: the connection
//! and the channel live on, and no hint ever comes. What the look finds ends the channel, and the subscription starts again.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use tokio::time::{Instant, sleep_until, timeout};

use super::topology;

/// How long the broker may take to say how a queue stands.
const ANSWER: Duration = Duration::from_secs(10);
/// In seconds, where the two ends have agreed on no heartbeat.
const HEARTBEAT: u16 = 10;

/// The quiet of a consumer.
#[derive(Debug)]
pub(super) struct Quiet {
    /// How long it lasts before the queue is looked at.
    bearable: Duration,
    /// When a hint came, or the queue was last looked at.
    since: Instant,
    /// Whether the last look found what should not be while this consumer is quiet.
    suspected: bool,
}

impl Quiet {
    /// Of a consumer on `connection`, from now on. It is borne for half a heartbeat: as often both ends of a connection tell each
    /// other that they live, so a broker that has a thousand idle consumers answers some hundred questions a second.
    pub(super) fn new(connection: &Connection) -> Self {
        let heartbeat = match connection.configuration().heartbeat() {
            0 => HEARTBEAT,
            seconds => seconds,
        };
        Self { bearable: Duration::from_secs(heartbeat.into()) / 2, since: Instant::now(), suspected: false }
    }

    /// A hint came.
    pub(super) fn ends(&mut self) {
        (self.since, self.suspected) = (Instant::now(), false);
    }

    /// Ready when it has lasted for long enough to look at the queue.
    pub(super) async fn lasts(&self) {
        sleep_until(self.since + self.bearable).await;
    }

    /// Looks how the queue stands, on the consumer's own channel, which ends when the queue is not there. An error says why
    /// the consumer is good for nothing any more. Only one that has room for hints may ask.
    pub(super) async fn look(&mut self, channel: &Channel, pool: &str) -> Result<(), String> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = channel.queue_declare(topology::queue_of(pool), passive, FieldTable::default());
        let queue = match timeout(ANSWER, asked).await {
            Ok(answer) => answer.map_err(|error| error.to_string())?,
            Err(_) => {
                return Err(format!(
                    "the broker has not said for {} s how its queue stands",
                    ANSWER.as_secs()
                ));
            }
        };
        let suspicion = suspicion(queue.message_count(), queue.consumer_count());
        let suspected = std::mem::replace(&mut self.suspected, suspicion.is_some());
        self.since = Instant::now();
        match suspicion {
            // Once, it may be that hints are on their way, or that a busy broker did not ask its queue: then it says zero.
            Some(reason) if suspected => Err(reason.to_owned()),
            _ => Ok(()),
        }
    }
}

/// What should not be while a consumer that has room is quiet.
fn suspicion(waiting: u32, consumers: u32) -> Option<&'static str> {
    match (waiting, consumers) {
        (_, 0) => Some("the broker knows no consumer of its queue any more"),
        (1.., _) => Some("hints wait in its queue, and the broker sends none"),
        (0, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_consumer_is_known_and_nothing_waits_for_it() {
        let check = |waiting: u32, consumers: u32, expected: Option<&str>| {
            let found = suspicion(waiting, consumers).unwrap_or("fine");
            assert!(found.contains(expected.unwrap_or("fine")), "{waiting}, {consumers}: {found}");
        };
        check(0, 1, None);
        check(0, 2, None);
        check(1, 2, Some("sends none"));
        check(0, 0, Some("no consumer"));
        check(7, 0, Some("no consumer"));
    }
}
