//! The sweep: a member whose beat stands still is dead, and what it held goes back to pending.
//!
//! No two clocks are compared: the counter is the member's, the patience is this process's own monotonic clock.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use assay_common::id::MemberId;
use assay_store::{Mandate, Member, StoreError};
use tokio::time::Instant;

use crate::environment::Environment;

/// What was last seen of each member's beat, and when it last changed.
#[derive(Debug, Default)]
pub struct Beats(HashMap<MemberId, (i64, Instant)>);

impl Beats {
    /// Takes in the beats read `now`, and names the members that are dead. A member seen for the first time is
    /// alive.
    pub fn observe(
        &mut self,
        beats: &[(MemberId, i64)],
        now: Instant,
        dead_after: Duration,
    ) -> Vec<MemberId> {
        self.0.retain(|member, _| beats.iter().any(|(seen, _)| seen == member));
        let mut dead = Vec::new();
        for (member, beat) in beats {
            let (last, changed) = self.0.entry(*member).or_insert((*beat, now));
            if last != beat {
                (*last, *changed) = (*beat, now);
            } else if now.duration_since(*changed) >= dead_after {
                dead.push(*member);
            }
        }
        dead
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

    #[test]
    fn only_a_counter_that_stands_still_is_death() {
        let member = |n: u128| MemberId::new(Uuid::from_u128(n));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut beats = Beats::default();
        let mut observe = |seen: &[(MemberId, i64)], seconds| beats.observe(seen, at(seconds), DEAD_AFTER);
        assert_eq!(observe(&[(member(1), 7), (member(2), 1)], 0), []);
        assert_eq!(observe(&[(member(1), 8), (member(2), 1)], 29), []);
        assert_eq!(observe(&[(member(1), 8), (member(2), 1)], 30), [member(2)]);
        assert_eq!(observe(&[(member(1), 8)], 58), []);
        assert_eq!(observe(&[(member(1), 8)], 59), [member(1)]);
        // A member that was buried and comes back is new.
        assert_eq!(observe(&[(member(2), 1)], 60), []);
    }
}
