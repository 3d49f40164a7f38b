//! How long to wait before another attempt: full jitter, for ever. Many processes that lost the same broker come
//! back spread out.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// The ceiling of the first pause; each failure doubles it.
const FIRST: Duration = Duration::from_millis(100);
/// The highest ceiling: five seconds after a broker is back, however long it was away, work goes on.
const LONGEST: Duration = Duration::from_secs(4);

/// The pauses between attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    rng: StdRng,
}

impl Backoff {
    /// Seeded by a name: the same name pauses alike, two names apart.
    pub(super) fn new(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self { failures: 0, rng: StdRng::seed_from_u64(hasher.finish()) }
    }

    /// The next pause: anything up to a ceiling that doubles from 100 ms to 4 s.
    pub(super) fn next(&mut self) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(20)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(self.rng.random_range(0.0..1.0))
    }

    /// What was tried worked and lasted `lived`. A success that ends sooner than the longest pause counts as one
    /// more failure, or a broker that lets us in and throws us out would be hammered.
    pub(super) fn worked_for(&mut self, lived: Duration) {
        if lived >= LONGEST {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_four_seconds_and_start_again_after_a_lasting_success() {
        let mut backoff = Backoff::new("a");
        let pauses: Vec<_> = (0..200).map(|_| backoff.next()).collect();
        for (failures, pause) in pauses.iter().enumerate() {
            let ceiling = Duration::from_millis(100 << failures.min(6)).min(Duration::from_secs(4));
            assert!(*pause <= ceiling, "{pause:?} after {failures} failures");
        }
        assert!(pauses[10..].iter().any(|pause| *pause > Duration::from_secs(3)));
        assert!(pauses[10..].iter().any(|pause| *pause < Duration::from_secs(1)));
        backoff.worked_for(Duration::from_secs(3));
        assert!((0..20).map(|_| backoff.next()).any(|pause| pause > Duration::from_secs(2)));
        backoff.worked_for(LONGEST);
        assert!(backoff.next() <= FIRST);
    }

    #[test]
    fn two_names_pause_apart() {
        assert_eq!(Backoff::new("a").next(), Backoff::new("a").next());
        assert_ne!(Backoff::new("a").next(), Backoff::new("b").next());
    }
}
