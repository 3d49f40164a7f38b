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

mod headroom;
mod known;
mod share;
mod spent;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::MemberId;
use assay_common::limit::Dimension;

pub use headroom::Profile;
pub use known::{Cut, Known, Learned, Said, Set, Stranger};
use share::shares;
pub use spent::Spent;

/// A want of everything there is.
pub const ALL: u64 = i64::MAX as u64;
/// After a pause the rate grows from a tenth to the whole for so long, in microseconds.
const RAMP_US: i64 = 10_000_000;
/// Who may send, where not all may, is drawn anew so often, in microseconds.
const DRAWN_EVERY_US: i64 = 300_000_000;

/// What a member asks of one limit with a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The account or the model, as tables name it.
    pub scope: String,
    /// What the limit counts.
    pub dimension: Dimension,
    /// What the member's assay.toml says the limit is, a minute or at once.
    pub configured: Option<u64>,
    /// How the provider counts, by the member's assay.toml.
    pub profile: Profile,
    /// What it would like: millionths a second, or calls at once; [`ALL`]: as much as there is.
    pub want: u64,
    /// The most it uses in one moment.
    pub burst: u64,
    /// The grant it goes by, 0 for none. Of calls at once only when it holds no more than that allows.
    pub acked: u64,
    /// What it has used since it began, or calls that it holds.
    pub used: u64,
    /// What the provider has said since the last renewal.
    pub said: Option<Said>,
    /// The provider has refused a call since the last renewal, and nobody may call for so long.
    pub refused: Option<Duration>,
}

/// What a member may use of one limit from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As in the [`Ask`].
    pub scope: String,
    /// As in the [`Ask`].
    pub dimension: Dimension,
    /// The number of the grant, for [`Ask::acked`].
    pub seq: u64,
    /// Millionths a second, or calls at once; `None`: nothing limits it.
    pub amount: Option<u64>,
    /// The limit that counts, a minute or at once, where one is known.
    pub limit: Option<u64>,
    /// Nobody begins a call for so long.
    pub paused_for: Duration,
    /// Why it is less than might be expected.
    pub why: Option<Why>,
}

/// Why a member, or all together, may use less of a limit than assay.toml says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The provider has refused a call.
    Paused,
    /// The limit is too small for so many senders: the others send for all.
    Crowded {
        /// How many send.
        senders: usize,
    },
    /// The provider has refused more than this rate, which grows again.
    Cut,
    /// Somebody else uses the account, by what the provider says is left.
    Stranger,
    /// The provider says that the limit is less than assay.toml, or an operator, says.
    Contradicted {
        /// What it says, a minute.
        says: u64,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("the provider has refused a call for its rate"),
            Self::Crowded { senders } => {
                write!(
                    f,
                    "the limit is too small to be shared further: {senders} of the workers send for all"
                )
            }
            Self::Cut => f.write_str("the provider has refused more; the rate grows again"),
            Self::Stranger => {
                f.write_str("by what the provider says is left, somebody else uses the account too")
            }
            Self::Contradicted { says } => write!(f, "the provider says that the limit is {says}"),
        }
    }
}

/// So much of a limit for a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Of which limit.
    pub dimension: Dimension,
    /// Whose it is.
    pub member: MemberId,
    /// Counts the grants to this member.
    pub seq: u64,
    /// Millionths a second, or calls at once; [`ALL`]: nothing limits it.
    pub amount: u64,
    /// Until when, by the ledger's own clock.
    pub until: i64,
    /// What the member wanted.
    pub want: u64,
    /// The most it uses in one moment.
    pub burst: u64,
    /// What it had used, or held.
    pub used: u64,
    /// What its assay.toml says.
    pub configured: Option<u64>,
}

/// The ledger's own clock, by which grants end: microseconds that go on by what passes between two renewals, and never back.
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
    fn advance(&mut self, now: Micros, ttl_us: i64) {
        let passed = self.seen.map_or(0, |seen| now.0.saturating_sub(seen.0));
        self.at = self.at.saturating_add(passed.clamp(0, ttl_us / 2));
        self.seen = Some(now);
    }
}

/// All that the store knows of one scope's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// The clock by which its grants end.
    pub clock: OwnClock,
    /// Nobody begins a call before.
    pub paused_until: Option<Micros>,
    /// What is known of each limit.
    pub known: BTreeMap<Dimension, Known>,
    /// All grants that count.
    pub grants: Vec<Grant>,
}

/// One member's part in a limit.
struct Party {
    member: MemberId,
    want: u64,
    burst: u64,
    /// The most that it may be using.
    exposure: u64,
    /// Its latest grant.
    seq: u64,
}

/// An ask, and all that have a part in its limit.
struct Case<'a> {
    member: MemberId,
    ask: &'a Ask,
    /// What files say at least.
    configured: Option<u64>,
    /// Everybody, the asker as it asks now, in an order that is drawn anew now and then and is the same for all limits.
    parties: Vec<Party>,
}

impl Book {
    /// Renews what `member` has of each limit it asks for: all asks are of this scope.
    pub fn renew(&mut self, member: MemberId, asks: &[Ask], ttl: Duration, now: Micros) -> Vec<Answer> {
        let ttl_us = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX / 4);
        self.clock.advance(now, ttl_us);
        self.expire();
        let cases: Vec<_> = asks.iter().map(|ask| self.case(member, ask, now)).collect();
        cases.iter().for_each(|case| self.learn(case, now));
        let until = self.clock.at.saturating_add(ttl_us);
        let senders = self.senders(&cases);
        cases.iter().map(|case| self.grant(case, &senders, until, now)).collect()
    }

    /// Nobody begins a call for so long.
    pub fn paused_for(&self, now: Micros) -> Duration {
        self.paused_until.map_or(Duration::ZERO, |until| until.since(now))
    }

    /// What files say that a limit is: the least and the most of those who renew.
    pub fn configured(&self, dimension: Dimension) -> Option<(u64, u64)> {
        let said = || self.latest(dimension).filter_map(|grant| grant.configured);
        said().min().zip(said().max())
    }

    /// The latest grant of each member.
    pub fn latest(&self, dimension: Dimension) -> impl Iterator<Item = &Grant> {
        let of = self.grants.iter().filter(move |grant| grant.dimension == dimension);
        let last: BTreeMap<_, _> = of.fold(BTreeMap::new(), |mut last: BTreeMap<MemberId, &Grant>, grant| {
            let latest = last.entry(grant.member).or_insert(grant);
            if grant.seq > latest.seq {
                *latest = grant;
            }
            last
        });
        last.into_values()
    }

    /// The most that a member may be using.
    pub fn exposure(&self, dimension: Dimension, member: MemberId) -> u64 {
        self.of(dimension, member).map(|grant| grant.amount).max().unwrap_or(0)
    }

    /// Moves the clock on for who only looks, and forgets the grants that are over.
    pub(crate) fn pass(&mut self, now: Micros) {
        self.clock.advance(now, i64::MAX);
        self.expire();
    }

    /// Forgets the grants that are over.
    fn expire(&mut self) {
        self.grants.retain(|grant| grant.until > self.clock.at);
    }

    fn of(&self, dimension: Dimension, member: MemberId) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| grant.dimension == dimension && grant.member == member)
    }

    /// Takes in what an ask tells of what its member goes by and has used, and looks who else has a part in the limit.
    fn case<'a>(&mut self, member: MemberId, ask: &'a Ask, now: Micros) -> Case<'a> {
        let dimension = ask.dimension;
        if dimension.is_rate() {
            let before = self.of(dimension, member).max_by_key(|grant| grant.seq).map(|grant| grant.used);
            let used = ask.used.saturating_sub(before.unwrap_or(ask.used));
            self.known.entry(dimension).or_default().spent.add(used, now.0);
        }
        self.grants
            .retain(|grant| grant.dimension != dimension || grant.member != member || grant.seq >= ask.acked);
        let (want, burst) = (ask.want, ask.burst);
        let asker = Party { member, want, burst, exposure: 0, seq: ask.acked };
        let (mut parties, mut configured) = (BTreeMap::from([(member, asker)]), ask.configured);
        for grant in self.grants.iter().filter(|grant| grant.dimension == dimension) {
            let Grant { want, burst, seq, amount, .. } = *grant;
            let other = Party { member: grant.member, want, burst, exposure: 0, seq };
            let party = parties.entry(grant.member).or_insert(other);
            party.exposure = party.exposure.max(amount);
            if seq > party.seq {
                party.seq = seq;
                if grant.member != member {
                    (party.want, party.burst) = (want, burst);
                }
            }
            configured = configured.into_iter().chain(grant.configured).min();
        }
        let mut parties: Vec<_> = parties.into_values().collect();
        let draw = now.0.div_euclid(DRAWN_EVERY_US);
        // Those who have something to send go before those who might.
        parties.sort_by_cached_key(|party| (party.want == 0, drawn(party.member, draw), party.member));
        Case { member, ask, configured, parties }
    }

    /// Takes in what the provider has said.
    fn learn(&mut self, Case { ask, configured, parties, .. }: &Case<'_>, now: Micros) {
        let resumes = ask.refused.map(|pause| now.plus(pause));
        let known = self.known.entry(ask.dimension).or_default();
        if ask.dimension.is_rate() {
            known.grow(*configured, ask.profile, now);
            if let Some(said) = ask.said {
                known.heard(said, ask.profile, parties.iter().map(|party| party.burst).sum(), now);
            }
            if let Some(resumes) = resumes {
                known.refused(*configured, ask.profile, now, resumes);
            }
        }
        self.paused_until = self.paused_until.max(resumes);
    }

    /// Those who may send: as many as every limit of the scope bears, and one in any case.
    fn senders(&self, cases: &[Case<'_>]) -> Senders {
        let (mut senders, mut busy) = (None::<BTreeSet<_>>, BTreeSet::new());
        for Case { ask, configured, parties, .. } in cases.iter().filter(|case| case.ask.dimension.is_rate())
        {
            let limit = self.known.get(&ask.dimension).and_then(|known| known.limit(*configured));
            let mut bursts = 0;
            let borne = parties.iter().enumerate().take_while(|(at, party)| {
                bursts += party.burst;
                *at == 0 || limit.is_none_or(|limit| ask.profile.bears(limit, bursts))
            });
            let borne: BTreeSet<_> = borne.map(|(_, party)| party.member).collect();
            busy.extend(parties.iter().filter(|party| party.want > 0).map(|party| party.member));
            senders = Some(match senders {
                Some(others) => others.intersection(&borne).copied().collect(),
                None => borne,
            });
        }
        let senders = senders.unwrap_or_default();
        let is_crowded = senders.iter().all(|sender| busy.contains(sender));
        Senders { senders, is_crowded }
    }

    /// Adds a grant for an ask: of everything where nothing limits it, so that it counts once something does.
    fn grant(&mut self, case: &Case<'_>, senders: &Senders, until: i64, now: Micros) -> Answer {
        let Case { member, ask, configured, parties } = case;
        let known = self.known.entry(ask.dimension).or_default();
        let limit = known.limit(*configured);
        let share = if ask.dimension.is_rate() {
            self.rate_share(case, senders, now)
        } else {
            limit.map(|places| share_of(*member, places, &parties.iter().collect::<Vec<_>>()))
        };
        let amount = share.map_or(ALL, |(share, whole)| {
            let others = parties.iter().filter(|party| party.member != *member).map(|party| party.exposure);
            share.min(others.fold(whole, u64::saturating_sub))
        });
        let latest = parties.iter().find(|party| party.member == *member).map_or(0, |party| party.seq);
        let seq = latest.max(ask.acked) + 1;
        self.grants.push(Grant {
            dimension: ask.dimension,
            member: *member,
            seq,
            amount,
            until,
            want: ask.want.min(ALL),
            burst: ask.burst,
            used: ask.used,
            configured: ask.configured,
        });
        Answer {
            scope: ask.scope.clone(),
            dimension: ask.dimension,
            seq,
            amount: share.map(|_| amount),
            limit,
            paused_for: self.paused_for(now),
            why: self.why(case, senders, now),
        }
    }

    /// The asker's fair share of a rate, and the whole; `None`: nothing limits it.
    fn rate_share(
        &self,
        Case { member, ask, configured, parties }: &Case<'_>,
        Senders { senders, .. }: &Senders,
        now: Micros,
    ) -> Option<(u64, u64)> {
        let known = self.known.get(&ask.dimension)?;
        // Whoever may still be sending has his burst, whether or not he goes on.
        let whole = |those: &[&Party]| {
            let counts =
                |party: &&Party| party.exposure > 0 || those.iter().any(|one| one.member == party.member);
            let bursts = parties.iter().filter(counts).map(|party| party.burst).sum();
            known.rate(*configured, ask.profile, bursts).map(|rate| self.ramped(rate, now))
        };
        let all: Vec<_> = parties.iter().filter(|party| senders.contains(&party.member)).collect();
        let busy: Vec<_> = all.iter().copied().filter(|party| party.want > 0).collect();
        let rate = whole(&busy)?;
        // Whoever has nothing to send costs nothing, as long as others use it up.
        let is_used_up = busy.iter().map(|party| u128::from(party.want)).sum::<u128>() >= u128::from(rate);
        if is_used_up {
            return Some(share_of(*member, rate, &busy));
        }
        Some(share_of(*member, whole(&all)?, &all))
    }

    /// A rate as it is during a pause, and for a while after it.
    fn ramped(&self, rate: u64, now: Micros) -> u64 {
        let Some(until) = self.paused_until else { return rate };
        let since = now.0 - until.0;
        if since < 0 {
            return 0;
        }
        let tenth = rate / 10;
        let grown = u128::from(rate - tenth) * u128::from(since.min(RAMP_US).unsigned_abs());
        let grown = grown / u128::from(RAMP_US.unsigned_abs());
        tenth + u64::try_from(grown).unwrap_or(u64::MAX)
    }

    fn why(
        &self,
        Case { member, ask, configured, .. }: &Case<'_>,
        Senders { senders, is_crowded }: &Senders,
        now: Micros,
    ) -> Option<Why> {
        if !ask.dimension.is_rate() {
            return None;
        }
        if !self.paused_for(now).is_zero() {
            return Some(Why::Paused);
        }
        if *is_crowded && !senders.contains(member) {
            return Some(Why::Crowded { senders: senders.len() });
        }
        reduced(self.known.get(&ask.dimension)?, *configured)
    }
}

/// Why all together may use less of a limit than files or an operator say.
pub(crate) fn reduced(known: &Known, configured: Option<u64>) -> Option<Why> {
    if known.cut.is_some() {
        return Some(Why::Cut);
    }
    if known.stranger.is_some() {
        return Some(Why::Stranger);
    }
    let wanted = known.set.as_ref().map(|set| set.to).or(configured)?;
    let says = known.learned.map(|learned| learned.limit).filter(|says| *says < wanted)?;
    Some(Why::Contradicted { says })
}

/// Who may send for a scope.
struct Senders {
    senders: BTreeSet<MemberId>,
    /// Whether all of them have something to send: nobody else may.
    is_crowded: bool,
}

/// The share of `member` among `those`, and the whole.
fn share_of(member: MemberId, whole: u64, those: &[&Party]) -> (u64, u64) {
    let wants: Vec<_> = those.iter().map(|party| party.want).collect();
    let shares = shares(whole, &wants);
    let mine = those.iter().position(|party| party.member == member);
    (mine.map_or(0, |at| shares[at]), whole)
}

/// A number for a member that says nothing but its place in the order of one draw.
fn drawn(member: MemberId, draw: i64) -> u64 {
    // Steps of SplitMix64, which are the same in every version of this program.
    let bits = member.as_u128();
    [bits >> 64, bits & u128::from(u64::MAX)].into_iter().fold(draw.unsigned_abs(), |mixed, bits| {
        let mixed = (mixed ^ u64::try_from(bits).unwrap_or(0)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 31)
    })
}
