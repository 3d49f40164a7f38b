//! The door, on paused time: who passes at once, who waits, who is sent back to the store.

use assay_common::limit::Dimension;
use assay_common::usage::Usage;
use assay_store::{Answer, Firm};

use super::super::breaker::Evidence;
use super::*;
use crate::provider::meter::{Meter, Meters};
use crate::provider::observation::Class;

fn gate(account: Limits, model: Option<Limits>) -> Gate {
    Gate::new(Arc::new(Account::new("a", &account, None)), "a/m".into(), model.as_ref(), None)
}

fn in_flight(slots: u32) -> Limits {
    Limits { in_flight: std::num::NonZeroU32::new(slots), ..Limits::default() }
}

fn learn(gate: &Gate, class: Class, retry_after: Option<u64>) {
    let retry_after = retry_after.map(Duration::from_secs);
    gate.learn(&Evidence { class, sent: Instant::now(), retry_after, detail: "" }, Micros(1));
}

/// What the ledger answers the account of a limit that nobody knows.
fn open(dimension: Dimension) -> Answer {
    Answer {
        scope: "a".into(),
        dimension,
        seq: 1,
        amount: None,
        limit: None,
        firm: None,
        paused_for: Duration::ZERO,
        resumed: 0,
        why: None,
    }
}

/// Whether the gate lets a call begin without waiting, but for the first calls of a pool beginning apart.
async fn at_once(gate: &Gate) -> Option<Pass> {
    tokio::time::timeout(Duration::from_millis(5), gate.enter(Attempt::First, Size::default(), Micros(1)))
        .await
        .ok()?
        .ok()
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_than_slots() {
    let gate = gate(in_flight(2), None);
    let first = at_once(&gate).await;
    let second = at_once(&gate).await;
    assert!(first.is_some() && second.is_some() && at_once(&gate).await.is_none());
    drop(first);
    assert!(at_once(&gate).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_model_keeps_to_its_own_limit_and_the_accounts() {
    let account = Arc::new(Account::new("a", &in_flight(3), None));
    let narrow = Gate::new(Arc::clone(&account), "a/n".into(), Some(&in_flight(1)), None);
    let wide = Gate::new(account, "a/m".into(), None, None);
    assert_eq!((narrow.in_flight(), wide.in_flight()), (1, 3));
    let held = at_once(&narrow).await;
    assert!(held.is_some() && at_once(&narrow).await.is_none());
    let more = (at_once(&wide).await, at_once(&wide).await);
    assert!(more.0.is_some() && more.1.is_some() && at_once(&wide).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn short_pauses_are_waited_for_and_long_ones_are_not() {
    let gate = gate(Limits::default(), None);
    learn(&gate, Class::RateLimited, Some(4));
    let start = Instant::now();
    assert!(gate.enter(Attempt::First, Size::default(), Micros(1)).await.is_ok());
    assert_eq!(start.elapsed().as_secs(), 4);
    learn(&gate, Class::RateLimited, Some(30));
    assert_eq!(
        gate.enter(Attempt::First, Size::default(), Micros(1)).await.err(),
        Some(Closed { reopens_in: Duration::from_secs(30) }.into())
    );
    assert!(!gate.has_room());
    assert_eq!(gate.room().await, usize::MAX);
    assert_eq!(start.elapsed().as_secs(), 34);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_begins_while_somebody_stands_in_line_holds_for_him_too() {
    let gate = Arc::new(gate(in_flight(1), None));
    let held = at_once(&gate).await;
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move {
            let start = Instant::now();
            gate.enter(Attempt::First, Size::default(), Micros(1)).await.map(|_| start.elapsed().as_secs())
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    learn(&gate, Class::RateLimited, Some(3));
    drop(held);
    assert_eq!(waiting.await.unwrap(), Ok(4));
}

#[tokio::test(start_paused = true)]
async fn trouble_lets_one_probe_through_and_its_success_opens_the_gate() {
    let gate = gate(Limits::default(), None);
    (0..3).for_each(|_| learn(&gate, Class::Account("unauthorized"), None));
    assert!(gate.enter(Attempt::First, Size::default(), Micros(1)).await.is_err());
    assert_eq!(gate.room().await, 1);
    let probe = gate.enter(Attempt::First, Size::default(), Micros(1)).await.expect("the probe");
    assert!(gate.enter(Attempt::First, Size::default(), Micros(1)).await.is_err());
    drop(probe);
    assert!(gate.has_room(), "an unmade probe can be made by the next");
    let probe = gate.enter(Attempt::First, Size::default(), Micros(1)).await.expect("the probe");
    learn(&gate, Class::Answered, None);
    drop(probe);
    assert!(at_once(&gate).await.is_some() && at_once(&gate).await.is_some());
    assert!(gate.answered_since(Micros(1)) && !gate.answered_since(Micros(2)));
}

#[tokio::test(start_paused = true)]
async fn one_model_in_trouble_or_failing_keeps_no_other_from_calling() {
    let account = Arc::new(Account::new("a", &in_flight(10), None));
    let failing = Gate::new(Arc::clone(&account), "a/n".into(), None, None);
    let sound = Gate::new(account, "a/m".into(), None, None);
    (0..10).for_each(|_| learn(&failing, Class::Transient, None));
    assert!(matches!(failing.admission(), Admission::Troubled(_)));
    assert_eq!(failing.pool.trouble().map(|trouble| trouble.kind), Some("failing"));
    assert!(at_once(&sound).await.is_some() && sound.pool.trouble().is_none());
    // A pause after a 429 is the account's.
    learn(&failing, Class::RateLimited, Some(30));
    assert!(matches!(sound.admission(), Admission::Paused(_)));
}

#[tokio::test(start_paused = true)]
async fn failures_take_places_and_who_waits_gets_one_that_is_given_back() {
    let gate = Arc::new(gate(in_flight(2), None));
    let (first, second) = (at_once(&gate).await, at_once(&gate).await);
    learn(&gate, Class::Transient, None);
    drop(first);
    assert!(at_once(&gate).await.is_none(), "one place is left, and taken");
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { gate.enter(Attempt::First, Size::default(), Micros(1)).await.is_ok() }
    });
    tokio::task::yield_now().await;
    drop(second);
    assert!(waiting.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_exceeds_the_retries_of_a_minute_comes_back_later_but_for_a_probe() {
    let gate = gate(in_flight(200), None);
    for _ in 0..60 {
        assert!(gate.enter(Attempt::Again, Size::default(), Micros(1)).await.is_ok());
    }
    let closed = gate.enter(Attempt::Again, Size::default(), Micros(1)).await.err();
    assert_eq!(closed, Some(Closed { reopens_in: Duration::from_secs(1) }.into()));
    assert!(at_once(&gate).await.is_some(), "what was never asked goes on");
    learn(&gate, Class::Transient, None);
    assert_eq!(gate.pool.trouble().map(|trouble| trouble.kind), Some("retries"));
    (0..9).for_each(|_| learn(&gate, Class::Transient, None));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(gate.enter(Attempt::Again, Size::default(), Micros(1)).await.is_ok(), "the probe");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_window_has_room_for_does_not_stand_in_line() {
    let limits = |toml: &str| {
        let text = format!("[providers.a]\nkind = \"echo\"\n[providers.a.limits]\n{toml}");
        assay_common::config::Config::parse(&text).unwrap().providers["a"].limits
    };
    let check = |account: &str, model: Option<&str>, (bytes, max_tokens), expected: Option<&str>| {
        let gate = gate(limits(account), model.map(limits));
        let refused = gate.fits(Size { bytes, max_tokens }).err().map(|refused| refused.to_string());
        match (&refused, expected) {
            (Some(refused), Some(part)) => assert!(refused.contains(part), "{refused}"),
            (refused, expected) => assert_eq!(refused.as_deref(), expected, "{account} {bytes}"),
        }
    };
    check("tokens_per_minute = 1000", None, (2_880, Some(100)), None);
    check(
        "tokens_per_minute = 1000",
        None,
        (2_880, Some(101)),
        Some("about 1001 tokens, more than the 1000 that a allows"),
    );
    check("tokens_per_minute = 1000", None, (3_200, None), None);
    check("input_tokens_per_minute = 1000", None, (3_200, Some(9_000)), None);
    check("input_tokens_per_minute = 1000", None, (3_204, None), Some("input_tokens"));
    check("tokens_per_minute = 6000\nwindow_length = \"1s\"", None, (640, None), Some("the 100 that"));
    check("requests_per_minute = 1", Some("tokens_per_minute = 10"), (64, None), Some("that a/m allows"));
    check("requests_per_minute = 1", None, (1 << 40, Some(u32::MAX)), None);
}

#[tokio::test(start_paused = true)]
async fn who_stands_in_line_leaves_it_when_a_limit_becomes_too_low_for_him() {
    let limits = Limits { tokens_per_minute: std::num::NonZeroU64::new(1_000), ..in_flight(5) };
    let leases = Leases::new();
    let account = Arc::new(Account::new("a", &limits, Some(&leases)));
    let gate = Arc::new(Gate::new(account, "a/m".into(), None, None));
    let lease = |seq, amount, limit, firm| {
        let of = |dimension, amount, limit, firm| {
            let firm = Some(Firm { limit: firm, is_set: true });
            Answer { seq, amount: Some(amount), limit: Some(limit), firm, ..open(dimension) }
        };
        let now = Instant::now();
        leases.follow(
            &[
                of(Dimension::Tokens, amount, limit, firm),
                of(Dimension::InFlight, 5, 5, 5),
                open(Dimension::Requests),
            ],
            now + Duration::from_secs(3_600),
            now,
        );
    };
    // One token a second: the first waits for nearly a quarter of an hour.
    lease(1, 1_000_000, 1_000, 1_000);
    let [large, small] = [800, 10].map(|max_tokens| {
        let gate = Arc::clone(&gate);
        let size = Size { bytes: 32, max_tokens: Some(max_tokens) };
        tokio::spawn(async move { gate.enter(Attempt::First, size, Micros(1)).await.map(drop) })
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!large.is_finished() && !small.is_finished());
    // The provider says so, which may be wrong: he waits for two windows at most.
    lease(2, 1_000_000, 300, 1_000);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!large.is_finished() && !small.is_finished());
    lease(3, 1_000_000, 30, 30);
    let refused = large.await.unwrap();
    let Err(Barred::TooLarge(why)) = &refused else { panic!("{refused:?}") };
    let parts = [
        "810 tokens, more than the 30 that a",
        "an operator has set",
        "`assay limits clear a --reason TEXT`",
    ];
    assert!(parts.iter().all(|part| why.to_string().contains(part)), "{why}");
    assert_eq!(small.await.unwrap(), Ok(()), "who stood behind him goes on");
}

#[tokio::test(start_paused = true)]
async fn nobody_calls_before_the_ledger_has_said_what_it_knows() {
    let leases = Leases::new();
    let account = Arc::new(Account::new("a", &Limits::default(), Some(&leases)));
    let gate = Gate::new(account, "a/m".into(), None, Some(&leases));
    let (scopes, now) = (gate.scopes().cloned().collect::<Vec<_>>(), Instant::now());
    let [model, account] = scopes.as_slice() else { panic!("{}", scopes.len()) };
    assert_eq!(
        (model.asks(now).len(), account.asks(now).len()),
        (0, 1),
        "of the model there is nothing to ask"
    );
    assert!(at_once(&gate).await.is_none());
    let until = now + Duration::from_secs(3_600);
    let places = Answer { amount: Some(2), limit: Some(2), ..open(Dimension::InFlight) };
    leases.follow(&[open(Dimension::Requests), places], until, now);
    let held = (at_once(&gate).await, at_once(&gate).await);
    assert!(held.0.is_some() && held.1.is_some() && at_once(&gate).await.is_none(), "others name the places");
    drop(held);
    let nothing = Answer { amount: Some(0), limit: Some(5), ..open(Dimension::Tokens) };
    leases.follow(&[open(Dimension::Requests), Answer { scope: "a/m".into(), ..nothing }], until, now);
    assert!(at_once(&gate).await.is_none(), "others name tokens of the model");
    assert_eq!((model.asks(now).len(), account.asks(now).len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_ends_no_job_however_little_it_is() {
    let leases = Leases::new();
    let account = Arc::new(Account::new("a", &in_flight(5), Some(&leases)));
    let gate = Arc::new(Gate::new(account, "a/m".into(), None, None));
    let now = Instant::now();
    let of = |dimension, amount, limit| Answer { amount, limit, ..open(dimension) };
    let told = [
        of(Dimension::Tokens, Some(1_000_000), Some(60)),
        open(Dimension::Requests),
        of(Dimension::InFlight, Some(5), Some(5)),
    ];
    leases.follow(&told, now + Duration::from_secs(3_600), now);
    let size = Size { bytes: 32, max_tokens: Some(500) };
    for _ in 0..2 {
        assert!(gate.enter(Attempt::First, size, Micros(1)).await.is_ok());
    }
    // The first waits for two windows, the second for his own and the debt of the first.
    assert!((230..=245).contains(&now.elapsed().as_secs()), "{:?}", now.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_any_length_is_not_waited_for_as_if_it_were_the_longest() {
    let limits = Limits { tokens_per_minute: std::num::NonZeroU64::new(10), ..in_flight(5) };
    let gate = gate(limits, None);
    let size = Size { bytes: 16, max_tokens: None };
    // Five tokens of a prompt and one of an answer, where four thousand would take hours.
    for _ in 0..3 {
        let entered = gate.enter(Attempt::First, size, Micros(1));
        let entered = tokio::time::timeout(Duration::from_secs(60), entered).await;
        assert!(entered.is_ok_and(|entered| entered.is_ok()));
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_file_limits_the_sides_apart_what_sums_them_up_is_no_further_limit() {
    let million = std::num::NonZeroU64::new(1_000_000);
    let apart = Limits { output_tokens_per_minute: million, ..Limits::default() };
    let together = Limits { tokens_per_minute: million, ..Limits::default() };
    let check =
        |of_account: Limits, of_model: Option<Limits>, sums_up: bool, expected: Option<Option<u64>>| {
            let leases = Leases::new();
            let account = Arc::new(Account::new("a", &of_account, Some(&leases)));
            let gate = Gate::new(account, "a/m".into(), of_model.as_ref(), Some(&leases));
            let tokens = Meter { limit: Some(48_000), remaining: Some(0), whole_in: None };
            let meters = Meters { tokens, sums_up, ..Meters::default() };
            gate.settle(None, Class::RateLimited, &Usage::default(), &meters);
            let asks = gate.scopes().flat_map(|scope| scope.asks(Instant::now()));
            let of_tokens = asks.filter(|ask| ask.dimension == Dimension::Tokens);
            let heard = of_tokens.map(|ask| ask.said.and_then(|said| said.limit)).next();
            assert_eq!(heard, expected, "{of_account:?} {of_model:?} {sums_up}");
        };
    check(apart, None, true, None);
    check(Limits::default(), Some(apart), true, None);
    check(apart, None, false, Some(Some(48_000)));
    check(together, None, true, Some(Some(48_000)));
    check(Limits::default(), None, true, Some(Some(48_000)));
}

#[tokio::test]
async fn a_request_that_is_refused_again_and_again_for_its_size_never_fits() {
    let job =
        |ordinal| JobKey { run: assay_common::id::RunId::new(uuid::Uuid::nil()), ordinal, generation: 0 };
    let check = |of_account: Limits, meters: Meters, expected: Option<&str>| {
        let gate = gate(of_account, None);
        let refuse =
            |ordinal| gate.never_fits(job(ordinal), Size { bytes: 3_200, max_tokens: Some(100) }, &meters);
        assert!(
            [1, 1, 2].into_iter().all(|ordinal| refuse(ordinal).is_none()),
            "others were refused, or once more"
        );
        let why = refuse(1).map(|why| why.to_string());
        assert_eq!(why.is_some(), expected.is_some(), "{why:?}");
        assert!(why.iter().all(|why| expected.is_some_and(|part| why.contains(part))), "{why:?}");
    };
    let limited = |limit| Meter { limit: Some(limit), ..Meter::default() };
    let together = |limit| Meters { tokens: limited(limit), ..Meters::default() };
    let refused = "more than the 500 that a allows in one window, as the provider says, which has refused it";
    check(Limits::default(), together(500), Some(refused));
    check(Limits::default(), together(5_000), None);
    check(Limits::default(), Meters::default(), None);
    check(Limits::default(), Meters { input_tokens: limited(500), ..Meters::default() }, Some(refused));
    // It was refused for something else.
    let requests = Meter { remaining: Some(0), ..limited(60) };
    check(Limits::default(), Meters { requests, ..together(500) }, None);
    // Numbers are of a minute, whatever is counted over.
    let hour = assay_common::config::Span(Duration::from_secs(3_600));
    check(Limits { window_length: Some(hour), ..Limits::default() }, together(500), None);
    // The sum of both sides is no limit of its own.
    let apart = Limits { output_tokens_per_minute: std::num::NonZeroU64::new(1_000), ..Limits::default() };
    check(apart, Meters { sums_up: true, ..together(500) }, None);
}
