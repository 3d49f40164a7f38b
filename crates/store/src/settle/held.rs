//! What a job takes from a settlement: a function of its row and of who settles.

use assay_common::id::MemberId;

use crate::job_state::JobState;

/// A job as its settler finds it.
pub(super) struct Held {
    /// Its current generation.
    pub(super) generation: u32,
    /// Where it stands.
    pub(super) state: JobState,
    /// Who holds it.
    pub(super) member: Option<MemberId>,
    /// Its latest claim.
    pub(super) attempt: u32,
}

impl Held {
    /// Whoever holds it: a result is worth its money as long as there is none.
    pub(super) fn takes_result(&self, generation: u32) -> bool {
        self.generation == generation && self.state != JobState::Terminal
    }

    /// Only under the claim that holds it: an older one knows nothing of what happened since.
    pub(super) fn takes_parking(&self, generation: u32, member: MemberId, attempt: u32) -> bool {
        self.generation == generation
            && self.state == JobState::Running
            && self.member == Some(member)
            && self.attempt == attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_taken_until_there_is_one_and_a_parking_from_its_holder() {
        let me: MemberId = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".parse().unwrap();
        let other: MemberId = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c".parse().unwrap();
        let check = |generation, state, member, attempt, result: bool, parking: bool| {
            let job = Held { generation, state, member, attempt };
            assert_eq!((job.takes_result(1), job.takes_parking(1, me, 2)), (result, parking));
        };
        check(1, JobState::Running, Some(me), 2, true, true);
        check(1, JobState::Running, Some(me), 3, true, false);
        check(1, JobState::Running, Some(other), 2, true, false);
        check(1, JobState::Pending, None, 2, true, false);
        check(1, JobState::Terminal, None, 2, false, false);
        check(2, JobState::Running, Some(me), 2, false, false);
    }
}
