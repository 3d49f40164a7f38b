//! Chance: every draw of a simulation comes from its seed, so equal seeds make equal histories.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A seeded source of draws.
#[derive(Debug)]
pub(crate) struct Chance(Mutex<StdRng>);

impl Chance {
    /// One of the streams of a seed: what draws from one does not disturb what draws from another.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream)))
    }

    /// Whether something of this likelihood happens.
    pub(crate) fn happens(&self, likelihood: f64) -> bool {
        self.share() < likelihood
    }

    /// Drawn evenly from [0, 1).
    pub(crate) fn share(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// A whole number of a range.
    pub(crate) fn number(&self, range: Range<u64>) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random_range(range)
    }

    /// A time between two, both in milliseconds.
    pub(crate) fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    /// One of several.
    pub(crate) fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[usize::try_from(self.number(0..all.len() as u64)).unwrap_or(0)]
    }
}
