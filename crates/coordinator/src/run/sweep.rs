//! The sweep: a member whose beat stands still is dead, and what it held goes back to pending.
//!
//! No two clocks are compared: the counter is the member's, the patience is this process's own monotonic clock.

use std::collections::HashMap;
use std::time::Duration;

use assay_common::id::MemberId;
use assay_store::StoreError;
use tokio::time::Instant;

use crate::environment::Environment;

/// A member whose counter has not changed for this long is dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(30);

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

/// Buries the members that are dead.
pub async fn sweep(environment: &Environment, beats: &mut Beats) -> Result<(), StoreError> {
    let members = environment.store.members().await?;
    let seen: Vec<_> = members.iter().map(|member| (member.id, member.beat)).collect();
    for member in beats.observe(&seen, Instant::now(), DEAD_AFTER) {
        let freed = environment.store.bury(member, environment.clock.now()).await?;
        tracing::warn!(member.id = %member, jobs = freed, "member {member} is dead; {freed} jobs are pending again");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

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
