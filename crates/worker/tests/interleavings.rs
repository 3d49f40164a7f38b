//! The line before a limit, with every interleaving of its threads that loom finds: nobody waits for ever, nobody is overtaken,
//! and nothing is taken that was not leased. The files are those of the worker; only what threads share of them is loom's.
//!
//! `LOOM_MAX_PREEMPTIONS=4 cargo test -p assay-worker --release --test interleavings` looks deeper than the default of two.
#![expect(dead_code, reason = "a part of the worker is compiled here by itself")]

#[path = "../src/limit/clock.rs"]
mod clock;
#[path = "../src/limit/largest.rs"]
mod largest;
#[path = "../src/limit/line.rs"]
mod line;
#[path = "../src/limit/rate.rs"]
mod rate;
#[path = "../src/limit/tokens.rs"]
mod tokens;

/// What threads share, of loom.
mod sync {
    pub(super) use std::sync::PoisonError;

    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    pub(super) use loom::sync::{Arc, Mutex, MutexGuard};
}

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use line::{Line, RATES, Ticket, Turn};
use loom::future::block_on;
use loom::thread;
use sync::{Arc, AtomicU64, Ordering};

const REQUESTS: usize = RATES.len() - 1;
const EVER: Duration = Duration::from_secs(1_000_000);

/// One request a second, and the clock of a test, in milliseconds.
struct Account {
    line: Arc<Line>,
    clock: AtomicU64,
}

impl Account {
    fn new(rate: u64) -> Arc<Self> {
        let line = Line::new(Duration::from_secs(60));
        line.lease(REQUESTS, Some(rate), 60, EVER, Duration::ZERO);
        Arc::new(Self { line, clock: AtomicU64::new(0) })
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.clock.load(Ordering::Acquire))
    }

    /// Waits until the line is passed; where it is a matter of time, that passes at once.
    fn pass(&self, mut ticket: Ticket) {
        block_on(poll_fn(|context| {
            loop {
                match ticket.pass(self.now(), context.waker()) {
                    Turn::Passed => return Poll::Ready(()),
                    Turn::Behind | Turn::Standing => return Poll::Pending,
                    Turn::At(moment) => {
                        let millis = moment.as_nanos().div_ceil(1_000_000);
                        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
                        self.clock.fetch_max(millis, Ordering::AcqRel);
                    }
                }
            }
        }));
        ticket.done();
    }
}

fn check(story: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(2));
    model.check(story);
}

#[test]
fn two_pass_in_their_order_and_no_faster_than_leased() {
    check(|| {
        let account = Account::new(1_000_000);
        let tickets = [(); 2].map(|()| Ticket::join(&account.line, [0, 0, 0, 1]));
        let passing = tickets.map(|ticket| {
            let account = Arc::clone(&account);
            thread::spawn(move || {
                account.pass(ticket);
                account.now()
            })
        });
        let [first, second] = passing.map(|thread| thread.join().unwrap());
        assert!(first >= Duration::from_secs(1) && second >= Duration::from_secs(2), "{first:?} {second:?}");
    });
}

#[test]
fn a_lease_wakes_who_stands_still_whenever_it_comes() {
    check(|| {
        let account = Account::new(0);
        let ticket = Ticket::join(&account.line, [0, 0, 0, 1]);
        let passing = thread::spawn({
            let account = Arc::clone(&account);
            move || account.pass(ticket)
        });
        account.line.lease(REQUESTS, Some(1_000_000), 60, EVER, account.now());
        passing.join().unwrap();
        assert!(account.now() >= Duration::from_secs(1));
    });
}

#[test]
fn who_leaves_lets_the_next_go_on() {
    check(|| {
        let account = Account::new(0);
        let (first, second) =
            (Ticket::join(&account.line, [0, 0, 0, 1]), Ticket::join(&account.line, [0, 0, 0, 1]));
        let passing = thread::spawn({
            let account = Arc::clone(&account);
            move || account.pass(second)
        });
        let leasing = thread::spawn({
            let account = Arc::clone(&account);
            move || account.line.lease(REQUESTS, Some(1_000_000), 60, EVER, account.now())
        });
        drop(first);
        passing.join().unwrap();
        leasing.join().unwrap();
    });
}

#[test]
fn a_lease_that_is_taken_back_stops_the_line_for_good() {
    check(|| {
        let account = Account::new(1_000_000);
        let mut ticket = Ticket::join(&account.line, [0, 0, 0, 1]);
        let taking_back = thread::spawn({
            let account = Arc::clone(&account);
            move || account.line.lease(REQUESTS, Some(0), 60, EVER, account.now())
        });
        let second = Duration::from_secs(1);
        let turn = ticket.pass(second, std::task::Waker::noop());
        taking_back.join().unwrap();
        // Either it came first, or nothing is had after it.
        assert!(matches!(turn, Turn::Passed | Turn::Standing), "{turn:?}");
        let mut next = ticket;
        if turn == Turn::Passed {
            next.done();
            next = Ticket::join(&account.line, [0, 0, 0, 1]);
        }
        assert_eq!(next.pass(second * 100, std::task::Waker::noop()), Turn::Standing);
    });
}
