//! The ledger's own clock, by which grants end. Pure.

use assay_common::clock::Micros;

/// Microseconds that go on by what passes between two renewals, and never back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnClock {
    /// What it shows.
    pub at: i64,
    /// What the store's clock showed then; `None`: it was never moved.
    pub seen: Option<Micros>,
}

impl OwnClock {
    /// Moves it on to the store's `now`. A clock that was set back or forward does not take the ledger with it: what
    /// passes between two renewals is counted up to half of `ttl_us`, which is longer than any of those who live is silent.
    pub(super) fn advance(&mut self, now: Micros, ttl_us: i64) {
        let passed = self.seen.map_or(0, |seen| now.0.saturating_sub(seen.0));
        self.at = self.at.saturating_add(passed.clamp(0, ttl_us / 2));
        self.seen = Some(now);
    }
}
