//! How much of what a pool is asked may be asked again: a provider that fails is not helped by more calls. Pure: moments come
//! in.
//!
//! In any minute at most as many calls are tries after a failure as a tenth of those that are a job's first, or one a
//! second where that is more. What exceeds this waits in the store.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_store::AccountProblem;
use tokio::time::Instant;

use super::breaker::Trouble;

/// Seconds that are looked back at.
const SECONDS: usize = 60;
/// Of so many first calls in that time one may be tried again…
const FIRSTS_A_RETRY: u32 = 10;
/// …and so many in any case.
const AT_LEAST: u32 = 60;
/// The longest that a refused job waits before it asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Whether a job calls for the first time, or after a call of it that brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It has not failed.
    First,
    /// It has, and that was counted against it.
    Again,
}

/// What a pool was asked in the last minute.
#[derive(Debug)]
pub(crate) struct Retries {
    started: Instant,
    firsts: Minute,
    retries: Minute,
    /// When the last of those that were refused is to ask again: they come back at the pace at which they are let through.
    queue: Instant,
    /// When somebody was last refused, and since when this has been so.
    refused: Option<(Instant, Micros)>,
    /// Whether that was so when it was last asked.
    told: bool,
}

impl Retries {
    /// Nothing so far.
    pub(crate) fn new(now: Instant) -> Self {
        let (firsts, retries) = Default::default();
        Self { started: now, firsts, retries, queue: now, refused: None, told: false }
    }

    /// How long a job that tries again has to wait; `None`: it may call.
    pub(crate) fn refuse(&mut self, now: Instant, wall: Micros) -> Option<Duration> {
        let (second, most) = (self.second(now), self.most(now));
        if self.retries.sum(second) < most {
            return None;
        }
        let since =
            self.refused.filter(|(last, _)| self.is_recent(*last, now)).map_or(wall, |(_, since)| since);
        self.refused = Some((now, since));
        self.queue = self.queue.max(now) + Duration::from_secs(SECONDS as u64) / most;
        Some((self.queue - now).min(LONGEST_WAIT))
    }

    /// Counts a call that begins.
    pub(crate) fn count(&mut self, attempt: Attempt, now: Instant) {
        let second = self.second(now);
        match attempt {
            Attempt::First => self.firsts.add(second),
            Attempt::Again => self.retries.add(second),
        }
    }

    /// That jobs wait for this, if some were told to within the last minute.
    pub(crate) fn ailment(&self, now: Instant) -> Option<Trouble> {
        let (_, since) = self.refused.filter(|(last, _)| self.is_recent(*last, now))?;
        let detail = format!(
            "calls keep failing, and {} a minute are tried again at most: the others wait for their turn",
            self.most(now)
        );
        Some(Trouble { kind: AccountProblem::RETRIES, detail, since })
    }

    /// Whether that jobs wait has begun or ended since this was last asked.
    pub(crate) fn has_changed(&mut self, now: Instant) -> bool {
        let waits = self.refused.is_some_and(|(last, _)| self.is_recent(last, now));
        std::mem::replace(&mut self.told, waits) != waits
    }

    fn most(&self, now: Instant) -> u32 {
        (self.firsts.sum(self.second(now)) / FIRSTS_A_RETRY).max(AT_LEAST)
    }

    fn is_recent(&self, last: Instant, now: Instant) -> bool {
        now.saturating_duration_since(last) < Duration::from_secs(SECONDS as u64)
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }
}

/// Counts by second, those of the last minute.
#[derive(Debug)]
struct Minute {
    counts: [u32; SECONDS],
    latest: u64,
}

impl Default for Minute {
    fn default() -> Self {
        Self { counts: [0; SECONDS], latest: 0 }
    }
}

impl Minute {
    fn add(&mut self, second: u64) {
        // What lies between was empty.
        for passed in (self.latest + 1..=second).take(SECONDS) {
            self.counts[place(passed)] = 0;
        }
        self.latest = self.latest.max(second);
        let count = &mut self.counts[place(second)];
        *count = count.saturating_add(1);
    }

    fn sum(&self, second: u64) -> u32 {
        let oldest = (second + 1).saturating_sub(SECONDS as u64);
        let from = (self.latest + 1).saturating_sub(SECONDS as u64).max(oldest);
        (from..=self.latest).map(|second| self.counts[place(second)]).fold(0, u32::saturating_add)
    }
}

fn place(second: u64) -> usize {
    // Less than SECONDS.
    usize::try_from(second % SECONDS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of `wanted` retries are let through at this second.
    fn asked(retries: &mut Retries, zero: Instant, second: u64, wanted: u32) -> u32 {
        let now = zero + Duration::from_secs(second);
        let allowed = |_: &u32| {
            let allowed = retries.refuse(now, Micros(0)).is_none();
            if allowed {
                retries.count(Attempt::Again, now);
            }
            allowed
        };
        u32::try_from((0..wanted).filter(allowed).count()).unwrap()
    }

    fn first(retries: &mut Retries, zero: Instant, second: u64, calls: u32) {
        let now = zero + Duration::from_secs(second);
        (0..calls).for_each(|_| retries.count(Attempt::First, now));
    }

    #[test]
    fn one_a_second_or_a_tenth_of_the_last_minute() {
        let zero = Instant::now();
        let check = |story: &[(u64, u32, u32, u32)]| {
            let mut retries = Retries::new(zero);
            for (second, firsts, wanted, expected) in story {
                first(&mut retries, zero, *second, *firsts);
                assert_eq!(asked(&mut retries, zero, *second, *wanted), *expected, "at {second} s");
            }
        };
        check(&[(0, 0, 100, 60), (59, 0, 100, 0), (60, 0, 100, 60)]);
        check(&[
            (0, 1_000, 50, 50),
            (10, 0, 100, 50),
            (30, 2_000, 300, 200),
            (60, 0, 20, 0),
            (70, 0, 20, 0),
            (90, 0, 100, 60),
        ]);
        // What was asked an hour ago counts for nothing.
        check(&[(0, 10_000, 10, 10), (3_600, 0, 100, 60)]);
    }

    #[test]
    fn who_is_refused_comes_back_when_there_is_room_for_him() {
        let zero = Instant::now();
        let mut retries = Retries::new(zero);
        assert_eq!(asked(&mut retries, zero, 0, 60), 60);
        let mut wait = || retries.refuse(zero, Micros(7)).map(|wait| wait.as_secs());
        assert_eq!([wait(), wait(), wait()], [Some(1), Some(2), Some(3)]);
        for _ in 0..100 {
            wait();
        }
        assert_eq!(wait(), Some(60));
        assert!(retries.has_changed(zero) && !retries.has_changed(zero));
        let trouble = retries.ailment(zero).unwrap();
        assert_eq!((trouble.kind, trouble.since), ("retries", Micros(7)));
        assert!(trouble.detail.contains("60 a minute"), "{}", trouble.detail);
        let later = zero + Duration::from_secs(60);
        assert!(retries.has_changed(later) && retries.ailment(later).is_none());
    }

    proptest! {
        /// In no minute more is tried again than a tenth of what was asked first in it and the minute before, or sixty.
        #[test]
        fn never_more_than_allowed(story in prop::collection::vec((0_u64..20, 0_u32..400, 0_u32..80), 1..40)) {
            let zero = Instant::now();
            let mut retries = Retries::new(zero);
            let (mut second, mut firsts, mut again) = (0, Vec::new(), Vec::new());
            for (passed, calls, wanted) in story {
                second += passed;
                first(&mut retries, zero, second, calls);
                firsts.push((second, calls));
                again.push((second, asked(&mut retries, zero, second, wanted)));
                let since = |seconds: u64, of: &[(u64, u32)]| -> u32 {
                    of.iter().filter(|(at, _)| at + seconds > second).map(|(_, calls)| calls).sum()
                };
                prop_assert!(since(60, &again) <= (since(120, &firsts) / 10).max(60));
            }
        }
    }
}
