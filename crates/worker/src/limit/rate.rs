//! Requests begun in any minute, evenly spaced by governor on a clock that tests can move.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// Half a second more than a minute: what leaves here evenly does not arrive quite evenly.
const WINDOW: Duration = Duration::from_millis(60_500);

/// A rate of requests for as long as this process lives.
pub(crate) struct Rate {
    limiter: RateLimiter<NotKeyed, InMemoryState, PausableClock, NoOpMiddleware<Nanos>>,
    clock: PausableClock,
}

impl Rate {
    /// At most `per_minute` requests in any minute.
    pub(crate) fn new(per_minute: NonZeroU32) -> Self {
        let clock = PausableClock { start: Instant::now() };
        Self { limiter: RateLimiter::direct_with_clock(quota(per_minute), clock.clone()), clock }
    }

    /// Waits until one more request may begin. Cancelling the wait takes nothing.
    pub(crate) async fn wait(&self) {
        while let Err(not_until) = self.limiter.check() {
            tokio::time::sleep(not_until.wait_time_from(self.clock.now())).await;
        }
    }
}

/// A burst of B and a rate of (n − B + 1) a window let at most n begin in any window, from the first one on; governor's own
/// quota of n a minute would let 2n begin in the first.
fn quota(per_minute: NonZeroU32) -> Quota {
    let burst = NonZeroU32::new(per_minute.get() / 100).unwrap_or(NonZeroU32::MIN);
    let spacing = WINDOW / (per_minute.get() - burst.get() + 1);
    Quota::with_period(spacing).unwrap_or(Quota::per_minute(per_minute)).allow_burst(burst)
}

/// Tokio's time as governor reads it.
#[derive(Clone, Debug)]
struct PausableClock {
    start: Instant,
}

impl Clock for PausableClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most requests that began in any minute of the first five, and how many in all.
    async fn begun(per_minute: u32) -> (usize, usize) {
        let rate = Rate::new(NonZeroU32::new(per_minute).unwrap());
        let start = Instant::now();
        let mut times = Vec::new();
        loop {
            rate.wait().await;
            if start.elapsed() >= Duration::from_secs(300) {
                break;
            }
            times.push(Instant::now());
        }
        let in_window = |from: &Instant| {
            times.iter().filter(|time| *time >= from && **time < *from + Duration::from_secs(60)).count()
        };
        (times.iter().map(in_window).max().unwrap(), times.len())
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_holds_more_than_the_limit_and_most_of_it_is_used() {
        for per_minute in [1, 60, 600, 3_000] {
            let (most, total) = begun(per_minute).await;
            assert!(most <= per_minute as usize, "{most} of {per_minute}");
            assert!(total as f64 >= 0.97 * 5.0 * f64::from(per_minute), "{total} of 5 × {per_minute}");
        }
    }
}
