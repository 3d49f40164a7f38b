//! What is known of one limit beside what files say: what an operator set, what the provider said, how it took it. Pure.
//!
//! ```text
//!                    429                      after the pause
//! at the limit ──────────► 0.9 × what was used ────────────► + 1 % of the limit every 5 s ──► at the limit
//! ```

use assay_common::clock::Micros;
use assay_common::limit::Window;
use serde::{Deserialize, Serialize};

use super::ask::Firm;
use super::headroom::{MILLION, Profile};
use super::pace::Pace;
use super::spent::{REMEMBERED_US, Spent};

/// One cut follows another after this at the soonest, however often the provider refuses; and a cut rate grows by a step as
/// often. Microseconds.
const CUT_EVERY_US: i64 = 5_000_000;
/// The least that a cut leaves: one a minute, in millionths a second.
const LEAST: u64 = MILLION / 60;
/// The same where nobody knows the limit: one a second.
const LEAST_OF_UNKNOWN: u64 = MILLION;
/// What a provider said of its limit holds at least so long against a higher one: models of one account may differ.
const SAID_HOLDS_US: i64 = 60_000_000;
/// What nobody here has used of a limit, and is gone, counts as somebody else's from this part of the limit on: reports lag.
const TOLERATED: u64 = 25;
/// Somebody else who uses less than this part of a limit is not reckoned with: that is what reports lag by, too.
const NOTICED: u64 = 50;
/// A bucket that is less full than this part is low.
const LOW: u64 = 10;
/// The part of a new estimate of somebody else's use that counts at once: so many such estimates make it.
const ESTIMATES: u64 = 4;
/// Estimates are this far apart, in microseconds.
const ESTIMATE_EVERY_US: i64 = 1_000_000;

/// What is known of one limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What an operator set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Set>,
    /// What the provider said that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Learned>,
    /// The rate since the provider refused one, until it has grown to what the limit allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// Somebody else's use of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stranger: Option<Stranger>,
    /// What was used of it lately.
    #[serde(default)]
    pub spent: Spent,
    /// How fast that was.
    #[serde(default)]
    pub pace: Pace,
}

/// What an operator set a limit to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// A minute, or at once.
    pub to: u64,
    /// When.
    pub at: Micros,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
}

/// What a provider said that its limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// A minute.
    pub limit: u64,
    /// When it said so last.
    pub at: Micros,
}

impl Learned {
    /// Whether the provider has said so lately.
    fn holds(self, now: Micros) -> bool {
        (0..SAID_HOLDS_US).contains(&(now.0 - self.at.0))
    }
}

/// A rate that a provider has refused more than.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Millionths a second.
    pub rate: u64,
    /// When it was cut or has grown last.
    pub at: Micros,
    /// When it was cut last.
    pub cut_at: Micros,
}

/// What somebody else uses of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    /// Millionths a second.
    pub rate: u64,
    /// When that was estimated.
    pub at: Micros,
}

/// What a provider said of a limit with a reply: numbers of a minute, over whatever window it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What it is, a minute.
    pub limit: Option<u64>,
    /// What is left of it.
    pub remaining: Option<u64>,
    /// In how long it is whole again, in microseconds.
    pub reset_us: Option<u64>,
}

impl Known {
    /// The limit that counts, a minute or at once: what an operator set, else what files say, and never more than the provider
    /// says.
    pub fn limit(&self, configured: Option<u64>) -> Option<u64> {
        let firm = self.firm(configured).map(|firm| firm.limit);
        [firm, self.learned.map(|learned| learned.limit)].into_iter().flatten().min()
    }

    /// The one that somebody here has written down: an operator, else files.
    pub fn firm(&self, configured: Option<u64>) -> Option<Firm> {
        let set = self.set.as_ref().map(|set| Firm { limit: set.to, is_set: true });
        set.or(configured.map(|limit| Firm { limit, is_set: false }))
    }

    /// Forgets all but what was used; whether there was anything.
    pub(crate) fn forget(&mut self) -> bool {
        let (spent, pace) = (std::mem::take(&mut self.spent), self.pace);
        let before = std::mem::replace(self, Self { spent, pace, ..Self::default() });
        before.limits() || before.stranger.is_some()
    }

    /// So much was used up to `now`; before `open_since` nobody could.
    pub(crate) fn used(&mut self, used: u64, open_since: Option<Micros>, now: Micros) {
        self.spent.add(used, now.0);
        self.pace.add(used, open_since, now);
    }

    /// The part of a window's limit that is gone, in millionths, by what was used here and by what the provider says; 0 where no
    /// limit is known.
    pub(crate) fn share(
        &self,
        configured: Option<u64>,
        profile: Profile,
        said: Option<Said>,
        now: Micros,
    ) -> u128 {
        let part = |gone: u64, whole: u128| u128::from(gone) * u128::from(MILLION).pow(2) / whole.max(1);
        let limit = self.limit(configured).map(|limit| profile.allowed(limit));
        let used = limit.map(|limit| part(self.spent.over(profile.length_us, now.0), limit));
        let said = said.and_then(|said| said.limit.zip(said.remaining)).map(|(limit, remaining)| {
            part(limit.saturating_sub(remaining), u128::from(limit) * u128::from(MILLION))
        });
        used.max(said).unwrap_or(0)
    }

    /// Whether anything is known that limits.
    pub(crate) fn limits(&self) -> bool {
        self.set.is_some() || self.learned.is_some() || self.cut.is_some()
    }

    /// The rate, in millionths a second, of senders with such `bursts` in all; `None`: nothing limits it.
    pub(crate) fn rate(&self, configured: Option<u64>, profile: Profile, bursts: u64) -> Option<u64> {
        let limited = self.limit(configured).map(|limit| {
            let rate = profile.rate(limit, bursts);
            rate.saturating_sub(self.strangers(configured).unwrap_or(0)).max(rate / 20)
        });
        [limited, self.cut.map(|cut| cut.rate)].into_iter().flatten().min()
    }

    /// What somebody else uses, in millionths a second, where it is enough to be reckoned with.
    pub(crate) fn strangers(&self, configured: Option<u64>) -> Option<u64> {
        let noticed = self.limit(configured)?.saturating_mul(MILLION) / 60 / NOTICED;
        self.stranger.map(|stranger| stranger.rate).filter(|rate| *rate >= noticed)
    }

    /// The provider has refused a call for this limit, and nobody calls until `resumes`.
    pub(crate) fn refused(
        &mut self,
        configured: Option<u64>,
        profile: Profile,
        now: Micros,
        resumes: Micros,
    ) {
        if let Some(cut) = &mut self.cut {
            cut.at = cut.at.max(resumes);
        }
        if self.cut.is_some_and(|cut| (0..CUT_EVERY_US).contains(&(now.0 - cut.cut_at.0))) {
            return;
        }
        let measured = self.pace.rate();
        let used = self.rate(configured, profile, 1).map_or(measured, |allowed| measured.min(allowed));
        // Where little was used the refusal says little of how much may be. A tenth of what is left of the limit would be less with
        // each refusal.
        let tenth = |limit| (profile.rate(limit, 1) / 10).max(LEAST);
        let of_unknown = || self.cut.map_or(0, |cut| cut.rate / 10).max(LEAST_OF_UNKNOWN);
        let least = self.limit(configured).map_or_else(of_unknown, tenth);
        let rate = (used - used / 10).max(least);
        self.cut = Some(Cut { rate, at: resumes, cut_at: now });
    }

    /// Calls begin again at `now`, sooner than was said: a cut rate grows from then on.
    pub(crate) fn resume(&mut self, now: Micros) {
        if let Some(cut) = &mut self.cut {
            cut.at = cut.at.min(now);
        }
    }

    /// Lets a cut rate grow by what has passed: by steps up to the limit, and twofold where nobody knows it.
    pub(crate) fn grow(&mut self, configured: Option<u64>, profile: Profile, now: Micros) {
        let full = self.limit(configured).map(|limit| profile.rate(limit, 1));
        let Some(cut) = &mut self.cut else { return };
        // The clock was set back: what lies ahead is a pause at most.
        let steps = (now.0 - cut.at.0).div_euclid(CUT_EVERY_US);
        if steps > 0 {
            let times = steps.unsigned_abs();
            cut.rate = match full {
                Some(full) => cut.rate.saturating_add((full / 100 + 1).saturating_mul(times)),
                None => cut.rate.saturating_mul(1 << times.min(30)),
            };
            cut.at = Micros(cut.at.0 + steps * CUT_EVERY_US);
        }
        if full.is_some_and(|full| cut.rate >= full) {
            self.cut = None;
        }
    }

    /// Learns from what the provider said; `bursts`: what may be under way.
    pub(crate) fn heard(&mut self, said: Said, profile: Profile, bursts: u64, now: Micros) {
        if let Some(limit) = said.limit.filter(|limit| *limit > 0)
            && self.learned.is_none_or(|learned| limit <= learned.limit || !learned.holds(now))
        {
            self.learned = Some(Learned { limit, at: now });
        }
        let due = |stranger: Stranger| !(0..ESTIMATE_EVERY_US).contains(&(now.0 - stranger.at.0));
        if let (Some(limit), Some(remaining)) = (said.limit, said.remaining)
            && self.stranger.is_none_or(due)
        {
            let [limit, remaining] = [limit, remaining].map(|number| profile.of_window(number));
            let seen = self.estimate(limit, remaining, said.reset_us, profile, bursts, now);
            let before = self.stranger.map_or(0, |stranger| stranger.rate);
            let rate = (before * (ESTIMATES - 1) + seen) / ESTIMATES;
            self.stranger = (rate > 0).then_some(Stranger { rate, at: now });
        }
    }

    /// Somebody waits with a request that needs so much: a window of what the provider said that has no room for it is forgotten
    /// once the provider has not said it again for a while. No call would be made that could correct it.
    pub(crate) fn outgrown(&mut self, needs: u64, profile: Profile, now: Micros) {
        let has_room = |learned: &Learned| needs <= profile.of_window(learned.limit);
        self.learned = self.learned.filter(|learned| has_room(learned) || learned.holds(now));
    }

    /// What somebody else may use, in millionths a second: what is gone of a window's limit and was not used here.
    fn estimate(
        &self,
        limit: u64,
        remaining: u64,
        reset_us: Option<u64>,
        profile: Profile,
        bursts: u64,
        now: Micros,
    ) -> u64 {
        let gone = limit.saturating_sub(remaining);
        let counted_us = match profile.window {
            Window::Sliding => profile.length_us,
            // Since it began.
            Window::Fixed => profile.length_us.saturating_sub(reset_us.unwrap_or(0)),
            Window::Bucket => {
                // What is asked evenly leaves a bucket nearly full: what empties it is somebody else.
                let low = limit / LOW;
                let full =
                    u128::from(limit) * u128::from(MILLION).pow(2) / u128::from(profile.length_us.max(1));
                let missing = u128::from(low.saturating_sub(remaining));
                return u64::try_from(full * missing / u128::from(low.max(1))).unwrap_or(u64::MAX);
            }
        };
        if counted_us > REMEMBERED_US {
            return 0;
        }
        let ours = self.spent.over(counted_us, now.0);
        let theirs = gone.saturating_sub(ours).saturating_sub(limit / TOLERATED + bursts);
        let rate = u128::from(theirs) * u128::from(MILLION).pow(2) / u128::from(counted_us.max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Micros {
        Micros(1_000_000_000 + second * 1_000_000)
    }

    fn rate_of(known: &Known) -> f64 {
        known.rate(Some(600), Profile::default(), 1).unwrap() as f64 / 1e6
    }

    #[test]
    fn many_refusals_are_one_cut_and_the_rate_grows_back() {
        let (mut known, profile) = (Known::default(), Profile::default());
        (0..100).rev().for_each(|tenth| known.used(1, None, Micros(at(0).0 - tenth * 100_000)));
        let full = rate_of(&known);
        for _ in 0..50 {
            known.refused(Some(600), profile, at(0), at(2));
        }
        let cut = rate_of(&known);
        assert!((0.85 * full..0.95 * full).contains(&cut), "{cut} of {full}");
        known.grow(Some(600), profile, at(6));
        assert_eq!(rate_of(&known), cut, "it grows from when calls are made again");
        known.grow(Some(600), profile, at(7));
        let step = rate_of(&known) - cut;
        assert!((0.009 * full..0.011 * full).contains(&step), "{step}");
        known.refused(Some(600), profile, at(8), at(9));
        assert!(rate_of(&known) < cut, "another cut after five seconds");
        known.grow(Some(600), profile, at(900));
        assert_eq!((rate_of(&known), known.cut), (full, None));
    }

    #[test]
    fn a_refusal_soon_after_a_pause_says_no_more_than_one_in_the_midst_of_calls() {
        let check = |pause: i64, open: i64, expected: std::ops::Range<f64>| {
            let (mut known, profile) = (Known::default(), Profile::default());
            let full = rate_of(&known);
            let use_up = |known: &mut Known, from, to, tenths, open_since| {
                for tenth in (from * 10..to * 10).step_by(tenths) {
                    known.used(1, open_since, Micros(at(0).0 + tenth * 100_000));
                }
            };
            use_up(&mut known, 0, 60, 1, None);
            let resumes = 60 + pause;
            known.refused(Some(600), profile, at(60), at(resumes));
            // It begins again with a tenth.
            use_up(&mut known, resumes, resumes + open, 10, Some(at(resumes)));
            known.refused(Some(600), profile, at(resumes + open), at(resumes + open + 1));
            let left = rate_of(&known) / full;
            assert!(expected.contains(&left), "{pause} s, {open} s: {left}");
        };
        check(30, 1, 0.75..0.82);
        check(30, 3, 0.70..0.80);
        check(5, 3, 0.70..0.80);
        check(30, 60, 0.05..0.15);
    }

    #[test]
    fn many_cuts_leave_a_tenth_of_the_limit() {
        let (mut known, profile) = (Known::default(), Profile::default());
        let full = rate_of(&known);
        for second in (0..60).step_by(6) {
            known.refused(Some(600), profile, at(second), at(second + 1));
        }
        let left = rate_of(&known) / full;
        assert!((0.0999..0.1001).contains(&left), "{left}");
        // The provider's own word of the limit counts as much.
        known.learned = Some(Learned { limit: 300, at: at(60) });
        known.refused(Some(600), profile, at(66), at(67));
        assert!((0.0499..0.0501).contains(&(rate_of(&known) / full)));
    }

    #[test]
    fn an_unknown_limit_is_learned_from_a_refusal() {
        let (mut known, profile) = (Known::default(), Profile::default());
        assert_eq!(known.rate(None, profile, 10), None);
        (0..10).for_each(|second| known.used(20, None, at(second)));
        known.refused(None, profile, at(10), at(11));
        let rate = known.rate(None, profile, 10).unwrap();
        assert!((15 * MILLION..20 * MILLION).contains(&rate), "{rate}");
        known.grow(None, profile, at(16));
        assert_eq!(known.rate(None, profile, 10).unwrap(), 2 * rate);
        // Refused again and again while next to nothing was asked: that says nothing.
        for second in [100, 106, 112] {
            known.used(0, None, at(second));
            known.refused(None, profile, at(second), at(second + 1));
        }
        assert_eq!(known.rate(None, profile, 10), Some(MILLION));
        known.grow(None, profile, at(143));
        assert_eq!(known.rate(None, profile, 10), Some(64 * MILLION));
    }

    #[test]
    fn the_provider_lowers_a_limit_at_once_and_raises_it_slowly() {
        let (mut known, profile) = (Known::default(), Profile::default());
        let mut hear = |limit, second| {
            let said = Said { limit: Some(limit), ..Said::default() };
            known.heard(said, profile, 1, at(second));
            known.limit(Some(700))
        };
        assert_eq!(hear(1_000, 0), Some(700), "what the file says is the most");
        assert_eq!([hear(500, 1), hear(800, 2), hear(0, 3)], [Some(500); 3]);
        assert_eq!(hear(600, 62), Some(600));
        known.set = Some(Set { to: 900, at: at(0), by: "ann".into(), why: "a better contract".into() });
        assert_eq!(
            known.limit(Some(700)),
            Some(600),
            "nobody here can raise it above what the provider says"
        );
    }

    #[test]
    fn a_word_that_a_request_has_outgrown_is_forgotten_when_it_is_not_said_again() {
        let check = |needs, second, expected: Option<u64>| {
            let (mut known, profile) = (Known::default(), Profile::default());
            known.heard(Said { limit: Some(5), ..Said::default() }, profile, 1, at(0));
            known.outgrown(needs, profile, at(second));
            assert_eq!(known.limit(None), expected, "{needs} after {second} s");
            assert_eq!(known.limit(Some(100)), expected.or(Some(100)), "what files say stays");
        };
        check(5, 600, Some(5));
        check(6, 59, Some(5));
        check(6, 60, None);
    }

    #[test]
    fn what_is_gone_and_was_not_used_here_is_somebody_elses() {
        let check = |ours: u64, remaining: u64, window: Window, expected: std::ops::RangeInclusive<f64>| {
            let mut known = Known::default();
            let profile = Profile { window, ..Profile::default() };
            for second in 0..120 {
                known.spent.add(ours, at(second).0);
                let said = Said { limit: Some(600), remaining: Some(remaining), reset_us: Some(0) };
                known.heard(said, profile, 10, at(second));
            }
            let strangers = known.stranger.map_or(0.0, |stranger| stranger.rate as f64 / 1e6);
            assert!(expected.contains(&strangers), "{ours} {remaining} {window:?}: {strangers}");
        };
        check(9, 40, Window::Sliding, 0.0..=0.0);
        check(5, 0, Window::Sliding, 3.0..=5.0);
        check(5, 0, Window::Fixed, 3.0..=5.0);
        check(9, 500, Window::Bucket, 0.0..=0.0);
        check(9, 30, Window::Bucket, 4.0..=5.5);
    }

    #[test]
    fn what_the_provider_says_are_numbers_of_a_minute_whatever_its_window() {
        let check = |seconds: u64, window, ours: u64, remaining, expected: std::ops::RangeInclusive<f64>| {
            let mut known = Known::default();
            let profile = Profile { window, length_us: seconds * MILLION };
            for second in 0..120 {
                known.spent.add(ours, at(second).0);
                let said = Said { limit: Some(1_200), remaining: Some(remaining), reset_us: Some(0) };
                known.heard(said, profile, 10, at(second));
            }
            assert_eq!(known.limit(Some(1_200)), Some(1_200));
            let strangers = known.stranger.map_or(0.0, |stranger| stranger.rate as f64 / 1e6);
            assert!(expected.contains(&strangers), "{seconds} s {window:?} {ours} {remaining}: {strangers}");
        };
        // Of 200 in ten seconds 180 are gone, all of them used here: it says so as 120 of 1,200.
        check(10, Window::Sliding, 18, 120, 0.0..=0.0);
        check(10, Window::Fixed, 18, 120, 0.0..=0.0);
        check(10, Window::Sliding, 5, 0, 12.0..=15.0);
        check(10, Window::Bucket, 5, 60, 9.0..=11.0);
        check(180, Window::Sliding, 0, 600, 8.0..=10.0);
        // Nobody here remembers what he used five minutes ago.
        check(300, Window::Sliding, 0, 600, 0.0..=0.0);
    }

    #[test]
    fn little_that_is_gone_is_nobodys() {
        let check = |rate, expected| {
            let known = Known { stranger: Some(Stranger { rate, at: at(0) }), ..Known::default() };
            assert_eq!(known.strangers(Some(600)), expected, "{rate}");
            assert_eq!(rate_of(&known) < rate_of(&Known::default()), expected.is_some(), "{rate}");
        };
        check(12_600, None);
        check(MILLION / 5, Some(MILLION / 5));
    }
}
