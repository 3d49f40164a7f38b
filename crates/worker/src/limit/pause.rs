//! The pauses of an account whose rate limit was met: nobody calls before its time. Pure: moments come in.
//!
//! ```text
//!            429
//! open ─────────────► paused
//!   ▲   Retry-After,    │
//!   └── else 1, 2, 4 … 60 s
//! ```

use std::time::Duration;

use assay_common::clock::Micros;
use assay_store::AccountProblem;
use jiff::Timestamp;
use tokio::time::Instant;

use super::breaker::Trouble;

/// The longest wait inside the process; whoever would wait longer waits in the store.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Pauses without a `Retry-After` double from the first to the longest of these.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is known of an account's rate limit.
#[derive(Debug)]
pub(crate) struct Pause {
    /// No call begins before this: the provider said 429.
    until: Instant,
    /// When the last pause began; what is said of a call sent before it is no news.
    began: Instant,
    /// Pauses with no success between.
    pauses: u32,
    /// When it was last lifted; what a call that was sent before says is no news either.
    lifted: Instant,
    /// The end of the long one that was last told.
    told: Option<Instant>,
}

impl Pause {
    /// None so far.
    pub(crate) fn new(now: Instant) -> Self {
        Self { until: now, began: now, pauses: 0, lifted: now, told: None }
    }

    /// How long the limit still keeps the account from taking calls.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }

    /// Learns that somebody lifted it at `at`; told again, it is no news.
    pub(crate) fn lift(&mut self, at: Instant) {
        if at > self.lifted {
            (self.until, self.began, self.pauses, self.lifted) = (at, at, 0, at);
        }
    }

    /// Learns of a 429 to a call sent at `sent`.
    pub(crate) fn met(&mut self, sent: Instant, retry_after: Option<Duration>, now: Instant) {
        if sent < self.lifted {
            return;
        }
        // The other calls of the burst that met the limit extend its pause, but are no further sign of it.
        if sent >= self.began {
            self.pauses = self.pauses.saturating_add(1);
            self.began = now;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.pauses.saturating_sub(1).min(16));
        let wait = retry_after.map_or(doubled.min(LONGEST_PAUSE), |asked| asked.max(FIRST_PAUSE));
        self.until = self.until.max(now + wait);
    }

    /// Learns that the ledger of all who use the account closes it for so long. What passes soon it says again and again.
    pub(crate) fn shared(&mut self, left: Duration, now: Instant) {
        if left > LONGEST_WAIT {
            self.until = self.until.max(now + left);
        }
    }

    /// Learns that a call sent at `sent` was within the limit.
    pub(crate) fn within(&mut self, sent: Instant) {
        if sent >= self.began {
            self.pauses = 0;
        }
    }

    /// A pause that lasts longer than a job waits inside the process. Its end is said as a moment, which stays true however
    /// late it is read.
    pub(crate) fn ailment(&self, now: Instant, wall: Micros) -> Option<Trouble> {
        let left = self.left(now);
        (left > LONGEST_WAIT).then(|| Trouble {
            kind: AccountProblem::RATE_LIMITED,
            detail: format!("it is over its rate limit and takes calls again at {}", civil(wall.plus(left))),
            since: wall,
        })
    }

    /// Whether a long pause has begun or ended since this was last asked, or has grown by much since it was last told.
    pub(crate) fn has_changed(&mut self, now: Instant) -> bool {
        let long = (self.left(now) > LONGEST_WAIT).then_some(self.until);
        let changed = match (self.told, long) {
            (Some(told), Some(until)) => until > told + LONGEST_WAIT,
            (told, long) => told != long,
        };
        if changed {
            self.told = long;
        }
        changed
    }
}

/// A moment as people read it, to the second.
fn civil(moment: Micros) -> String {
    Timestamp::from_microsecond(moment.0).map_or_else(|_| moment.0.to_string(), |time| format!("{time:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step of a story told in seconds.
    enum Step {
        /// At this second, a call sent at that second meets the limit, with this `Retry-After`.
        Met(u64, u64, Option<u64>),
        /// A call sent at this second was within it.
        Within(u64),
        /// Somebody lifts it at this second.
        Lift(u64),
        /// At this second, so many are left.
        Left(u64, u64),
    }
    use Step::{Left, Lift, Met, Within};

    fn check(story: &[Step]) {
        let zero = Instant::now();
        let at = |second: u64| zero + Duration::from_secs(second);
        let mut pause = Pause::new(zero);
        for (index, step) in story.iter().enumerate() {
            match step {
                Met(now, sent, asked) => pause.met(at(*sent), asked.map(Duration::from_secs), at(*now)),
                Within(sent) => pause.within(at(*sent)),
                Lift(now) => pause.lift(at(*now)),
                Left(now, left) => assert_eq!(pause.left(at(*now)).as_secs(), *left, "step {index}"),
            }
        }
    }

    #[test]
    fn lasts_as_long_as_the_provider_asks() {
        check(&[Left(0, 0), Met(1, 0, Some(30)), Left(2, 29), Left(31, 0)]);
        check(&[Met(1, 0, Some(0)), Left(1, 1)]);
        check(&[Met(1, 0, Some(36_000)), Left(1, 36_000)]);
    }

    #[test]
    fn doubles_without_a_hint_and_starts_again_after_a_success() {
        let doubling =
            [Met(0, 0, None), Left(0, 1), Met(1, 1, None), Left(1, 2), Met(3, 3, None), Left(3, 4)];
        check(&doubling.into_iter().chain([Within(7), Met(9, 9, None), Left(9, 1)]).collect::<Vec<_>>());
        let many = (0..40).map(|n| Met(n * 100, n * 100, None));
        check(&many.chain([Left(3_900, 60)]).collect::<Vec<_>>());
    }

    #[test]
    fn somebody_lifts_it_once_and_what_was_sent_before_is_no_news() {
        check(&[Met(1, 0, Some(3_600)), Lift(9), Left(9, 0), Met(10, 8, Some(3_600)), Left(10, 0)]);
        check(&[Met(1, 1, None), Met(2, 2, None), Lift(3), Met(5, 4, Some(30)), Lift(3), Left(5, 30)]);
        check(&[Met(1, 1, None), Met(2, 2, None), Lift(3), Met(5, 4, None), Left(5, 1)]);
    }

    #[test]
    fn one_burst_is_one_pause() {
        check(&[Met(5, 4, None), Met(5, 4, None), Left(5, 1)]);
    }

    #[test]
    fn only_a_long_one_is_told_and_each_once() {
        let now = Instant::now();
        let mut pause = Pause::new(now);
        pause.met(now, Some(Duration::from_secs(5)), now);
        assert!(!pause.has_changed(now) && pause.ailment(now, Micros(0)).is_none());
        pause.met(now, Some(Duration::from_secs(40)), now);
        assert!(pause.has_changed(now) && !pause.has_changed(now));
        let detail = pause.ailment(now, Micros(0)).map(|trouble| trouble.detail);
        assert_eq!(
            detail.as_deref(),
            Some("it is over its rate limit and takes calls again at 1970-01-01T00:00:40Z")
        );
        // What is on its way extends it a little, and is no news; what extends it by much is.
        pause.met(now, Some(Duration::from_secs(45)), now);
        assert!(!pause.has_changed(now));
        pause.met(now, Some(Duration::from_secs(90)), now);
        assert!(pause.has_changed(now) && !pause.has_changed(now));
        assert!(pause.has_changed(now + Duration::from_secs(91)));
    }
}
