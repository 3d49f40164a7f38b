//! Who gets a job: a function of its row, its run, the time and the claimer.

use assay_common::clock::Micros;
use assay_common::id::MemberId;
use assay_common::job::{Decline, SUSPECTED_AFTER};

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
    /// How many of its claims ended with the death of their member.
    pub(super) crash_claims: u32,
}

/// What a claimer has beside the jobs that it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Other jobs, or some that it is about to claim.
    Others,
    /// Nothing, and it claims nothing more before this job is settled.
    None,
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
pub(super) fn decide(job: &Held, member: MemberId, company: Company, now: Micros) -> Decision {
    let is_suspect = job.crash_claims >= SUSPECTED_AFTER;
    match (job.state, job.run) {
        (JobState::Terminal, _) => Decision::Decline(Decline::Done),
        // Whatever became of the run since: this claim was granted before, and what is running is recorded.
        (JobState::Running, _) if job.member == Some(member) => Decision::Repeat,
        (JobState::Running, _) => Decision::Decline(Decline::Busy),
        (JobState::Pending, RunState::Running) if job.not_before > now => Decision::Decline(Decline::NotYet),
        (JobState::Pending, RunState::Running) if is_suspect && company == Company::Others => {
            Decision::Decline(Decline::Suspect)
        }
        (JobState::Pending, RunState::Running) => Decision::Take,
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
            let job = Held { state, run, not_before: Micros(not_before), member, crash_claims: 1 };
            assert_eq!(decide(&job, me, Company::Others, Micros(100)), expected);
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

    #[test]
    fn a_suspect_is_granted_to_who_has_nothing_else() {
        let me: MemberId = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".parse().unwrap();
        let check = |state, crash_claims, company, expected| {
            let member = (state == JobState::Running).then_some(me);
            let job = Held { state, run: RunState::Running, not_before: Micros(50), member, crash_claims };
            assert_eq!(decide(&job, me, company, Micros(100)), expected);
            let later = Held { not_before: Micros(101), ..job };
            if state == JobState::Pending {
                assert_eq!(decide(&later, me, company, Micros(100)), Decision::Decline(Decline::NotYet));
            }
        };
        let no = Decision::Decline(Decline::Suspect);
        check(JobState::Pending, 0, Company::Others, Decision::Take);
        check(JobState::Pending, 1, Company::Others, Decision::Take);
        check(JobState::Pending, 2, Company::Others, no);
        check(JobState::Pending, 2, Company::None, Decision::Take);
        check(JobState::Pending, 1, Company::None, Decision::Take);
        // The answer to its claim was lost.
        check(JobState::Running, 2, Company::Others, Decision::Repeat);
    }
}
