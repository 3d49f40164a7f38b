//! A model of a fleet before a strict provider, in virtual time: the real ledger, scopes and lines; late timers, slow ways to
//! the store and to the provider, kills, freezes, partitions and lost answers drawn from a seed. It asserts what the design
//! promises: the provider refuses nothing, and of the limit so much is used.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Range;
use std::task::Waker;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::config::Limits;
use assay_common::id::MemberId;
use assay_common::limit::Dimension;
use assay_store::ledger::Book;
use assay_store::{Answer, Ask};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;
use uuid::Uuid;

use super::line::{Needs, Ticket, Turn};
use super::scope::Scope;

const TTL: Duration = Duration::from_secs(4);
const BEAT: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(60);
/// What requests take, in tokens.
const USUAL: Range<u64> = 1_000..3_000;
/// What is used is measured from here on, when all have come to their shares.
const FROM: Duration = WINDOW;
/// How long a fleet is played, in minutes; `ASSAY_MODEL_MINUTES` says otherwise.
const MINUTES: u64 = 10;

/// What befalls a fleet.
#[derive(Clone, Copy, Default)]
struct Weather {
    /// One is killed so often, and another starts a second later.
    kills: Option<Duration>,
    /// One stops for 3 to 30 s, or cannot reach the store for 20 to 60 s, in turn, so often.
    freezes: Option<Duration>,
    /// One leaves in peace and another joins, so often.
    joins: Option<Duration>,
    /// Of a hundred answers of the store so many are lost.
    lost: u32,
}

/// What happens at a moment.
enum Event {
    /// A worker renews what it has. Only its last plan to do so counts.
    Beat(usize, u32),
    /// The store is asked; when that was sent.
    Asked(usize, Vec<Ask>, Duration),
    /// A worker hears the answer to what it sent then.
    Answered(usize, Vec<Answer>, Duration),
    /// A worker tries to pass its line. Only its last plan to do so counts.
    Try(usize, u32),
    /// A request of so many tokens arrives at the provider.
    Arrives(u64),
    /// Another worker begins.
    Joins,
    Kill,
    Freeze,
    Leave,
}

struct Worker {
    member: MemberId,
    scope: Scope,
    /// Its place in the line; `None`: its door is shut.
    ticket: Option<Ticket>,
    /// What the request at its door takes.
    tokens: u64,
    tries: u32,
    beats: u32,
    is_alive: bool,
    frozen_until: Duration,
    cut_off_until: Duration,
}

/// A provider that counts what it took in the last minute, and refuses what exceeds its limit.
#[derive(Default)]
struct Provider {
    taken: VecDeque<(Duration, u64)>,
    in_window: u64,
    used: u64,
    refused: u32,
}

struct Fleet {
    began: Instant,
    now: Duration,
    until: Duration,
    limits: Limits,
    dimension: Dimension,
    /// What requests take, in tokens.
    sizes: Range<u64>,
    weather: Weather,
    book: Book,
    workers: Vec<Worker>,
    provider: Provider,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    happens: BTreeMap<u64, Event>,
    planned: u64,
    rng: StdRng,
}

impl Fleet {
    fn new(limits: Limits, sizes: Range<u64>, workers: usize, weather: Weather, seed: u64) -> Self {
        let dimension =
            if limits.tokens_per_minute.is_some() { Dimension::Tokens } else { Dimension::Requests };
        let mut fleet = Self {
            began: Instant::now(),
            now: Duration::ZERO,
            until: WINDOW * u32::try_from(minutes()).unwrap(),
            limits,
            dimension,
            sizes,
            weather,
            book: Book::default(),
            workers: Vec::new(),
            provider: Provider::default(),
            events: BinaryHeap::new(),
            happens: BTreeMap::new(),
            planned: 0,
            rng: StdRng::seed_from_u64(seed),
        };
        (0..workers).for_each(|_| fleet.plan(0..900, Event::Joins));
        let Weather { kills, freezes, joins, .. } = weather;
        for (every, event) in [(kills, Event::Kill), (freezes, Event::Freeze), (joins, Event::Leave)] {
            if let Some(every) = every {
                fleet.plan_in(every, event);
            }
        }
        fleet
    }

    /// Plans an event in so many milliseconds, drawn.
    fn plan(&mut self, millis: Range<u64>, event: Event) {
        let after = Duration::from_micros(self.rng.random_range(millis.start * 1_000..millis.end * 1_000));
        self.plan_in(after, event);
    }

    fn plan_in(&mut self, after: Duration, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((self.now + after, self.planned)));
        self.happens.insert(self.planned, event);
    }

    /// Lets everything happen, and returns what share of the limit was used and how many requests were refused.
    fn run(mut self) -> (f64, u32) {
        while let Some(Reverse((moment, number))) = self.events.pop() {
            if moment >= self.until {
                break;
            }
            self.now = moment;
            if let Some(event) = self.happens.remove(&number) {
                self.happen(event);
            }
        }
        let limit = self.limits.of(self.dimension).unwrap();
        let whole = limit as f64 * (self.until - FROM).as_secs_f64() / 60.0;
        (self.provider.used as f64 / whole, self.provider.refused)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Beat(at, number) => {
                if self.workers[at].beats == number {
                    self.beat(at);
                }
            }
            Event::Asked(at, asks, sent) => {
                let wall = Micros(1_000_000_000_000 + i64::try_from(self.now.as_micros()).unwrap());
                let answers = self.book.renew(self.workers[at].member, &asks, TTL, wall);
                if self.rng.random_range(0..100) >= self.weather.lost {
                    self.plan(1..20, Event::Answered(at, answers, sent));
                }
            }
            Event::Answered(at, answers, sent) => {
                if let Some(event) = self.put_off(at, Event::Answered(at, answers, sent)) {
                    let Event::Answered(_, answers, sent) = event else { return };
                    for answer in answers {
                        let (until, now) = (self.began + sent + TTL, self.began + self.now);
                        self.workers[at].scope.follow(&answer, until, now);
                    }
                    self.come_to_the_door(at);
                    self.try_to_pass(at);
                    let worker = &self.workers[at];
                    if worker.scope.is_starved(self.began + self.now) {
                        self.plan_beat(at, 220..280);
                    } else if worker.scope.is_settled() {
                        self.plan_beat(at, 1_620..1_980);
                    }
                }
            }
            Event::Try(at, number) => {
                if self.workers[at].tries == number && self.put_off(at, Event::Try(at, number)).is_some() {
                    self.try_to_pass(at);
                }
            }
            Event::Arrives(tokens) => self.arrive(tokens),
            Event::Joins => self.join(),
            Event::Kill => {
                let at = self.one_of_the_living();
                self.workers[at].is_alive = false;
                self.plan_in(BEAT, Event::Joins);
                self.plan_in(self.weather.kills.unwrap(), Event::Kill);
            }
            Event::Freeze => {
                let at = self.one_of_the_living();
                if self.planned.is_multiple_of(2) {
                    let seconds = self.rng.random_range(3..30);
                    self.workers[at].frozen_until = self.now + Duration::from_secs(seconds);
                } else {
                    let seconds = self.rng.random_range(20..60);
                    self.workers[at].cut_off_until = self.now + Duration::from_secs(seconds);
                }
                self.plan_in(self.weather.freezes.unwrap(), Event::Freeze);
            }
            Event::Leave => {
                let at = self.one_of_the_living();
                let worker = &mut self.workers[at];
                worker.is_alive = false;
                self.book.members.remove(&worker.member);
                self.join();
                self.plan_in(self.weather.joins.unwrap(), Event::Leave);
            }
        }
    }

    /// The event, unless its worker is dead, or frozen: then it happens when that is over.
    fn put_off(&mut self, at: usize, event: Event) -> Option<Event> {
        let Worker { is_alive, frozen_until, .. } = self.workers[at];
        if is_alive && frozen_until > self.now {
            self.plan_in(frozen_until - self.now, event);
            return None;
        }
        is_alive.then_some(event)
    }

    fn join(&mut self) {
        let at = self.workers.len();
        let member = MemberId::new(Uuid::from_u128(u128::from(self.rng.random::<u64>()) << 64 | at as u128));
        let began = self.began;
        let scope = Scope::leased("a".into(), &self.limits, 50, Default::default(), began, false);
        let tokens = self.rng.random_range(self.sizes.clone());
        self.workers.push(Worker {
            member,
            scope,
            ticket: None,
            tokens,
            tries: 0,
            beats: 0,
            is_alive: true,
            frozen_until: Duration::ZERO,
            cut_off_until: Duration::ZERO,
        });
        self.come_to_the_door(at);
        self.beat(at);
        self.try_to_pass(at);
    }

    /// Stands in line with what a worker has to send, unless its door is shut: then it leaves the line.
    fn come_to_the_door(&mut self, at: usize) {
        let now = self.began + self.now;
        let Worker { scope, ticket, tokens, .. } = &mut self.workers[at];
        if !scope.closed_for(now).is_zero() {
            *ticket = None;
        } else if ticket.is_none() {
            let needs: Needs = [*tokens, 0, 0, 1];
            *ticket = Some(Ticket::join(&scope.line, needs));
        }
    }

    fn beat(&mut self, at: usize) {
        let number = self.workers[at].beats;
        if self.put_off(at, Event::Beat(at, number)).is_none() {
            return;
        }
        let worker = &self.workers[at];
        if worker.cut_off_until <= self.now {
            let asks = worker.scope.asks(self.began + self.now);
            self.plan(1..20, Event::Asked(at, asks, self.now));
        }
        self.plan_beat(at, 900..1_100);
    }

    fn plan_beat(&mut self, at: usize, millis: Range<u64>) {
        self.workers[at].beats += 1;
        self.plan(millis, Event::Beat(at, self.workers[at].beats));
    }

    fn try_to_pass(&mut self, at: usize) {
        loop {
            let now = self.now;
            let worker = &mut self.workers[at];
            worker.tries += 1;
            let Some(ticket) = &mut worker.ticket else { return };
            match ticket.pass(now, Waker::noop()) {
                Turn::Passed => {}
                Turn::At(moment) => {
                    // Timers are late.
                    let late = Duration::from_micros(self.rng.random_range(0..1_500));
                    let tries = self.workers[at].tries;
                    return self.plan_in(moment.saturating_sub(now) + late, Event::Try(at, tries));
                }
                Turn::Behind | Turn::Standing => return,
            }
            if let Some(ticket) = worker.ticket.take() {
                ticket.done();
            }
            let tokens = worker.tokens;
            worker.tokens = self.rng.random_range(self.sizes.clone());
            self.plan(5..150, Event::Arrives(tokens));
            self.come_to_the_door(at);
        }
    }

    fn arrive(&mut self, tokens: u64) {
        let limit = self.limits.of(self.dimension).unwrap();
        let weighs = if self.dimension == Dimension::Tokens { tokens } else { 1 };
        let Provider { taken, in_window, used, refused } = &mut self.provider;
        while let Some((_, weighed)) = taken.pop_front_if(|(moment, _)| *moment + WINDOW <= self.now) {
            *in_window -= weighed;
        }
        if *in_window + weighs > limit {
            *refused += 1;
            return;
        }
        taken.push_back((self.now, weighs));
        *in_window += weighs;
        if self.now >= FROM {
            *used += weighs;
        }
    }

    fn one_of_the_living(&mut self) -> usize {
        let living: Vec<_> = (0..self.workers.len()).filter(|at| self.workers[*at].is_alive).collect();
        living[self.rng.random_range(0..living.len())]
    }
}

fn minutes() -> u64 {
    std::env::var("ASSAY_MODEL_MINUTES").map_or(MINUTES, |minutes| minutes.parse().unwrap())
}

/// With each of five seeds nothing is refused, and at least this share of the limit is used.
fn check(limits: Limits, workers: usize, weather: Weather, least: f64) {
    check_sized(limits, USUAL, workers, weather, least);
}

fn check_sized(limits: Limits, sizes: Range<u64>, workers: usize, weather: Weather, least: f64) {
    for seed in 1..=5 {
        let (used, refused) = Fleet::new(limits, sizes.clone(), workers, weather, seed).run();
        println!("{workers} workers, seed {seed}: {:.2} % used, {refused} refused", used * 100.0);
        assert_eq!(refused, 0, "seed {seed}");
        assert!(used >= least, "seed {seed}: {used} of {least}");
    }
}

fn requests(per_minute: u32) -> Limits {
    Limits { requests_per_minute: std::num::NonZeroU32::new(per_minute), ..Limits::default() }
}

fn every(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn steady() {
    check(requests(600), 10, Weather::default(), 0.979);
}

#[test]
fn a_kill_every_minute() {
    check(requests(600), 10, Weather { kills: every(60), ..Weather::default() }, 0.972);
}

#[test]
fn twenty_workers_and_a_kill_every_minute() {
    check(requests(3_000), 20, Weather { kills: every(60), ..Weather::default() }, 0.984);
}

#[test]
fn freezes_and_partitions() {
    check(requests(600), 10, Weather { freezes: every(90), ..Weather::default() }, 0.976);
}

fn tokens_of(per_minute: u64) -> Limits {
    Limits { tokens_per_minute: std::num::NonZeroU64::new(per_minute), ..Limits::default() }
}

#[test]
fn tokens() {
    check(tokens_of(2_000_000), 10, Weather { kills: every(60), ..Weather::default() }, 0.970);
}

#[test]
fn lost_answers_and_joins() {
    check(requests(600), 10, Weather { joins: every(20), lost: 30, ..Weather::default() }, 0.953);
}

/// Two of them are more than a window allows, or nearly all of it: what is gathered for one takes most of a minute.
#[test]
fn requests_of_half_a_window() {
    for sizes in [4_102..4_103, 3_000..4_500] {
        check_sized(tokens_of(8_000), sizes.clone(), 1, Weather::default(), 0.40);
        check_sized(tokens_of(8_000), sizes, 4, Weather { kills: every(100), ..Weather::default() }, 0.30);
    }
}
