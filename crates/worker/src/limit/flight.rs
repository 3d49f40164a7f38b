//! How many calls in flight a pool bears: fewer after each failure, one more for each round of successes, up to what
//! assay.toml allows, and from a few up to that where nobody knows what is allowed. A pool that stood still comes to them one by one.
//! Pure: moments come in.

use std::time::Duration;

use tokio::time::Instant;

use crate::provider::observation::Class;

/// What a failure leaves of the limit.
const CUT: f64 = 0.7;
/// The limit grows only while this share of it is used: what is not tried says nothing.
const IN_USE: f64 = 0.8;
/// The calls in flight that a pool begins with where nobody knows what its account allows.
const FIRST: f64 = 4.0;
/// The first calls of a pool begin so far apart. Those that begin together are answered together, where answers take
/// equally long, and all that comes after an answer would be done for each behind the others, round after round.
const APART: Duration = Duration::from_micros(150);
/// A pool stood still when nothing was in flight for this long.
const STILL: Duration = Duration::from_millis(100);

/// The calls in flight of a pool, and their limit.
#[derive(Debug)]
pub(crate) struct Flight {
    /// The limit is never more than this.
    most: f64,
    limit: f64,
    /// Whether each success is a place more: nobody knows how many it bears, and none has failed yet.
    feels_its_way: bool,
    in_flight: u32,
    /// The most in flight since less than [`IN_USE`] were.
    peak: u32,
    /// When the limit was last cut; a call sent before it says nothing of the limit since.
    cut: Option<Instant>,
    /// When it began to come to its calls in flight.
    began: Option<Instant>,
    /// When a place was last given back.
    landed: Option<Instant>,
}

/// What becomes of who asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// He has one.
    Taken,
    /// None is free.
    Full,
    /// There is one for him from then on.
    From(Instant),
}

impl Flight {
    /// None, and all of `most` may be.
    pub(crate) fn new(most: u32) -> Self {
        let most = f64::from(most.max(1));
        let (cut, began, landed) = Default::default();
        Self { most, limit: most, feels_its_way: false, in_flight: 0, peak: 0, cut, began, landed }
    }

    /// None, and few may be at first; with each round of successes twice as many, up to `most`.
    pub(crate) fn of_unknown(most: u32) -> Self {
        let all = Self::new(most);
        Self { limit: all.most.min(FIRST), feels_its_way: true, ..all }
    }

    /// So many are allowed from now on. Who bore all that were bears all of these; else they are tried one by one.
    pub(crate) fn allow(&mut self, most: u32) {
        let most = f64::from(most.max(1));
        self.limit = if self.limit < self.most { self.limit.min(most) } else { most };
        self.most = most;
    }

    /// Takes a place, if one is free.
    pub(crate) fn take(&mut self, now: Instant) -> Take {
        if f64::from(self.in_flight) + 1.0 > self.limit {
            return Take::Full;
        }
        let stood_still = self.in_flight == 0 && self.landed.is_none_or(|landed| landed + STILL <= now);
        let began = match self.began.filter(|_| !stood_still) {
            Some(began) => began,
            None => *self.began.insert(now),
        };
        let free_at = began + APART * self.in_flight;
        if free_at > now {
            return Take::From(free_at);
        }
        self.in_flight += 1;
        self.peak = self.peak.max(self.in_flight);
        Take::Taken
    }

    /// Gives a place back.
    pub(crate) fn give_back(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.landed = Some(now);
    }

    /// Learns from the end of a call sent at `sent`, whose place is still taken.
    pub(crate) fn observe(&mut self, class: Class, sent: Instant, now: Instant) {
        if self.cut.is_some_and(|cut| sent < cut) {
            return;
        }
        self.feels_its_way &= !matches!(class, Class::Transient | Class::Ambiguous | Class::RateLimited);
        match class {
            Class::Transient | Class::Ambiguous => {
                self.limit = (self.limit * CUT).max(1.0);
                self.cut = Some(now);
                self.peak = 0;
            }
            Class::Answered if f64::from(self.peak) >= IN_USE * self.limit.floor() => {
                let more = if self.feels_its_way { 1.0 } else { 1.0 / self.limit };
                self.limit = (self.limit + more).min(self.most);
                self.peak = self.in_flight;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many places there are, in the end.
    fn places(flight: &Flight) -> u32 {
        let mut empty = Flight { in_flight: 0, ..*flight };
        let mut now = Instant::now() + Duration::from_secs(3_600);
        loop {
            match empty.take(now) {
                Take::Taken => {}
                Take::From(then) => now = then,
                Take::Full => return empty.in_flight,
            }
        }
    }

    /// So many calls of a pool at `used` places end so; returns how many places there are then.
    fn check(flight: &mut Flight, used: u32, class: Class, calls: u32, sent: Instant, now: Instant) -> u32 {
        flight.in_flight = used;
        flight.peak = flight.peak.max(used);
        (0..calls).for_each(|_| flight.observe(class, sent, now));
        places(flight)
    }

    #[test]
    fn a_burst_of_failures_is_one_cut_and_success_in_use_wins_it_back() {
        let zero = Instant::now();
        let at = |second| zero + Duration::from_secs(second);
        let mut flight = Flight::new(100);
        assert_eq!(places(&flight), 100);
        assert_eq!(check(&mut flight, 100, Class::Transient, 40, at(0), at(1)), 70);
        // Sent before the cut.
        assert_eq!(check(&mut flight, 70, Class::Answered, 500, at(0), at(2)), 70);
        assert_eq!(check(&mut flight, 70, Class::Ambiguous, 1, at(1), at(2)), 49);
        // A round of successes is one place more; beyond what is allowed there is none.
        assert_eq!(check(&mut flight, 49, Class::Answered, 50, at(2), at(3)), 50);
        for _ in 0..100 {
            check(&mut flight, 100, Class::Answered, 100, at(3), at(4));
        }
        assert_eq!(places(&flight), 100);
        assert_eq!(check(&mut flight, 100, Class::RateLimited, 50, at(4), at(5)), 100);
    }

    #[test]
    fn what_nobody_knows_is_felt_for_from_a_few_on() {
        let now = Instant::now();
        let mut flight = Flight::of_unknown(50);
        let rounds = [(); 6].map(|()| {
            let calls = places(&flight);
            for _ in 0..calls {
                // Whoever waits takes what becomes free.
                let used = places(&flight);
                check(&mut flight, used, Class::Answered, 1, now, now);
            }
            calls
        });
        assert_eq!(rounds, [4, 8, 16, 32, 50, 50]);
        assert_eq!(places(&Flight::of_unknown(2)), 2);
        // What is wrong with one request says nothing of how many are borne.
        let mut flight = Flight::of_unknown(50);
        check(&mut flight, 4, Class::Refused, 1, now, now);
        assert_eq!(check(&mut flight, 4, Class::Answered, 1, now, now), 5);
        // A refusal for the rate ends it, and a failure does: a round is one place more from then on.
        for class in [Class::RateLimited, Class::Transient] {
            let mut flight = Flight::of_unknown(50);
            check(&mut flight, 4, Class::Answered, 4, now, now);
            let left = check(&mut flight, 8, class, 1, now, now);
            let after = check(&mut flight, left, Class::Answered, left, now, now);
            assert!((left..=left + 1).contains(&after), "{class:?}: {left}, then {after}");
        }
    }

    #[test]
    fn what_is_not_used_does_not_grow() {
        let now = Instant::now();
        let mut flight = Flight::new(100);
        (0..2).for_each(|_| flight.observe(Class::Transient, now, now));
        assert_eq!(places(&flight), 49);
        assert_eq!(check(&mut flight, 30, Class::Answered, 1_000, now, now), 49);
        assert!(check(&mut flight, 40, Class::Answered, 200, now, now) > 49);
    }

    #[test]
    fn who_stood_still_comes_to_his_calls_one_by_one() {
        let zero = Instant::now();
        let mut flight = Flight::new(4);
        // In steps of APART: what is there for each who asks, and whether somebody gives back before.
        let mut check = |step: u32, gives_back: bool, expected: Take| {
            let now = zero + APART * step;
            if gives_back {
                flight.give_back(now);
            }
            assert_eq!(flight.take(now), expected, "at step {step}");
        };
        let from = |step: u32| Take::From(zero + APART * step);
        check(0, false, Take::Taken);
        check(0, false, from(1));
        check(1, false, Take::Taken);
        check(1, true, Take::Taken);
        check(5, false, Take::Taken);
        check(5, false, Take::Taken);
        check(5, false, Take::Full);
        check(5, true, Take::Taken);
        (0..4).for_each(|_| flight.give_back(zero + APART * 6));
        // Once it is warm, a moment without calls is no new beginning.
        let moment = zero + APART * 7;
        assert_eq!((flight.take(moment), flight.take(moment)), (Take::Taken, Take::Taken));
        (0..2).for_each(|_| flight.give_back(moment));
        let later = moment + STILL;
        assert_eq!((flight.take(later), flight.take(later)), (Take::Taken, Take::From(later + APART)));
    }

    #[test]
    fn what_is_allowed_changes_and_a_cut_stays() {
        let now = Instant::now();
        let mut flight = Flight::new(2);
        flight.allow(20);
        assert_eq!(places(&flight), 20);
        assert_eq!(check(&mut flight, 20, Class::Transient, 1, now, now), 14);
        let mut allow = |most, expected| {
            flight.allow(most);
            assert_eq!(places(&flight), expected, "{most}");
        };
        allow(100, 14);
        allow(5, 5);
        allow(100, 100);
        allow(0, 1);
    }

    #[test]
    fn one_call_is_always_possible() {
        let now = Instant::now();
        let mut flight = Flight::new(3);
        (0..50).for_each(|_| flight.observe(Class::Transient, now, now));
        assert_eq!(places(&flight), 1);
    }
}
