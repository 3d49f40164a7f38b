//! The line before one account, or one model of it: whoever came first goes first, through each of its rates, tokens before
//! requests. Pure: moments come in, as the time since the worker began; whoever waits is woken when it is worth trying again.
//!
//! Only who stands at its head takes anything: the tokens that a request gathers before it can be sent are those of one
//! request, never of many.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use assay_common::limit::Dimension;

use super::rate::{Demand, NotYet, Rate};
use super::sync::{Arc, AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};

/// The rates of a line, in the order in which they are taken: requests last, so that no request is counted while its tokens
/// are missing.
pub(crate) const RATES: [Dimension; 4] =
    [Dimension::Tokens, Dimension::InputTokens, Dimension::OutputTokens, Dimension::Requests];
const REQUESTS: usize = 3;

/// What a call takes, in the order of [`RATES`].
pub(crate) type Needs = [u64; RATES.len()];

/// A line.
pub(crate) struct Line {
    state: Mutex<State>,
    /// Whether nothing of it is limited: then nobody stands in it.
    is_open: AtomicBool,
    /// Requests that went by while it was open.
    went_by: AtomicU64,
}

struct State {
    rates: [Rate; RATES.len()],
    /// Who stands in it, by number, and how to wake him; the first goes next.
    waiting: VecDeque<(u64, Option<Waker>)>,
    /// The number of the next who comes.
    next: u64,
    pressure: Pressure,
}

/// For how long somebody has waited for a rate since a lease was last asked for.
struct Pressure {
    asked: Duration,
    since: Option<Duration>,
    sum: Duration,
}

/// A place in a line. Dropped before it is [done](Ticket::done), it gives back the tokens it took: they were not used.
pub(crate) struct Ticket {
    line: Arc<Line>,
    number: u64,
    needs: Needs,
    /// What is left to be taken; `None`: it has never been at the head.
    left: Option<Needs>,
    /// What was taken is used.
    is_used: bool,
}

/// What comes of trying to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Everything is taken. The line stands until the ticket is done.
    Passed,
    /// Others go first; who is next is woken.
    Behind,
    /// The lease does not reach so far; whoever has a better one wakes the head.
    Standing,
    /// It is worth trying again at this moment.
    At(Duration),
}

impl Line {
    /// A line of which nothing is limited, before a provider that counts over such a window.
    pub(crate) fn new(window: Duration) -> Arc<Self> {
        let pressure = Pressure { asked: Duration::ZERO, since: None, sum: Duration::ZERO };
        let rates = RATES.map(|_| Rate::new(window));
        let state = State { rates, waiting: VecDeque::new(), next: 0, pressure };
        Arc::new(Self {
            state: Mutex::new(state),
            is_open: AtomicBool::new(true),
            went_by: AtomicU64::new(0),
        })
    }

    /// Whether nothing of it is limited.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Counts a request that need not stand in it, because it is open.
    pub(crate) fn go_by(&self) {
        self.went_by.fetch_add(1, Ordering::Relaxed);
    }

    /// From `now` on so much of a rate may be taken, in millionths a second, until `until`; `None`: nothing limits it. `window`:
    /// what its limit is in one window.
    pub(crate) fn lease(
        &self,
        rate: usize,
        amount: Option<u64>,
        window: u64,
        until: Duration,
        now: Duration,
    ) {
        let mut state = self.state();
        state.rates[rate].lease(amount, window, until, now);
        let is_open = state.rates.iter().all(Rate::is_open);
        self.is_open.store(is_open, Ordering::Release);
        state.wake_first();
    }

    /// Whether all that was taken may be used at `now`.
    pub(crate) fn holds(&self, now: Duration) -> bool {
        self.is_open() || self.state().rates.iter().all(|rate| rate.holds(now))
    }

    /// Whether somebody waits, and nothing at all is leased.
    pub(crate) fn is_starved(&self) -> bool {
        let state = self.state();
        state.pressure.since.is_some() && state.rates.iter().any(Rate::has_nothing)
    }

    /// A call that took so much of each rate was counted as so much.
    pub(crate) fn settle(&self, taken: Needs, counted: Needs) {
        let mut state = self.state();
        for (rate, (taken, counted)) in state.rates.iter_mut().zip(taken.into_iter().zip(counted)) {
            rate.settle(taken, counted);
        }
    }

    /// What to ask of the ledger for each rate at `now`.
    pub(crate) fn demand(&self, now: Duration) -> [Demand; RATES.len()] {
        let went_by = self.went_by.swap(0, Ordering::Relaxed);
        let mut state = self.state();
        let State { rates, pressure, .. } = &mut *state;
        rates[REQUESTS].count(went_by);
        let beat = now.saturating_sub(pressure.asked);
        let (waited, waits) = pressure.turn(now);
        rates.each_mut().map(|rate| {
            let is_pressed = waited * 2 > beat || (waits && rate.has_nothing());
            rate.demand(is_pressed, beat, now)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves plain values: still sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_first(&mut self) {
        if let Some(waker) = self.waiting.front_mut().and_then(|(_, waker)| waker.take()) {
            waker.wake();
        }
    }
}

impl Ticket {
    /// Stands at the end of a line.
    pub(crate) fn join(line: &Arc<Line>, needs: Needs) -> Self {
        let mut state = line.state();
        let number = state.next;
        state.next += 1;
        state.waiting.push_back((number, None));
        drop(state);
        Self { line: Arc::clone(line), number, needs, left: None, is_used: false }
    }

    /// Tries to pass at `now`. Unless it does, `waker` is woken when the line moves or a lease is renewed.
    pub(crate) fn pass(&mut self, now: Duration, waker: &Waker) -> Turn {
        let mut state = self.line.state();
        let State { rates, waiting, pressure, .. } = &mut *state;
        let is_first = waiting.front().is_some_and(|(number, _)| *number == self.number);
        if let Some((_, wakes)) = waiting.iter_mut().find(|(number, _)| *number == self.number) {
            *wakes = Some(waker.clone());
        }
        if !is_first {
            return Turn::Behind;
        }
        let left = self.left.get_or_insert_with(|| {
            let mut charged = self.needs;
            charged[..REQUESTS]
                .iter_mut()
                .zip(&mut *rates)
                .for_each(|(need, rate)| *need = rate.charge(*need));
            charged
        });
        for (rate, left) in rates.iter_mut().zip(left) {
            match rate.take(left, now) {
                Ok(()) => {}
                Err(not_yet) => {
                    pressure.begins(now);
                    return match not_yet {
                        NotYet::At(moment) => Turn::At(moment),
                        NotYet::Standing => Turn::Standing,
                    };
                }
            }
        }
        pressure.ends(now);
        Turn::Passed
    }

    /// Leaves the line; what was taken is used.
    pub(crate) fn done(mut self) {
        self.is_used = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.line.state();
        let State { rates, waiting, pressure, .. } = &mut *state;
        if let Some(left) = self.left {
            for (rate, (need, left)) in rates.iter_mut().zip(self.needs.into_iter().zip(left)).take(REQUESTS)
            {
                if self.is_used {
                    rate.pass();
                } else {
                    rate.give_up(need, left);
                }
            }
            rates.iter_mut().for_each(Rate::leave);
        }
        waiting.retain(|(number, _)| *number != self.number);
        if waiting.is_empty() {
            // Nobody waits any more.
            pressure.since = None;
        }
        state.wake_first();
    }
}

impl Pressure {
    fn begins(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    fn ends(&mut self, now: Duration) {
        if let Some(since) = self.since.take() {
            self.sum += now.saturating_sub(since);
        }
    }

    /// How long somebody has waited since this was last asked, and whether somebody does.
    fn turn(&mut self, now: Duration) -> (Duration, bool) {
        let waits = self.since.is_some();
        self.ends(now);
        if waits {
            self.since = Some(now);
        }
        self.asked = now;
        (std::mem::take(&mut self.sum), waits)
    }
}
