//! What the answers of an account's calls say about the account: rate pauses, and troubles that hold for every job.
//! Pure: moments come in, decisions go out.
//!
//! ```text
//!          429                       account problem, 5 × unreachable, 10 × failing
//! open ───────────► paused     open ──────────────────────────────────────► in trouble (closed for 5 s)
//!   ▲  Retry-After    │          ▲      a call that the provider takes        │      ▲
//!   └─────────────────┘          └─────────────── probing ◄── one call ───────┘      │
//!                                                    └───────── not taken ───────────┘
//! ```

use std::time::Duration;

use assay_common::clock::Micros;
use assay_store::AccountProblem;
use tokio::time::Instant;

use crate::provider::observation::Class;

/// The longest wait inside the process; whoever would wait longer waits in the store.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long an account in trouble is left alone before the next probe.
pub(crate) const PROBE_PAUSE: Duration = Duration::from_secs(5);
/// Failures to connect, with no success between, that mean the endpoint is unreachable.
const UNREACHABLE_AFTER: u32 = 5;
/// Failed calls, with no success between, that mean the endpoint is failing.
const FAILING_AFTER: u32 = 10;
/// Pauses without a `Retry-After` double from the first to the longest of these.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is known of an account's health.
#[derive(Debug)]
pub(crate) struct Health {
    /// No call begins before this: the provider said 429.
    paused_until: Instant,
    /// When the last pause began; a 429 to a call sent before it is no news.
    pause_began: Instant,
    /// Pauses with no success between.
    pauses: u32,
    trouble: Option<Trouble>,
    /// In trouble, no call begins before this.
    probe_at: Instant,
    /// When the trouble was last seen; an answer to a call sent before it is no news.
    trouble_seen: Instant,
    /// A probe is under way.
    probing: bool,
    /// What was last told of it, by its kind.
    ailing: Option<&'static str>,
    /// Failures to connect with no success between.
    unsent: u32,
    /// Failed calls with no success between.
    failed: u32,
}

/// What is wrong with an account as a whole.
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
    /// Not for so long, and perhaps longer: the account is in trouble.
    Troubled(Duration),
}

/// What a call's end says about its account.
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

impl Health {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            paused_until: now,
            pause_began: now,
            pauses: 0,
            trouble: None,
            probe_at: now,
            trouble_seen: now,
            probing: false,
            ailing: None,
            unsent: 0,
            failed: 0,
        }
    }

    /// Whether a call could begin now. Changes nothing.
    pub(crate) fn admission(&self, now: Instant) -> Admission {
        if self.paused_until > now {
            return Admission::Paused(self.paused_until - now);
        }
        match &self.trouble {
            None => Admission::Open,
            Some(_) if self.probe_at > now => Admission::Troubled(self.probe_at - now),
            Some(_) if self.probing => Admission::Troubled(PROBE_PAUSE),
            Some(_) => Admission::Probe,
        }
    }

    /// Lets a call begin, if one may. A [`Admission::Probe`] must be followed by [`Health::probed`].
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        let admission = self.admission(now);
        if admission == Admission::Probe {
            self.probing = true;
        }
        admission
    }

    /// The probe has ended, or was not made after all.
    pub(crate) fn probed(&mut self) {
        self.probing = false;
    }

    /// Learns from a call's end.
    pub(crate) fn observe(&mut self, evidence: &Evidence<'_>, now: Instant, wall: Micros) {
        match evidence.class {
            Class::Answered | Class::Malformed | Class::Refused => {
                self.taken(evidence.sent);
                if evidence.sent >= self.pause_began {
                    self.pauses = 0;
                }
            }
            Class::RateLimited => {
                self.taken(evidence.sent);
                self.pause(evidence, now);
            }
            Class::Account(kind) => self.worry(kind, evidence, now, wall),
            Class::Unsent => {
                self.unsent = self.unsent.saturating_add(1);
                if self.unsent >= UNREACHABLE_AFTER {
                    self.worry("unreachable", evidence, now, wall);
                }
            }
            Class::Transient | Class::Ambiguous => {
                self.failed = self.failed.saturating_add(1);
                if self.failed >= FAILING_AFTER {
                    self.worry("failing", evidence, now, wall);
                }
            }
        }
    }

    /// What keeps the account from taking calls for longer than a job waits inside the process, if anything does.
    pub(crate) fn ailment(&self, now: Instant, wall: Micros) -> Option<Trouble> {
        let pause = self.pause_left(now);
        let paused = || Trouble {
            kind: AccountProblem::RATE_LIMITED,
            detail: format!("it is over its rate limit and takes calls again in {} s", pause.as_secs()),
            since: wall,
        };
        self.trouble.clone().or_else(|| (pause > LONGEST_WAIT).then(paused))
    }

    /// Whether it suffers from something else than when this was last asked.
    pub(crate) fn has_changed(&mut self, now: Instant, wall: Micros) -> bool {
        let ailing = self.ailment(now, wall).map(|ailment| ailment.kind);
        std::mem::replace(&mut self.ailing, ailing) != ailing
    }

    /// Failures in a row, of the kind that has more of them.
    pub(crate) fn streak(&self) -> u32 {
        self.unsent.max(self.failed)
    }

    /// The provider took a call: what is wrong with it, if anything, is not the account's.
    fn taken(&mut self, sent: Instant) {
        self.unsent = 0;
        self.failed = 0;
        if sent >= self.trouble_seen {
            self.trouble = None;
        }
    }

    /// How long the account's limit still keeps it from taking calls.
    pub(crate) fn pause_left(&self, now: Instant) -> Duration {
        self.paused_until.saturating_duration_since(now)
    }

    fn pause(&mut self, evidence: &Evidence<'_>, now: Instant) {
        // The other calls of the burst that met the limit extend its pause, but are no further sign of it.
        if evidence.sent >= self.pause_began {
            self.pauses = self.pauses.saturating_add(1);
            self.pause_began = now;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.pauses.saturating_sub(1).min(16));
        let wait = evidence.retry_after.map_or(doubled.min(LONGEST_PAUSE), |asked| asked.max(FIRST_PAUSE));
        self.paused_until = self.paused_until.max(now + wait);
    }

    fn worry(&mut self, kind: &'static str, evidence: &Evidence<'_>, now: Instant, wall: Micros) {
        // What was in flight when the trouble was noticed ends in it too: no reason to wait longer.
        if self.trouble.is_some() && evidence.sent < self.trouble_seen {
            return;
        }
        self.trouble_seen = now;
        self.probe_at = now + PROBE_PAUSE.max(evidence.retry_after.unwrap_or_default());
        if self.trouble.as_ref().is_none_or(|trouble| trouble.kind != kind) {
            self.trouble = Some(Trouble { kind, detail: evidence.detail.to_owned(), since: wall });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Admission = Admission::Open;
    const PROBE: Admission = Admission::Probe;

    /// A step of a story told in seconds.
    enum Step {
        /// At this second, a call sent at that second ends so, with this `Retry-After`.
        Ends(u64, u64, Class, Option<u64>),
        /// At this second, so many further ends of calls sent then.
        Times(u64, u32, Class),
        /// At this second, somebody asks to call and is told so.
        Asks(u64, Admission),
        /// At this second, the probe has ended.
        Probed,
        /// The trouble is of this kind now.
        Trouble(Option<&'static str>),
    }
    use Step::{Asks, Ends, Probed, Times, Trouble};

    fn check(story: &[Step]) {
        let zero = Instant::now();
        let at = |second: u64| zero + Duration::from_secs(second);
        let mut health = Health::new(zero);
        for (index, step) in story.iter().enumerate() {
            match step {
                Ends(now, sent, class, retry_after) => health.observe(
                    &Evidence {
                        class: *class,
                        sent: at(*sent),
                        retry_after: retry_after.map(Duration::from_secs),
                        detail: "",
                    },
                    at(*now),
                    Micros(0),
                ),
                Times(now, count, class) => {
                    for _ in 0..*count {
                        let evidence =
                            Evidence { class: *class, sent: at(*now), retry_after: None, detail: "" };
                        health.observe(&evidence, at(*now), Micros(0));
                    }
                }
                Asks(now, expected) => assert_eq!(health.admit(at(*now)), *expected, "step {index}"),
                Probed => health.probed(),
                Trouble(kind) => {
                    assert_eq!(health.trouble.as_ref().map(|trouble| trouble.kind), *kind, "step {index}");
                }
            }
        }
    }

    fn paused(seconds: u64) -> Admission {
        Admission::Paused(Duration::from_secs(seconds))
    }

    fn troubled(seconds: u64) -> Admission {
        Admission::Troubled(Duration::from_secs(seconds))
    }

    #[test]
    fn a_429_pauses_the_account_for_as_long_as_it_asks() {
        check(&[
            Asks(0, OPEN),
            Ends(1, 0, Class::RateLimited, Some(30)),
            Asks(2, paused(29)),
            Asks(31, OPEN),
        ]);
        check(&[Ends(1, 0, Class::RateLimited, Some(0)), Asks(1, paused(1)), Trouble(None)]);
    }

    #[test]
    fn pauses_double_without_a_hint_and_start_again_after_a_success() {
        check(&[
            Ends(0, 0, Class::RateLimited, None),
            Asks(0, paused(1)),
            Ends(1, 1, Class::RateLimited, None),
            Asks(1, paused(2)),
            Ends(3, 3, Class::RateLimited, None),
            Asks(3, paused(4)),
            Ends(8, 7, Class::Answered, None),
            Ends(9, 9, Class::RateLimited, None),
            Asks(9, paused(1)),
        ]);
        let many: Vec<Step> = (0..40).map(|n| Ends(n * 100, n * 100, Class::RateLimited, None)).collect();
        check(&[many, vec![Asks(3_900, paused(60))]].into_iter().flatten().collect::<Vec<_>>());
    }

    #[test]
    fn one_burst_is_one_pause() {
        check(&[
            Ends(5, 4, Class::RateLimited, None),
            Ends(5, 4, Class::RateLimited, None),
            Asks(5, paused(1)),
        ]);
    }

    #[test]
    fn an_account_problem_is_probed_by_one_call_at_a_time() {
        check(&[
            Ends(0, 0, Class::Account("unauthorized"), None),
            Trouble(Some("unauthorized")),
            Asks(1, troubled(4)),
            Asks(5, PROBE),
            Asks(5, troubled(5)),
            Ends(6, 5, Class::Account("unauthorized"), None),
            Probed,
            Asks(6, troubled(5)),
            Asks(11, PROBE),
            Ends(12, 11, Class::Answered, None),
            Probed,
            Trouble(None),
            Asks(12, OPEN),
        ]);
    }

    #[test]
    fn what_was_in_flight_says_nothing_about_the_trouble() {
        check(&[
            Ends(2, 1, Class::Account("quota"), None),
            Ends(3, 1, Class::Answered, None),
            Trouble(Some("quota")),
            Ends(6, 1, Class::Account("quota"), None),
            Asks(7, PROBE),
        ]);
    }

    #[test]
    fn an_endpoint_that_nobody_reaches_or_that_always_fails_is_in_trouble() {
        check(&[
            Times(0, 4, Class::Unsent),
            Trouble(None),
            Times(0, 1, Class::Unsent),
            Trouble(Some("unreachable")),
        ]);
        check(&[
            Times(0, 4, Class::Unsent),
            Times(0, 1, Class::Refused),
            Times(0, 4, Class::Unsent),
            Trouble(None),
        ]);
        check(&[
            Times(0, 9, Class::Transient),
            Trouble(None),
            Times(0, 1, Class::Ambiguous),
            Trouble(Some("failing")),
        ]);
        check(&[Times(0, 10, Class::Transient), Times(6, 1, Class::Answered), Trouble(None), Asks(6, OPEN)]);
    }
}
