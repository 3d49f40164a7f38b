//! One member's part in one limit: what it was granted, and what it said of itself. Pure.

use serde::{Deserialize, Serialize};

use super::ask::{ALL, Ask};
use super::headroom::Profile;

/// So much of a limit for a member, until a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Counts the grants to this member.
    pub seq: u64,
    /// Millionths a second, or calls at once; [`ALL`]: nothing limits it.
    pub amount: u64,
    /// Until when, by the ledger's own clock.
    pub until: i64,
}

/// What a member has of a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The grants that count, the latest last; each is less than the one before.
    pub grants: Vec<Grant>,
    /// What the member wanted last.
    pub want: u64,
    /// The most it uses in one moment.
    pub burst: u64,
    /// What it had used, or held.
    pub used: u64,
    /// Tokens that the request at the head of its line still had to gather.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<u64>,
    /// Tokens that it needed in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<u64>,
    /// What its assay.toml says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured: Option<u64>,
    /// How the provider counts, by the same.
    #[serde(default, skip_serializing_if = "Profile::is_default")]
    pub profile: Profile,
}

impl Part {
    /// The most that the member may be using.
    pub fn exposure(&self) -> u64 {
        self.grants.iter().map(|grant| grant.amount).max().unwrap_or(0)
    }

    /// The number of its latest grant.
    pub(super) fn seq(&self) -> u64 {
        self.grants.last().map_or(0, |grant| grant.seq)
    }

    /// Takes in what the member says, and forgets the grants before the one that it goes by.
    pub(super) fn hear(&mut self, ask: &Ask) {
        self.grants.retain(|grant| grant.seq >= ask.acked);
        self.want = ask.want.min(ALL);
        self.burst = ask.burst;
        // A renewal that was long under way knows of less than those that overtook it.
        self.used = if ask.dimension.is_rate() { ask.used.max(self.used) } else { ask.used };
        self.lacks = ask.lacks;
        self.needs = ask.needs;
        (self.configured, self.profile) = (ask.configured, ask.profile);
    }

    /// Adds a grant, and forgets those that add nothing to it: they are over sooner, and are no more.
    pub(super) fn add(&mut self, new: Grant) {
        self.grants.retain(|grant| grant.amount > new.amount || grant.until > new.until);
        self.grants.push(new);
    }
}
