//! What the ledger promises, whatever befalls those who renew: together they never exceed a limit.

use assay_common::limit::Window;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const SECOND: i64 = 1_000_000;
const TTL: Duration = Duration::from_secs(4);
const REQUESTS: Dimension = Dimension::Requests;

fn member(n: u128) -> MemberId {
    MemberId::new(Uuid::from_u128(n))
}

fn ask(limit: u64) -> Ask {
    Ask {
        scope: "openai".into(),
        dimension: REQUESTS,
        configured: Some(limit),
        profile: Profile::default(),
        want: ALL,
        burst: 1,
        acked: 0,
        used: 0,
        said: None,
        refused: None,
        lacks: None,
        needs: None,
    }
}

/// A worker as far as the ledger matters to it.
#[derive(Clone, Debug)]
struct Worker {
    member: MemberId,
    /// The grant it goes by, and until when by the time that really passes.
    acked: u64,
    amount: u64,
    until: i64,
    /// A lower one that it goes by from its next renewal on.
    next: Option<(u64, u64, i64)>,
    limit: u64,
    want: u64,
}

impl Worker {
    fn new(n: u128, limit: u64) -> Self {
        Self { member: member(n), acked: 0, amount: 0, until: 0, next: None, limit, want: ALL }
    }

    /// Renews at `time`, when the store's clock shows `now`; `lost`: the answer does not arrive.
    fn renew(&mut self, book: &mut Book, dimension: Dimension, time: i64, now: Micros, lost: bool) {
        if let Some(next) = self.next.take() {
            (self.acked, self.amount, self.until) = next;
        }
        let asked = Ask { dimension, acked: self.acked, want: self.want, ..ask(self.limit) };
        let answer = book.renew(self.member, &[asked], TTL, now).remove(0);
        let granted = (answer.seq, answer.amount.unwrap(), time + 4 * SECOND);
        if !lost && granted.1 < self.uses(time) {
            self.next = Some(granted);
        } else if !lost {
            (self.acked, self.amount, self.until) = granted;
        }
    }

    fn uses(&self, time: i64) -> u64 {
        if time < self.until { self.amount } else { 0 }
    }
}

/// What happens next in a story.
#[derive(Clone, Debug)]
enum Step {
    /// So many milliseconds pass.
    Pass(i64),
    /// The one at this place renews; whether the answer is lost.
    Renew(usize, bool),
    /// Another joins.
    Join,
    /// The one at this place is killed.
    Crash(usize),
    /// The store's clock is set to and fro by so many milliseconds; forward once in a story.
    Jump(i64),
    /// What the files of those who come from now on say, and what an operator sets.
    Limit(u64),
    /// What the one at this place wants.
    Want(usize, u64),
}

fn steps(jumps: std::ops::Range<i64>, losses: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..900_i64).prop_map(Step::Pass),
        8 => (0..8_usize, any::<bool>()).prop_map(move |(at, lost)| Step::Renew(at, lost && losses)),
        1 => Just(Step::Join),
        1 => (0..8_usize).prop_map(Step::Crash),
        1 => jumps.prop_map(Step::Jump),
        1 => (1..2_000_u64).prop_map(Step::Limit),
        1 => (0..8_usize, prop_oneof![Just(ALL), 0..20_000_000_u64]).prop_map(|(at, want)| Step::Want(at, want)),
    ];
    prop::collection::vec(step, 1..150)
}

/// Plays a story: at no moment do those who live use more together than the largest limit that was in force while their leases
/// were granted. `in_turn`: all who live renew at least once a second, as they do.
fn play(steps: Vec<Step>, dimension: Dimension, in_turn: bool) -> Result<(), TestCaseError> {
    let (mut book, mut time, mut jumped, mut joined) = (Book::default(), 0_i64, 0_i64, 2_u128);
    let (mut limit, mut has_jumped) = (600, false);
    let mut workers = vec![Worker::new(1, limit), Worker::new(2, limit)];
    // Until when a limit may still be in use that was in force before.
    let mut in_force = vec![(i64::MAX, limit)];
    let whole = |limit| if dimension.is_rate() { Profile::default().rate(limit, 1) } else { limit };
    for step in steps {
        let now = Micros(1_000 * SECOND + time + jumped);
        let count = workers.len();
        match step {
            Step::Pass(millis) => {
                time += millis * 1_000;
                if in_turn {
                    let now = Micros(1_000 * SECOND + time + jumped);
                    workers
                        .iter_mut()
                        .for_each(|worker| worker.renew(&mut book, dimension, time, now, false));
                }
            }
            Step::Renew(at, lost) if count > 0 => {
                workers[at % count].renew(&mut book, dimension, time, now, lost);
            }
            Step::Join => {
                joined += 1;
                workers.push(Worker::new(joined, limit));
            }
            Step::Crash(at) if count > 0 => drop(workers.remove(at % count)),
            Step::Jump(millis) => {
                jumped += if has_jumped { millis.min(0) } else { millis } * 1_000;
                has_jumped |= millis > 0;
            }
            Step::Limit(to) => {
                in_force.iter_mut().for_each(|(until, _)| *until = (*until).min(time + 4 * SECOND));
                in_force.push((i64::MAX, to));
                limit = to;
                let set = Set { to, at: now, by: "ann".into(), why: "a test".into() };
                book.known.entry(dimension).or_default().set = Some(set);
            }
            Step::Want(at, want) if count > 0 => workers[at % count].want = want,
            Step::Renew(..) | Step::Crash(_) | Step::Want(..) => {}
        }
        in_force.retain(|(until, _)| time < *until);
        let most = in_force.iter().map(|(_, limit)| whole(*limit)).max().unwrap();
        let used: u64 = workers.iter().map(|worker| worker.uses(time)).sum();
        prop_assert!(used <= most, "{used} of {most} at {time}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Answers are lost, members crash and join, limits change, the store's clock is set back.
    #[test]
    fn all_together_never_exceed_a_rate(steps in steps(-5_000..1, true)) {
        play(steps, REQUESTS, false)?;
    }

    #[test]
    fn all_together_never_hold_more_places_than_there_are(steps in steps(-5_000..1, true)) {
        play(steps, Dimension::InFlight, false)?;
    }

    /// The store's clock is set forward by any time, once: it ends no lease of those who renew.
    #[test]
    fn a_clock_that_jumps_ends_no_lease(steps in steps(-100_000..100_000, false)) {
        play(steps, REQUESTS, true)?;
    }
}

/// Beats of a fleet once a second, in turn.
fn beats(book: &mut Book, workers: &mut [Worker], from: i64, seconds: i64) {
    for second in from..from + seconds {
        for (place, worker) in workers.iter_mut().enumerate() {
            let time = second * SECOND + place as i64 * 50_000;
            worker.renew(book, REQUESTS, time, Micros(1_000 * SECOND + time), false);
        }
    }
}

/// What each was granted last.
fn amounts(workers: &[Worker]) -> Vec<u64> {
    workers.iter().map(|worker| worker.next.map_or(worker.amount, |(_, amount, _)| amount) / 1_000).collect()
}

#[test]
fn a_fleet_comes_to_equal_shares_and_those_of_the_dead_are_divided() {
    let mut book = Book::default();
    let mut workers: Vec<_> = (1..=4).map(|n| Worker::new(n, 600)).collect();
    beats(&mut book, &mut workers, 0, 5);
    let share = Profile::default().rate(600, 4) / 4 / 1_000;
    assert_eq!(amounts(&workers), [share; 4]);
    workers.pop();
    beats(&mut book, &mut workers, 5, 7);
    assert_eq!(amounts(&workers), [Profile::default().rate(600, 3) / 3 / 1_000; 3]);
    // Who wants little leaves the rest to the others; what is wanted by nobody is divided.
    workers[0].want = 1_000_000;
    beats(&mut book, &mut workers, 12, 4);
    let whole = Profile::default().rate(600, 3) / 1_000;
    assert_eq!(workers[0].amount / 1_000, 1_000);
    assert!(workers[1].amount / 1_000 >= (whole - 1_000) / 2 - 1);
    workers.iter_mut().for_each(|worker| worker.want = 0);
    beats(&mut book, &mut workers, 16, 4);
    assert_eq!(amounts(&workers), [whole / 3; 3]);
}

#[test]
fn a_small_limit_has_few_senders() {
    let mut book = Book::default();
    let mut workers: Vec<_> = (1..=5).map(|n| Worker::new(n, 80)).collect();
    beats(&mut book, &mut workers, 0, 6);
    let sending = workers.iter().filter(|worker| worker.amount > 0).count();
    assert_eq!(sending, 2);
    let idle = workers.iter().find(|worker| worker.amount == 0).unwrap();
    let asked = Ask { acked: idle.acked, ..ask(80) };
    let answer = book.renew(idle.member, &[asked], TTL, Micros(1_006 * SECOND)).remove(0);
    assert_eq!(answer.why, Some(Why::Crowded { senders: 2 }));
}

#[test]
fn a_refusal_pauses_all_and_the_rate_comes_back_slowly() {
    let mut book = Book::default();
    let mut workers: Vec<_> = (1..=2).map(|n| Worker::new(n, 6_000)).collect();
    beats(&mut book, &mut workers, 0, 4);
    let full: u64 = amounts(&workers).iter().sum();
    let refused = Some(Refusal { pause: Duration::from_secs(3), is_told: true });
    let asked = Ask { acked: workers[0].acked, refused, ..ask(6_000) };
    let answer = book.renew(workers[0].member, &[asked], TTL, Micros(1_004 * SECOND)).remove(0);
    assert_eq!((answer.amount, answer.paused_for.as_secs(), answer.why), (Some(0), 3, Some(Why::Paused)));
    beats(&mut book, &mut workers, 5, 1);
    assert_eq!(amounts(&workers), [0, 0], "for all");
    beats(&mut book, &mut workers, 7, 3);
    let ramped: u64 = amounts(&workers).iter().sum();
    assert!(ramped > 0 && ramped < full / 2, "{ramped} of {full}");
    // Little had been used when it refused: the cut goes deep, and is worked off at a hundredth in five seconds.
    beats(&mut book, &mut workers, 10, 500);
    assert_eq!(amounts(&workers).iter().sum::<u64>(), full);
}

#[test]
fn nothing_is_limited_until_something_is_known() {
    let mut book = Book::default();
    let unlimited = Ask { configured: None, ..ask(0) };
    let renew = |book: &mut Book, n, asked: &Ask, second| {
        book.renew(member(n), std::slice::from_ref(asked), TTL, Micros(second * SECOND)).remove(0)
    };
    let first = renew(&mut book, 1, &unlimited, 1);
    assert_eq!((first.amount, first.limit), (None, None));
    renew(&mut book, 2, &unlimited, 1);
    let said = Some(Said { limit: Some(600), ..Said::default() });
    let told = renew(&mut book, 1, &Ask { said, acked: first.seq, ..unlimited.clone() }, 2);
    assert_eq!((told.amount, told.limit), (Some(0), Some(600)), "the other may still use all there is");
    let other = renew(&mut book, 2, &Ask { acked: 1, ..unlimited.clone() }, 2);
    renew(&mut book, 2, &Ask { acked: other.seq, ..unlimited.clone() }, 3);
    let told = renew(&mut book, 1, &Ask { acked: told.seq, ..unlimited }, 3);
    assert!(told.amount > Some(0), "{told:?}");
}

#[test]
fn a_refusal_that_names_no_limit_cuts_the_one_that_was_nearest() {
    let check = |used: [u64; 2], said: Option<Said>, is_told: bool, expected: &[Dimension]| {
        let mut book = Book::default();
        let limits = [(Dimension::Tokens, 60_000), (REQUESTS, 600)];
        let asks = |used: [u64; 2], refused: Option<Refusal>, said: Option<Said>| {
            let asks = limits.into_iter().zip(used).map(|((dimension, limit), used)| {
                let is_requests = dimension == REQUESTS;
                let refused = refused.filter(|_| is_requests);
                Ask { dimension, used, refused, said: said.filter(|_| !is_requests), ..ask(limit) }
            });
            asks.collect::<Vec<_>>()
        };
        book.renew(member(1), &asks([0, 0], None, None), TTL, Micros(1_000 * SECOND));
        let refused = Some(Refusal { pause: Duration::from_secs(2), is_told });
        book.renew(member(1), &asks(used, refused, said), TTL, Micros(1_001 * SECOND));
        let cut: Vec<_> =
            book.known.iter().filter(|(_, known)| known.cut.is_some()).map(|(cut, _)| *cut).collect();
        assert_eq!(cut, expected, "{used:?} {said:?} {is_told}");
        assert!(!book.paused_for(Micros(1_001 * SECOND)).is_zero());
    };
    check([50_000, 30], None, false, &[Dimension::Tokens]);
    check([500, 300], None, false, &[REQUESTS]);
    check([0, 0], None, false, &[REQUESTS]);
    check([50_000, 30], None, true, &[REQUESTS]);
    let said = Some(Said { limit: Some(60_000), remaining: Some(200), reset_us: None });
    check([500, 300], said, false, &[Dimension::Tokens]);
}

#[test]
fn a_pause_that_is_lifted_ends_for_all_and_a_cut_rate_grows_from_then_on() {
    let mut book = Book::default();
    let mut workers: Vec<_> = (1..=2).map(|n| Worker::new(n, 6_000)).collect();
    beats(&mut book, &mut workers, 0, 4);
    assert!(!book.resume(Micros(1_004 * SECOND)) && book.paused_until.is_none());
    let refused = Some(Refusal { pause: Duration::from_secs(3_600), is_told: false });
    let asked = Ask { acked: workers[0].acked, refused, ..ask(6_000) };
    book.renew(workers[0].member, &[asked], TTL, Micros(1_004 * SECOND));
    beats(&mut book, &mut workers, 5, 4);
    assert_eq!(amounts(&workers), [0, 0]);
    assert!(book.resume(Micros(1_009 * SECOND)) && !book.resume(Micros(1_009 * SECOND)));
    beats(&mut book, &mut workers, 9, 14);
    let soon: u64 = amounts(&workers).iter().sum();
    beats(&mut book, &mut workers, 23, 20);
    let later: u64 = amounts(&workers).iter().sum();
    assert!(soon > 0 && later > soon, "{soon} {later}");
}

#[test]
fn files_that_disagree_on_how_a_limit_is_counted_are_held_to_the_more_careful() {
    let bucket = Profile { window: Window::Bucket, length_us: 10_000_000 };
    let (mut book, mut asks) = (Book::default(), [ask(6_000), Ask { profile: bucket, ..ask(6_000) }]);
    let mut granted = [0; 2];
    for second in 0..20 {
        for (at, asked) in asks.iter_mut().enumerate() {
            let now = Micros((1_000 + second) * SECOND);
            let answer = book.renew(member(at as u128), std::slice::from_ref(asked), TTL, now).remove(0);
            (asked.acked, granted[at]) = (answer.seq, answer.amount.unwrap());
        }
    }
    let careful = Profile::default().rate(6_000, 2);
    assert_eq!(granted.iter().sum::<u64>(), careful);
    assert!(bucket.rate(6_000, 2) > careful);
    let told: Vec<_> = book.profiles(REQUESTS).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["sliding over 60s", "bucket over 10s"]);
}

#[test]
fn who_leaves_out_a_limit_is_counted_and_keeps_to_it() {
    let now = Micros(1_000 * SECOND);
    let left_out = |book: &Book, asks: &[Ask]| -> Vec<_> {
        book.unasked("openai", asks).into_iter().map(|ask| ask.dimension).collect()
    };
    let none = [Ask { configured: None, ..ask(0) }];
    let mut book = Book::default();
    assert_eq!(left_out(&book, &none), []);
    let tokens = Ask { dimension: Dimension::Tokens, ..ask(6_000) };
    let places = Ask { dimension: Dimension::InFlight, ..ask(8) };
    let full = book.renew(member(1), &[ask(600), tokens, places], TTL, now)[1].amount;
    assert_eq!(left_out(&book, &none), [Dimension::Tokens, Dimension::InFlight]);
    assert_eq!(left_out(&book, &[]).len(), 3);
    let joins = book.unasked("openai", &none);
    let answers = book.renew(member(2), &joins, TTL, now);
    assert_eq!((answers[0].limit, answers[0].amount), (Some(6_000), Some(0)), "the other has {full:?}");
    // What a provider has said is told to who comes after.
    let said = Said { limit: Some(5), ..Said::default() };
    let heard = Ask { dimension: Dimension::Tokens, said: Some(said), ..none[0].clone() };
    let mut book = Book::default();
    book.renew(member(1), &[heard], TTL, now);
    assert_eq!(left_out(&book, &none), [Dimension::Tokens]);
}
