//! Who gets a job: a function of its row, its run, the time and the claimer.

use assay_common::clock::Micros;
use assay_common::id::MemberId;
use assay_common::job::Decline;

use crate::job_state::JobState;
use crate::run::RunState;

/// A job as a claimer finds it.
pub(super) struct Held {
    /// Where it stands.
    pub(super) state: JobState,
    /// Where its run stands.
    pub(super) run: RunState,
    /// The earliest moment of its next claim.
    pub(super) not_before: Micros,
    /// Who holds it.
    pub(super) member: Option<MemberId>,
}

/// What to do about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It becomes the claimer's.
    Take,
    /// It is the claimer's already: the answer to its first claim was lost.
    Repeat,
    /// It is not to be had.
    Decline(Decline),
}

/// Decides a claim by `member` at `now`.
pub(super) fn decide(job: &Held, member: MemberId, now: Micros) -> Decision {
    match (job.state, job.run) {
        (JobState::Terminal, _) => Decision::Decline(Decline::Done),
        // Whatever became of the run since: this claim was granted before, and what is running is recorded.
        (JobState::Running, _) if job.member == Some(member) => Decision::Repeat,
        (JobState::Running, _) => Decision::Decline(Decline::Busy),
        (JobState::Pending, RunState::Running) if job.not_before <= now => Decision::Take,
        (JobState::Pending, RunState::Running) => Decision::Decline(Decline::NotYet),
        (JobState::Pending, RunState::Paused) => Decision::Decline(Decline::Paused),
        (JobState::Pending, RunState::Cancelling | RunState::Completed | RunState::Cancelled) => {
            Decision::Decline(Decline::Ended)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides_by_state_run_time_and_holder() {
        let me: MemberId = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".parse().unwrap();
        let other: MemberId = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c".parse().unwrap();
        let check = |state, run, not_before, member, expected| {
            let job = Held { state, run, not_before: Micros(not_before), member };
            assert_eq!(decide(&job, me, Micros(100)), expected);
        };
        use Decision::{Decline as No, Repeat, Take};
        use JobState::{Pending, Running, Terminal};
        check(Pending, RunState::Running, 0, None, Take);
        check(Pending, RunState::Running, 100, None, Take);
        check(Pending, RunState::Running, 101, None, No(Decline::NotYet));
        check(Pending, RunState::Paused, 0, None, No(Decline::Paused));
        check(Pending, RunState::Cancelling, 0, None, No(Decline::Ended));
        check(Pending, RunState::Completed, 0, None, No(Decline::Ended));
        check(Pending, RunState::Cancelled, 0, None, No(Decline::Ended));
        check(Running, RunState::Running, 0, Some(me), Repeat);
        check(Running, RunState::Cancelling, 0, Some(me), Repeat);
        check(Running, RunState::Running, 0, Some(other), No(Decline::Busy));
        check(Terminal, RunState::Running, 0, None, No(Decline::Done));
        check(Terminal, RunState::Completed, 0, None, No(Decline::Done));
    }
}
