//! The ledger of one scope's limits: who may use how much of each, so that all together never exceed one. Pure: what rows hold
//! goes in, what they are to hold comes out; `lease` reads and writes them.
//!
//! ```text
//! renew:  forget the grants that are over, and those of the asker before the one he goes by
//!         exposure of a member = the largest of its grants: which of them it goes by is not known
//!         share                = max-min fair, of the rate that the provider's way of counting leaves
//!         grant                = the share, as far as the exposure of the others leaves room for it
//! ```
//!
//! **Invariant:** the exposures of all members add up to no more than the rate, or come down to it: a grant never adds to
//! what is too much already.

mod ask;
mod case;
mod clock;
mod grant;
mod headroom;
mod known;
mod pace;
mod part;
mod share;
mod spent;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::MemberId;
use assay_common::limit::Dimension;

pub use ask::{ALL, Answer, Ask, Firm, Refusal, Why};
pub use clock::OwnClock;
pub(crate) use grant::reduced;
pub use headroom::{Profile, SPREAD_US};
pub use known::{Cut, Known, Learned, Said, Set, Stranger};
pub use pace::Pace;
pub use part::{Grant, Part};
pub use spent::Spent;

/// What a member has of each limit of a scope.
pub type Parts = BTreeMap<Dimension, Part>;

/// All that the store knows of one scope's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// The clock by which its grants end.
    pub clock: OwnClock,
    /// Nobody begins a call before.
    pub paused_until: Option<Micros>,
    /// How often somebody has lifted what held its calls back.
    pub resumed: u64,
    /// What is known of each limit.
    pub known: BTreeMap<Dimension, Known>,
    /// Everybody who has been granted anything that counts.
    pub members: BTreeMap<MemberId, Parts>,
}

impl Book {
    /// Renews what `member` has of each limit it asks for: all asks are of this scope.
    pub fn renew(&mut self, member: MemberId, asks: &[Ask], ttl: Duration, now: Micros) -> Vec<Answer> {
        let ttl_us = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX / 4);
        self.clock.advance(now, ttl_us);
        self.expire();
        let cases: Vec<_> = asks.iter().map(|ask| self.case(member, ask, now)).collect();
        self.learn(&cases, now);
        let until = self.clock.at.saturating_add(ttl_us);
        let senders = self.senders(&cases);
        cases.iter().map(|case| self.grant(case, &senders, until, now)).collect()
    }

    /// What a member that asks so much of `scope` leaves out, though it is limited: the files of others name it, somebody has set
    /// it, or the provider has said it. Whoever uses an account keeps to all of its limits, and is counted.
    pub fn unasked(&self, scope: &str, asks: &[Ask]) -> Vec<Ask> {
        let is_limited = |dimension: &Dimension| {
            self.known.get(dimension).is_some_and(Known::limits) || self.configured(*dimension).is_some()
        };
        let is_asked = |dimension: &Dimension| asks.iter().any(|ask| ask.dimension == *dimension);
        let left_out =
            Dimension::ALL.into_iter().filter(|dimension| !is_asked(dimension) && is_limited(dimension));
        let profile = asks.first().map(|ask| ask.profile).unwrap_or_default();
        left_out.map(|dimension| Ask::unnamed(scope, dimension, profile)).collect()
    }

    /// Nobody begins a call for so long.
    pub fn paused_for(&self, now: Micros) -> Duration {
        self.paused_until.map_or(Duration::ZERO, |until| until.since(now))
    }

    /// Lifts a pause: calls begin again, at a tenth of the rate at first. Whether there was one.
    pub(crate) fn resume(&mut self, now: Micros) -> bool {
        let is_paused = self.paused_until.is_some_and(|until| until > now);
        if is_paused {
            self.paused_until = Some(now);
            self.known.values_mut().for_each(|known| known.resume(now));
        }
        is_paused
    }

    /// What files say that a limit is: the least and the most of those who renew.
    pub fn configured(&self, dimension: Dimension) -> Option<(u64, u64)> {
        let said = || self.parts(dimension).filter_map(|(_, part)| part.configured);
        said().min().zip(said().max())
    }

    /// How the provider counts, by the files that name a limit.
    pub fn profiles(&self, dimension: Dimension) -> BTreeSet<Profile> {
        let naming = self.parts(dimension).filter(|(_, part)| part.configured.is_some());
        naming.map(|(_, part)| part.profile).collect()
    }

    /// What each member has of a limit.
    pub fn parts(&self, dimension: Dimension) -> impl Iterator<Item = (MemberId, &Part)> {
        self.members.iter().filter_map(move |(member, parts)| Some((*member, parts.get(&dimension)?)))
    }

    /// Moves the clock on for who only looks, and forgets the grants that are over.
    pub(crate) fn pass(&mut self, now: Micros) {
        self.clock.advance(now, i64::MAX);
        self.expire();
    }

    /// Forgets the grants that are over, and who has none any more.
    fn expire(&mut self) {
        let now = self.clock.at;
        self.members.retain(|_, parts| {
            parts.retain(|_, part| {
                part.grants.retain(|grant| grant.until > now);
                !part.grants.is_empty()
            });
            !parts.is_empty()
        });
    }
}
