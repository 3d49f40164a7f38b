//! Wall time as a value. Durations inside a process come from `tokio::time::Instant`; what is written
//! down comes from a [`Clock`], so that a test moves both by hand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// This moment and `later` more; saturates at the end of time.
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is before.
    pub fn since(self, earlier: Micros) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The day of UTC it is in, counted from 1970-01-01.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// The moment at which the next day of UTC begins.
    pub fn next_day(self) -> Self {
        Self((self.day() + 1).saturating_mul(DAY))
    }
}

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Where wall time is read.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
    Paused { began: Instant, at: Micros, jumped: Arc<AtomicI64> },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: Micros) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// A clock that shows `start` now and goes with tokio's, which a test may have paused, until a [`Clock::jump`].
    pub fn paused(start: Micros) -> Self {
        Self(Source::Paused { began: Instant::now(), at: start, jumped: Arc::default() })
    }

    /// The present moment.
    pub fn now(&self) -> Micros {
        match &self.0 {
            Source::System => {
                #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                Micros(since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
            }
            Source::Manual(now) => Micros(now.load(Ordering::Relaxed)),
            Source::Paused { began, at, jumped } => {
                let now = at.plus(began.elapsed());
                Micros(now.0.saturating_add(jumped.load(Ordering::Relaxed)))
            }
        }
    }

    /// Moves a manual clock forward; the system's clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            let moved = Micros(now.load(Ordering::Relaxed)).plus(by);
            now.store(moved.0, Ordering::Relaxed);
        }
    }

    /// Sets a paused clock forward or, below zero, back by so many microseconds; other clocks ignore it.
    pub fn jump(&self, micros: i64) {
        if let Source::Paused { jumped, .. } = &self.0 {
            jumped.fetch_add(micros, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Clock(system)",
            Source::Manual(_) => "Clock(manual)",
            Source::Paused { .. } => "Clock(paused)",
        })
    }
}
