//! What a case comes to: who may send at all, and how much of the limit the asker gets. Pure.

use std::collections::BTreeSet;

use assay_common::clock::Micros;
use assay_common::id::MemberId;

use super::Book;
use super::ask::{ALL, Answer, Why};
use super::case::{Case, Party};
use super::known::Known;
use super::part::Grant;
use super::share::shares;

/// After a pause the rate grows from a tenth to the whole for so long, in microseconds.
const RAMP_US: i64 = 10_000_000;

/// Who may send for a scope.
pub(super) struct Senders {
    senders: BTreeSet<MemberId>,
    /// Whether all of them have something to send: nobody else may.
    is_crowded: bool,
}

impl Book {
    /// Those who may send: as many as every limit of the scope bears, and one in any case.
    pub(super) fn senders(&self, cases: &[Case<'_>]) -> Senders {
        let (mut senders, mut busy) = (None::<BTreeSet<_>>, BTreeSet::new());
        for Case { ask, configured, profile, parties, .. } in
            cases.iter().filter(|case| case.ask.dimension.is_rate())
        {
            let limit = self.known.get(&ask.dimension).and_then(|known| known.limit(*configured));
            let mut bursts = 0;
            let borne = parties.iter().enumerate().take_while(|(at, party)| {
                bursts += party.burst;
                *at == 0 || limit.is_none_or(|limit| profile.bears(limit, bursts))
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
    pub(super) fn grant(&mut self, case: &Case<'_>, senders: &Senders, until: i64, now: Micros) -> Answer {
        let Case { member, ask, configured, parties, .. } = case;
        let known = self.known.entry(ask.dimension).or_default();
        let (limit, firm) = (known.limit(*configured), known.firm(*configured));
        let share = if ask.dimension.is_rate() {
            self.rate_share(case, senders, now)
        } else {
            limit.map(|places| share_of(*member, places, &parties.iter().collect::<Vec<_>>()))
        };
        let amount = share.map_or(ALL, |(share, whole)| {
            let others = parties.iter().filter(|party| party.member != *member).map(|party| party.exposure);
            share.min(others.fold(whole, u64::saturating_sub))
        });
        let part = self.members.entry(*member).or_default().entry(ask.dimension).or_default();
        let seq = part.seq().max(ask.acked) + 1;
        part.add(Grant { seq, amount, until });
        Answer {
            scope: ask.scope.clone(),
            dimension: ask.dimension,
            seq,
            amount: share.map(|_| amount),
            limit,
            firm,
            paused_for: self.paused_for(now),
            resumed: self.resumed,
            why: self.why(case, senders, now),
        }
    }

    /// The asker's fair share of a rate, and the whole; `None`: nothing limits it.
    fn rate_share(
        &self,
        Case { member, ask, configured, profile, parties }: &Case<'_>,
        Senders { senders, .. }: &Senders,
        now: Micros,
    ) -> Option<(u64, u64)> {
        let known = self.known.get(&ask.dimension)?;
        // Whoever may still be sending has his burst, whether or not he goes on.
        let whole = |those: &[&Party]| {
            let counts =
                |party: &&Party| party.exposure > 0 || those.iter().any(|one| one.member == party.member);
            let bursts = parties.iter().filter(counts).map(|party| party.burst).sum();
            known.rate(*configured, *profile, bursts).map(|rate| self.ramped(rate, now))
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
    if known.strangers(configured).is_some() {
        return Some(Why::Stranger);
    }
    let firm = known.firm(configured)?;
    let says = known.learned.map(|learned| learned.limit).filter(|says| *says < firm.limit)?;
    Some(Why::Contradicted { says })
}

/// The share of `member` among `those`, and the whole.
fn share_of(member: MemberId, whole: u64, those: &[&Party]) -> (u64, u64) {
    let wants: Vec<_> = those.iter().map(|party| party.want).collect();
    let shares = shares(whole, &wants);
    let mine = those.iter().position(|party| party.member == member);
    (mine.map_or(0, |at| shares[at]), whole)
}
