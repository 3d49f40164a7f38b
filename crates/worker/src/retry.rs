//! After a call: score the answer, ask again, wait in the store, or give up. The only retry layer there is; pure.

use std::time::Duration;

use assay_common::job::Tries;
use assay_common::outcome::ErrorKind;

use crate::limit::breaker::{DENIED_AFTER, PROBE_PAUSE};
use crate::provider::observation::Class;

/// Tries in place after a call of which nothing was sent.
const UNSENT_IN_PLACE: u32 = 2;
/// Calls of one job that may have been paid for without bringing anything back.
const PAID_AT_MOST: u32 = 3;
/// Calls of one job that the provider may answer with something that is no answer.
const MALFORMED_AT_MOST: u32 = 2;
/// Calls of one claim that may meet the account's rate limit before the job waits in the store.
const LIMITED_IN_PLACE: u32 = 3;
/// Counted tries of a job after which its failures are its own, if others of its pool succeed.
const TRIES: u32 = 8;
/// Waits in the store double from the first to the longest of these.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Waits in place are drawn from between these.
const SHORT_WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// The calls made for a job, the latest included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Those of all claims that count.
    pub(crate) tries: Tries,
    /// Those of this claim of which nothing was sent.
    unsent: u32,
    /// Those of this claim that met the account's rate limit.
    limited: u32,
    /// Those of this claim that were refused for the account's sake.
    denied: u32,
}

/// What the decision depends on beside the calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// Since the job's first claim.
    pub(crate) age: Duration,
    /// How old a job that keeps failing may get.
    pub(crate) give_up_after: Duration,
    /// Whether another job of the pool was answered since this one's first claim.
    pub(crate) pool_succeeds: bool,
    /// Failures of the account in a row.
    pub(crate) streak: u32,
    /// What the provider asked us to wait.
    pub(crate) retry_after: Option<Duration>,
    /// Drawn evenly from [0, 1).
    pub(crate) jitter: f64,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The answer is scored.
    Score,
    /// Another call, after this long.
    Again(Duration),
    /// The job waits in the store for at least this long.
    Park(Duration),
    /// The job ends in an error.
    Fail(ErrorKind),
}

impl Tally {
    /// For a job with these tries under earlier claims.
    pub(crate) fn resumed(tries: Tries) -> Self {
        Self { tries, ..Self::default() }
    }

    fn count(&mut self, class: Class) {
        let tries = &mut self.tries;
        let counter = match class {
            Class::Unsent => return self.unsent += 1,
            Class::RateLimited => return self.limited += 1,
            Class::Account(_) => return self.denied += 1,
            Class::Answered | Class::Refused => return,
            Class::Transient => None,
            Class::Ambiguous => Some(&mut tries.ambiguous),
            Class::Malformed => Some(&mut tries.malformed),
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
        tries.counted = tries.counted.saturating_add(1);
    }
}

/// Counts a call of this class and decides what follows it.
pub(crate) fn decide(class: Class, tally: &mut Tally, circumstances: &Circumstances) -> Step {
    tally.count(class);
    match class {
        Class::Answered => Step::Score,
        Class::Refused => Step::Fail(ErrorKind::Refused),
        // The gate waits for the end of a short pause and sends a job to the store for a long one.
        Class::RateLimited if tally.limited < LIMITED_IN_PLACE => Step::Again(Duration::ZERO),
        Class::RateLimited => Step::Park(circumstances.asked_at_least(FIRST_WAIT)),
        // No job pays for an account problem with its tries. A run of one job finds out at once too.
        Class::Account(_) if tally.denied < DENIED_AFTER && circumstances.retry_after.is_none() => {
            Step::Again(circumstances.short())
        }
        Class::Account(_) => {
            Step::Park(circumstances.asked_at_least(PROBE_PAUSE + PROBE_PAUSE.mul_f64(circumstances.jitter)))
        }
        Class::Unsent if tally.unsent <= UNSENT_IN_PLACE => Step::Again(circumstances.short()),
        Class::Unsent => Step::Park(circumstances.backed_off(circumstances.streak)),
        Class::Ambiguous if tally.tries.ambiguous < PAID_AT_MOST && tally.tries.counted < TRIES => {
            Step::Again(circumstances.short())
        }
        Class::Ambiguous => Step::Fail(ErrorKind::Provider),
        Class::Malformed if tally.tries.malformed < MALFORMED_AT_MOST => Step::Again(circumstances.short()),
        Class::Malformed => Step::Fail(ErrorKind::Malformed),
        // A job that a restart has aged is not given up at its first failure.
        Class::Transient if tally.tries.counted > 1 && circumstances.age >= circumstances.give_up_after => {
            Step::Fail(ErrorKind::GaveUp)
        }
        Class::Transient if tally.tries.counted >= TRIES && circumstances.pool_succeeds => {
            Step::Fail(ErrorKind::Provider)
        }
        Class::Transient => Step::Park(circumstances.backed_off(tally.tries.counted)),
    }
}

impl Circumstances {
    /// Full jitter: anything up to a limit that doubles with each failure. A `Retry-After` holds at any length.
    fn backed_off(&self, failures: u32) -> Duration {
        let limit = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT);
        self.asked_at_least(limit.mul_f64(self.jitter))
    }

    fn asked_at_least(&self, wait: Duration) -> Duration {
        wait.max(self.retry_after.unwrap_or_default())
    }

    fn short(&self) -> Duration {
        let (least, most) = SHORT_WAIT;
        least + (most - least).mul_f64(self.jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn circumstances() -> Circumstances {
        Circumstances {
            age: Duration::ZERO,
            give_up_after: 15 * MINUTE,
            pool_succeeds: false,
            streak: 0,
            retry_after: None,
            jitter: 0.5,
        }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The steps after each of `classes` in turn, in one claim of a job with `tries` behind it, and its tries then.
    fn check(tries: u32, circumstances: Circumstances, classes: &[Class], steps: &[Step], left_with: u32) {
        let tries = Tries { counted: tries, ..Tries::default() };
        check_after(tries, circumstances, classes, steps, left_with);
    }

    /// The same after these tries of earlier claims.
    fn check_after(
        tries: Tries,
        circumstances: Circumstances,
        classes: &[Class],
        steps: &[Step],
        left_with: u32,
    ) {
        let mut tally = Tally::resumed(tries);
        let taken: Vec<_> = classes.iter().map(|class| decide(*class, &mut tally, &circumstances)).collect();
        assert_eq!(taken, steps, "{classes:?}");
        assert_eq!(tally.tries.counted, left_with, "{classes:?}");
    }

    #[test]
    fn answers_are_scored_and_refusals_end_the_job() {
        check(0, circumstances(), &[Class::Answered], &[Step::Score], 0);
        check(7, circumstances(), &[Class::Refused], &[Step::Fail(ErrorKind::Refused)], 7);
    }

    #[test]
    fn nothing_sent_is_tried_twice_in_place_then_waits_in_the_store() {
        let again = Step::Again(millis(275));
        check(3, circumstances(), &[Class::Unsent; 3], &[again, again, Step::Park(millis(500))], 3);
        let many = Circumstances { streak: 4, ..circumstances() };
        check(0, many, &[Class::Unsent; 3], &[again, again, Step::Park(millis(4_000))], 0);
    }

    #[test]
    fn at_most_three_calls_are_paid_for_nothing() {
        let again = Step::Again(millis(275));
        let end = Step::Fail(ErrorKind::Provider);
        check(0, circumstances(), &[Class::Ambiguous; 3], &[again, again, end], 3);
        check(7, circumstances(), &[Class::Ambiguous], &[end], 8);
    }

    #[test]
    fn malformed_is_tried_once_more() {
        let steps = [Step::Again(millis(275)), Step::Fail(ErrorKind::Malformed)];
        check(0, circumstances(), &[Class::Malformed; 2], &steps, 2);
    }

    #[test]
    fn what_earlier_claims_paid_for_counts() {
        let after = |ambiguous, malformed| Tries { counted: ambiguous + malformed, ambiguous, malformed };
        let again = Step::Again(millis(275));
        let (provider, malformed) = (Step::Fail(ErrorKind::Provider), Step::Fail(ErrorKind::Malformed));
        check_after(after(1, 0), circumstances(), &[Class::Ambiguous; 2], &[again, provider], 3);
        check_after(after(2, 0), circumstances(), &[Class::Ambiguous], &[provider], 3);
        check_after(after(0, 1), circumstances(), &[Class::Malformed], &[malformed], 2);
        check_after(after(2, 1), circumstances(), &[Class::Answered], &[Step::Score], 3);
        // One kind says nothing of the other.
        check_after(after(2, 0), circumstances(), &[Class::Malformed], &[again], 3);
    }

    #[test]
    fn a_failing_provider_is_waited_for_with_doubling_full_jitter() {
        let park = |tries: u32, wait: u64| {
            check(tries, circumstances(), &[Class::Transient], &[Step::Park(millis(wait))], tries + 1);
        };
        park(0, 500);
        park(1, 1_000);
        park(5, 16_000);
        park(6, 30_000);
        park(40, 30_000);
        let none = Circumstances { jitter: 0.0, ..circumstances() };
        check(9, none, &[Class::Transient], &[Step::Park(Duration::ZERO)], 10);
        let asked = Circumstances { retry_after: Some(60 * MINUTE), ..circumstances() };
        check(0, asked, &[Class::Transient], &[Step::Park(60 * MINUTE)], 1);
    }

    #[test]
    fn a_job_fails_alone_after_eight_tries_and_with_all_others_after_its_time() {
        let others_succeed = Circumstances { pool_succeeds: true, ..circumstances() };
        check(6, others_succeed, &[Class::Transient], &[Step::Park(millis(30_000))], 7);
        check(7, others_succeed, &[Class::Transient], &[Step::Fail(ErrorKind::Provider)], 8);
        let old = Circumstances { age: 15 * MINUTE, ..circumstances() };
        check(8, old, &[Class::Transient], &[Step::Fail(ErrorKind::GaveUp)], 9);
        check(0, old, &[Class::Transient], &[Step::Park(millis(500))], 1);
    }

    #[test]
    fn limits_and_account_problems_burn_no_job() {
        let old = Circumstances { age: 100 * MINUTE, pool_succeeds: true, ..circumstances() };
        let now = Step::Again(Duration::ZERO);
        check(20, old, &[Class::RateLimited; 3], &[now, now, Step::Park(FIRST_WAIT)], 20);
        let again = Step::Again(millis(275));
        check(20, old, &[Class::Account("quota"); 3], &[again, again, Step::Park(millis(7_500))], 20);
        let asked = Circumstances { retry_after: Some(60 * MINUTE), ..old };
        check(20, asked, &[Class::Account("quota")], &[Step::Park(60 * MINUTE)], 20);
    }
}
