//! An ask, and all that have a part in its limit: what a grant is decided on. Pure.

use assay_common::clock::Micros;
use assay_common::id::MemberId;
use assay_common::limit::Dimension;

use super::Book;
use super::ask::Ask;
use super::headroom::Profile;

/// Who may send, where not all may, is drawn anew so often, in microseconds.
const DRAWN_EVERY_US: i64 = 300_000_000;

/// One member, as far as others share a limit with it.
pub(super) struct Party {
    pub(super) member: MemberId,
    pub(super) want: u64,
    pub(super) burst: u64,
    /// The most that it may be using.
    pub(super) exposure: u64,
}

/// An ask, and who shares its limit.
pub(super) struct Case<'a> {
    pub(super) member: MemberId,
    pub(super) ask: &'a Ask,
    /// What files say at least.
    pub(super) configured: Option<u64>,
    /// How the provider counts: where files do not agree, what is more careful.
    pub(super) profile: Profile,
    /// Everybody, the asker as it asks now, in an order that is drawn anew now and then and is the same for all limits.
    pub(super) parties: Vec<Party>,
}

impl Book {
    /// Takes in what an ask tells of what its member goes by and has used, and looks who else has a part in the limit.
    pub(super) fn case<'a>(&mut self, member: MemberId, ask: &'a Ask, now: Micros) -> Case<'a> {
        let dimension = ask.dimension;
        let parts = self.members.entry(member).or_default();
        if dimension.is_rate() {
            // Of who comes for the first time nobody knows when that was.
            let before = parts.get(&dimension).map_or(ask.used, |part| part.used);
            let used = ask.used.saturating_sub(before);
            self.known.entry(dimension).or_default().used(used, self.paused_until, now);
        }
        parts.entry(dimension).or_default().hear(ask);
        let configured = self.parts(dimension).filter_map(|(_, part)| part.configured).min();
        let mut parties: Vec<_> = self
            .parts(dimension)
            .map(|(member, part)| Party {
                member,
                want: part.want,
                burst: part.burst,
                exposure: part.exposure(),
            })
            .collect();
        let limit = self.known.get(&dimension).and_then(|known| known.limit(configured)).unwrap_or_default();
        let bursts = parties.iter().map(|party| party.burst).sum();
        let profiles = self.profiles(dimension).into_iter();
        let profile = profiles.min_by_key(|profile| profile.rate(limit, bursts)).unwrap_or(ask.profile);
        let draw = now.0.div_euclid(DRAWN_EVERY_US);
        // Those who have something to send go before those who might.
        parties.sort_by_cached_key(|party| (party.want == 0, drawn(party.member, draw), party.member));
        Case { member, ask, configured, profile, parties }
    }

    /// Takes in what the provider has said.
    pub(super) fn learn(&mut self, cases: &[Case<'_>], now: Micros) {
        for Case { ask, configured, profile, parties, .. } in
            cases.iter().filter(|case| case.ask.dimension.is_rate())
        {
            let known = self.known.entry(ask.dimension).or_default();
            known.grow(*configured, *profile, now);
            if let Some(said) = ask.said {
                known.heard(said, *profile, parties.iter().map(|party| party.burst).sum(), now);
            }
            if let Some(needs) = ask.needs {
                known.outgrown(needs, *profile, now);
            }
        }
        let refusals = || cases.iter().filter_map(|case| case.ask.refused);
        let Some(pause) = refusals().map(|refusal| refusal.pause).max() else { return };
        let untold = refusals().any(|refusal| !refusal.is_told).then(|| self.nearest(cases, now)).flatten();
        let is_met =
            |ask: &Ask| untold == Some(ask.dimension) || ask.refused.is_some_and(|refusal| refusal.is_told);
        let resumes = now.plus(pause);
        for Case { ask, configured, profile, .. } in cases.iter().filter(|case| is_met(case.ask)) {
            let known = self.known.entry(ask.dimension).or_default();
            known.refused(*configured, *profile, now, resumes);
        }
        self.paused_until = self.paused_until.max(Some(resumes));
    }

    /// The rate of which most is used, of those whose limit is known; else that of requests.
    fn nearest(&self, cases: &[Case<'_>], now: Micros) -> Option<Dimension> {
        let rates = cases.iter().filter(|case| case.ask.dimension.is_rate());
        let share = |case: &Case<'_>| {
            let known = self.known.get(&case.ask.dimension);
            known.map_or(0, |known| known.share(case.configured, case.profile, case.ask.said, now))
        };
        rates
            .max_by_key(|case| (share(case), case.ask.dimension == Dimension::Requests))
            .map(|case| case.ask.dimension)
    }
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
