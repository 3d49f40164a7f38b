//! The pauses of an account whose money for the day is spent. It asks again, ever more rarely: calls in flight may turn out
//! cheaper than what was set aside for them, somebody may raise the cap, and a day ends. Pure: moments come in.
//!
//! ```text
//!            no money
//! paying ─────────────► waiting  0.5, 1, 2, 4 … 30 s
//!   ▲                      │
//!   └── a call is paid for ┘
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// The first pause and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is known of an account's money.
#[derive(Debug)]
pub(crate) struct Money {
    /// No call begins before this.
    until: Instant,
    /// How long the next pause is.
    next: Duration,
}

impl Money {
    /// Enough so far.
    pub(crate) fn new(now: Instant) -> Self {
        Self { until: now, next: FIRST_PAUSE }
    }

    /// How long there is no use in asking for more.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }

    /// Learns that there was not enough for a call, and says when to ask again. Those who were on their way when the first
    /// of them was told so are no further sign.
    pub(crate) fn wanting(&mut self, now: Instant) -> Duration {
        if self.left(now).is_zero() {
            self.until = now + self.next;
            self.next = (self.next * 2).min(LONGEST_PAUSE);
        }
        self.left(now)
    }

    /// Learns that a call is paid for.
    pub(crate) fn paid(&mut self) {
        self.next = FIRST_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_ever_more_rarely_until_a_call_is_paid_for() {
        let zero = Instant::now();
        let at = |millis: u64| zero + Duration::from_millis(millis);
        let mut money = Money::new(zero);
        let mut pause = |now: u64| money.wanting(at(now)).as_millis();
        assert_eq!((pause(0), pause(100)), (500, 400), "one pause for all who were on their way");
        assert_eq!((pause(500), pause(1_500), pause(3_500)), (1_000, 2_000, 4_000));
        assert_eq!(
            (pause(10_000), pause(20_000), pause(40_000), pause(80_000)),
            (8_000, 16_000, 30_000, 30_000)
        );
        money.paid();
        assert_eq!(money.left(at(80_000)).as_secs(), 30, "what is paid for was asked for earlier");
        assert_eq!(money.wanting(at(110_000)), FIRST_PAUSE);
    }
}
