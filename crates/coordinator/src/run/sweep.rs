//! The sweep: a member whose beat stands still is dead, and what it held goes back to pending.
//!
//! No two clocks are compared: the counter is the member's, the patience is this process's own monotonic clock.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use assay_common::id::MemberId;
use assay_store::{Mandate, Member, StoreError};
use tokio::time::Instant;

use crate::environment::Environment;

/// Between two looks no more than a quarter of the patience counts as silence, or this where it is longer: whoever could not look
/// for longer, because the store was away or he was frozen, does not know who was silent meanwhile, and the others could
/// not beat either.
const LONGEST_BLINK: Duration = Duration::from_millis(1_500);

/// What was last seen of each member's beat, and for how long it has been watched standing still.
#[derive(Debug, Default)]
pub struct Beats {
    seen: HashMap<MemberId, (i64, Duration)>,
    looked: Option<Instant>,
}

impl Beats {
    /// Takes in the beats read `now`, and names the members that are dead. A member seen for the first time is
    /// alive.
    pub fn observe(
        &mut self,
        beats: &[(MemberId, i64)],
        now: Instant,
        dead_after: Duration,
    ) -> Vec<MemberId> {
        let watched = self.looked.replace(now).map_or(Duration::ZERO, |looked| now.duration_since(looked));
        let watched = watched.min(LONGEST_BLINK.max(dead_after / 4));
        self.seen.retain(|member, _| beats.iter().any(|(seen, _)| seen == member));
        let mut dead = Vec::new();
        for (member, beat) in beats {
            match self.seen.get_mut(member) {
                Some((last, silent)) if last == beat => {
                    *silent += watched;
                    if *silent >= dead_after {
                        dead.push(*member);
                    }
                }
                _ => _ = self.seen.insert(*member, (*beat, Duration::ZERO)),
            }
        }
        dead
    }

    /// For how long each member has been watched standing still.
    pub(crate) fn silences(&self) -> impl Iterator<Item = (MemberId, Duration)> + '_ {
        self.seen.iter().map(|(member, (_, silent))| (*member, *silent))
    }
}

/// Buries the members that are dead, and names those that live.
pub async fn sweep(
    environment: &Environment,
    mandate: Mandate,
    beats: &mut Beats,
) -> Result<Vec<Member>, StoreError> {
    let mut members = environment.store.members().await?;
    let seen: Vec<_> = members.iter().map(|member| (member.id, member.beat)).collect();
    let dead = beats.observe(&seen, Instant::now(), environment.timings.dead_after);
    environment.silences.note(beats.silences());
    for member in &dead {
        let freed = environment.store.bury(mandate, *member, environment.clock.now()).await?;
        assay_common::crash_point!(Buried);
        tracing::warn!(member.id = %member, jobs = freed, "member {member} is dead; {freed} jobs are pending again");
    }
    members.retain(|member| !dead.contains(&member.id));
    Ok(members)
}

/// Those of the members that take their hints from the same queue as this driver gives them to: in a fleet its workers,
/// beside `assay run` its own.
pub fn served_by(mandate: Mandate, members: Vec<Member>) -> Vec<Member> {
    let kind = match mandate {
        Mandate::Own => "run",
        Mandate::Epoch(_) => "worker",
    };
    members.into_iter().filter(|member| member.kind == kind).collect()
}

/// How many hints the members take in advance, by pool.
pub fn prefetch(members: &[Member]) -> BTreeMap<String, u64> {
    let mut prefetch = BTreeMap::new();
    for (pool, hints) in members.iter().flat_map(|member| &member.offer.serves) {
        *prefetch.entry(pool.clone()).or_default() += u64::from(*hints);
    }
    prefetch
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const DEAD_AFTER: Duration = Duration::from_secs(30);

    fn member(n: u128) -> MemberId {
        MemberId::new(Uuid::from_u128(n))
    }

    /// Looks once a second; the beats of members change at the seconds given for them. Returns who is dead at the end.
    fn check(changes: &[&[u64]], looks: impl IntoIterator<Item = u64>, expected: &[u128]) {
        let start = Instant::now();
        let mut beats = Beats::default();
        let mut dead = Vec::new();
        for second in looks {
            let beat = |changes: &[u64]| changes.iter().filter(|change| **change <= second).count();
            let seen: Vec<_> = (1..)
                .zip(changes)
                .map(|(n, changes)| (member(n), i64::try_from(beat(changes)).unwrap()))
                .collect();
            dead = beats.observe(&seen, start + Duration::from_secs(second), DEAD_AFTER);
        }
        let expected: Vec<_> = expected.iter().map(|n| member(*n)).collect();
        assert_eq!(dead, expected);
    }

    #[test]
    fn only_a_counter_that_stands_still_is_death() {
        check(&[&[1, 2], &[29]], 0..=31, &[]);
        check(&[&[1, 2], &[29]], 0..=32, &[1]);
        check(&[&[1, 2], &[29]], 0..=59, &[1, 2]);
    }

    #[test]
    fn a_member_that_was_buried_and_comes_back_is_new() {
        let mut beats = Beats::default();
        let mut observe = |seen: &[(MemberId, i64)], now| beats.observe(seen, now, DEAD_AFTER);
        let start = Instant::now();
        assert_eq!(observe(&[(member(1), 1)], start), []);
        assert_eq!(observe(&[], start + DEAD_AFTER), []);
        assert_eq!(observe(&[(member(1), 1)], start + 2 * DEAD_AFTER), []);
    }

    #[test]
    fn who_could_not_look_buries_nobody() {
        // The store was away from the fifth second to the hundredth, and back before anybody could beat.
        check(&[&[1, 5], &[1, 5]], (0..=5).chain([100]), &[]);
        check(&[&[1, 5], &[1, 5, 101]], (0..=5).chain(100..=122), &[]);
        check(&[&[1, 5], &[1, 5, 101]], (0..=5).chain(100..=123), &[1]);
    }
}
