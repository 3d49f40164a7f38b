//! The breaker of a pool: troubles that hold for every job of it close it, one call at a time finds out whether they are over.
//! Pure: moments come in, decisions go out.
//!
//! ```text
//!         3 × account problem, 5 × unreachable, 10 × failing, with no success between
//! closed ─────────────────────────────────────────────────────────────────────────────► open (for 5 s)
//!   ▲             a call that the provider takes                                          │      ▲
//!   └──────────────────────────────────────────── half open ◄──── one call, the probe ────┘      │
//!                                                    └─────────────── not taken ─────────────────┘
//! ```

use std::time::Duration;

use assay_common::clock::Micros;
use tokio::time::Instant;

use crate::provider::observation::Class;

/// A pool in trouble is probed after this, or after what the provider asked for.
pub(crate) const PROBE_PAUSE: Duration = Duration::from_secs(5);
/// Calls refused for the account's sake, with no success between, that mean the account is in trouble: one alone may be about
/// what was asked.
pub(crate) const DENIED_AFTER: u32 = 3;
/// Failures to connect, with no success between, that mean nobody is there.
const UNREACHABLE_AFTER: u32 = 5;
/// Failed calls, with no success between, that mean the endpoint is failing.
pub(crate) const FAILING_AFTER: u32 = 10;

/// What is known of a pool's troubles.
#[derive(Debug)]
pub(crate) struct Breaker {
    trouble: Option<Trouble>,
    /// In trouble, no call begins before this.
    probe_at: Instant,
    /// When the trouble was last seen; an answer to a call sent before it is no news.
    seen: Instant,
    /// When somebody last had the pool tried at once.
    lifted: Instant,
    /// A probe is under way.
    probing: bool,
    /// Calls refused for the account's sake, with no success between.
    denied: u32,
    /// Failures to connect with no success between.
    unsent: u32,
    /// Failed calls with no success between.
    failed: u32,
}

/// What is wrong with a pool, or its account, as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// `unauthorized`, `quota`, `unreachable`, `failing` …
    pub(crate) kind: &'static str,
    /// What the provider, or the connection, said.
    pub(crate) detail: String,
    /// Since when.
    pub(crate) since: Micros,
}

/// Whether a call may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Open,
    /// It may, as the one call that finds out whether the trouble is over.
    Probe,
    /// Not for so long: a rate pause, which ends by itself.
    Paused(Duration),
    /// Not for so long, and perhaps longer: the pool is in trouble.
    Troubled(Duration),
}

/// What a call's end says about its pool and its account.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) class: Class,
    /// When the call was sent.
    pub(crate) sent: Instant,
    /// What the provider asked for, if it did.
    pub(crate) retry_after: Option<Duration>,
    /// What it said, with every key struck out.
    pub(crate) detail: &'a str,
}

impl Breaker {
    /// Closed.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            trouble: None,
            probe_at: now,
            seen: now,
            lifted: now,
            probing: false,
            denied: 0,
            unsent: 0,
            failed: 0,
        }
    }

    /// Whether a call could begin now. Changes nothing.
    pub(crate) fn admission(&self, now: Instant) -> Admission {
        match &self.trouble {
            None => Admission::Open,
            Some(_) if self.probe_at > now => Admission::Troubled(self.probe_at - now),
            Some(_) if self.probing => Admission::Troubled(PROBE_PAUSE),
            Some(_) => Admission::Probe,
        }
    }

    /// Lets a call begin, if one may. A [`Admission::Probe`] must be followed by [`Breaker::probed`].
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        let admission = self.admission(now);
        if admission == Admission::Probe {
            self.probing = true;
        }
        admission
    }

    /// Learns that somebody had it tried at once at `at`: the next probe waits for nothing. Told again, it is no news.
    pub(crate) fn lift(&mut self, at: Instant) {
        if at > self.lifted {
            self.lifted = at;
            self.probe_at = self.probe_at.min(at);
        }
    }

    /// The probe has ended, or was not made after all.
    pub(crate) fn probed(&mut self) {
        self.probing = false;
    }

    /// Learns from a call's end.
    pub(crate) fn observe(&mut self, evidence: &Evidence<'_>, now: Instant, wall: Micros) {
        let (count, most, kind) = match evidence.class {
            Class::Answered | Class::Malformed | Class::Refused | Class::RateLimited => {
                return self.taken(evidence.sent);
            }
            Class::Account(kind) => (&mut self.denied, DENIED_AFTER, kind),
            Class::Unsent => (&mut self.unsent, UNREACHABLE_AFTER, "unreachable"),
            Class::Transient | Class::Ambiguous => (&mut self.failed, FAILING_AFTER, "failing"),
        };
        *count = count.saturating_add(1);
        let is_lasting = *count >= most;
        // What was in flight when the trouble was noticed ends in it too: no reason to wait longer.
        let is_news = self.trouble.is_none() || evidence.sent >= self.seen;
        if is_news && (is_lasting || self.trouble.is_some()) {
            self.seen = now;
            self.probe_at = now + PROBE_PAUSE.max(evidence.retry_after.unwrap_or_default());
        }
        if is_news && is_lasting && self.trouble.as_ref().is_none_or(|trouble| trouble.kind != kind) {
            self.trouble = Some(Trouble { kind, detail: evidence.detail.to_owned(), since: wall });
        }
    }

    /// What keeps the pool from taking calls, if anything does.
    pub(crate) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Failures in a row, of the kind that has more of them.
    pub(crate) fn streak(&self) -> u32 {
        self.unsent.max(self.failed)
    }

    /// The provider took a call: what is wrong with it, if anything, is not the pool's.
    fn taken(&mut self, sent: Instant) {
        (self.denied, self.unsent, self.failed) = (0, 0, 0);
        if sent >= self.seen {
            self.trouble = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Admission = Admission::Open;
    const PROBE: Admission = Admission::Probe;
    const DENIED: Class = Class::Account("unauthorized");

    /// A step of a story told in seconds.
    enum Step {
        /// At this second, so many calls sent at that second end so.
        Ends(u64, u64, u32, Class),
        /// The same for one call, with this `Retry-After`.
        Asks(u64, u64, Class, u64),
        /// At this second, somebody wants to call and is told so.
        Wants(u64, Admission),
        /// Somebody has it tried at this second.
        Lift(u64),
        /// The probe has ended.
        Probed,
        /// The trouble is of this kind now.
        Trouble(Option<&'static str>),
    }
    use Step::{Asks, Ends, Lift, Probed, Trouble, Wants};

    fn check(story: &[Step]) {
        let zero = Instant::now();
        let at = |second: u64| zero + Duration::from_secs(second);
        let mut breaker = Breaker::new(zero);
        let observe = |breaker: &mut Breaker, now: u64, sent: u64, class: Class, asked: Option<u64>| {
            let retry_after = asked.map(Duration::from_secs);
            breaker.observe(&Evidence { class, sent: at(sent), retry_after, detail: "" }, at(now), Micros(0));
        };
        for (index, step) in story.iter().enumerate() {
            match step {
                Ends(now, sent, count, class) => {
                    (0..*count).for_each(|_| observe(&mut breaker, *now, *sent, *class, None));
                }
                Asks(now, sent, class, asked) => observe(&mut breaker, *now, *sent, *class, Some(*asked)),
                Wants(now, expected) => assert_eq!(breaker.admit(at(*now)), *expected, "step {index}"),
                Lift(now) => breaker.lift(at(*now)),
                Probed => breaker.probed(),
                Trouble(kind) => {
                    assert_eq!(breaker.trouble().map(|trouble| trouble.kind), *kind, "step {index}");
                }
            }
        }
    }

    fn troubled(seconds: u64) -> Admission {
        Admission::Troubled(Duration::from_secs(seconds))
    }

    #[test]
    fn an_account_problem_is_one_at_the_third_time_and_is_probed_by_one_call_at_a_time() {
        check(&[
            Ends(0, 0, 2, DENIED),
            Trouble(None),
            Wants(0, OPEN),
            Ends(0, 0, 1, DENIED),
            Trouble(Some("unauthorized")),
            Wants(1, troubled(4)),
            Wants(5, PROBE),
            Wants(5, troubled(5)),
            Ends(6, 5, 1, DENIED),
            Probed,
            Wants(6, troubled(5)),
            Wants(11, PROBE),
            Ends(12, 11, 1, Class::Answered),
            Probed,
            Trouble(None),
            Wants(12, OPEN),
        ]);
        check(&[Ends(0, 0, 2, DENIED), Ends(1, 0, 1, Class::Answered), Ends(2, 1, 2, DENIED), Trouble(None)]);
    }

    #[test]
    fn what_was_in_flight_says_nothing_about_the_trouble() {
        check(&[
            Ends(2, 1, 3, Class::Account("quota")),
            Ends(3, 1, 1, Class::Answered),
            Trouble(Some("quota")),
            Ends(6, 1, 1, Class::Account("quota")),
            Wants(7, PROBE),
        ]);
    }

    #[test]
    fn a_probe_that_fails_in_another_way_is_no_reason_to_hurry() {
        check(&[
            Ends(0, 0, 3, DENIED),
            Wants(5, PROBE),
            Ends(6, 5, 1, Class::Transient),
            Probed,
            Trouble(Some("unauthorized")),
            Wants(6, troubled(5)),
        ]);
        check(&[Ends(0, 0, 2, DENIED), Asks(0, 0, DENIED, 90), Wants(1, troubled(89))]);
    }

    #[test]
    fn somebody_has_it_probed_at_once() {
        let denied = [Ends(0, 0, 2, DENIED), Asks(0, 0, DENIED, 3_600), Wants(9, troubled(3_591)), Lift(10)];
        let probed = [Wants(10, PROBE), Asks(11, 10, DENIED, 90), Probed, Lift(10), Wants(12, troubled(89))];
        check(&denied.into_iter().chain(probed).collect::<Vec<_>>());
    }

    #[test]
    fn an_endpoint_that_nobody_reaches_or_that_always_fails_is_in_trouble() {
        check(&[
            Ends(0, 0, 4, Class::Unsent),
            Trouble(None),
            Ends(0, 0, 1, Class::Unsent),
            Trouble(Some("unreachable")),
        ]);
        check(&[
            Ends(0, 0, 4, Class::Unsent),
            Ends(0, 0, 1, Class::Refused),
            Ends(0, 0, 4, Class::Unsent),
            Trouble(None),
        ]);
        check(&[
            Ends(0, 0, 9, Class::Transient),
            Trouble(None),
            Ends(0, 0, 1, Class::Ambiguous),
            Trouble(Some("failing")),
        ]);
        check(&[
            Ends(0, 0, 10, Class::Transient),
            Wants(5, PROBE),
            Ends(6, 5, 1, Class::Answered),
            Trouble(None),
            Wants(6, OPEN),
        ]);
    }
}
