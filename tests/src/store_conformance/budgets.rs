//! Budgets: what is spent and what is set aside never exceed them together, and what is set aside is freed once.

use assay_common::clock::Micros;
use assay_common::job::{Answer, Call, Reservation, Settlement, Tries};
use assay_common::money::NanoUsd;
use assay_store::{Mandate, SetAside, StoreUrl};

use super::fixture::{Fixture, NOW, call, finished};

/// The budget of every run here, in nano-dollars.
const BUDGET: i64 = 1_000;
const DONE: SetAside = SetAside::Done;
const RUN: SetAside = SetAside::RunIsShort;

fn asked(fixture: &Fixture, ordinal: u64, attempt: u32, amount: i64) -> Reservation {
    Reservation { key: fixture.key(ordinal), attempt, seq: 0, amount: NanoUsd(amount), cap: None }
}

/// Spent, set aside, and what is wanting.
async fn purse(fixture: &Fixture) -> (i64, i64, Option<i64>) {
    let run = fixture.run().await;
    assert_eq!(run.budget, Some(NanoUsd(BUDGET)));
    assert!(run.cost.0 + run.reserved.0 <= BUDGET, "{run:?}");
    (run.cost.0, run.reserved.0, run.short.map(|short| short.0))
}

/// A job that passed with one call of this cost, which frees what was set aside for it.
fn paid(fixture: &Fixture, ordinal: u64, cost: Option<i64>) -> Settlement {
    let mut passed = fixture.passed(ordinal, 1);
    passed.calls = vec![Call { frees: cost.is_some(), ..call(cost) }];
    finished(passed)
}

/// Calls are granted in their order as far as the budget goes; a call that does not fit leaves the run short of it until
/// enough is freed.
pub async fn no_more_is_set_aside_than_there_is(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 8).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, 0..8).await;
    let four = vec![
        asked(&fixture, 0, 1, 400),
        asked(&fixture, 1, 1, 400),
        asked(&fixture, 2, 1, 300),
        asked(&fixture, 3, 1, 200),
    ];
    for _ in 0..2 {
        // Asked for again, because the answer was lost, nothing is set aside twice.
        assert_eq!(store.reserve(four.clone(), NOW).await.unwrap(), [DONE, DONE, RUN, DONE]);
        assert_eq!(purse(&fixture).await, (0, 1_000, Some(300)));
    }
    let first = vec![paid(&fixture, 0, Some(390))];
    fixture.settle(first.clone()).await;
    assert_eq!(purse(&fixture).await, (390, 600, Some(300)), "10 are not enough");
    let second = vec![paid(&fixture, 1, Some(5)), paid(&fixture, 3, Some(5))];
    fixture.settle(second.clone()).await;
    assert_eq!(purse(&fixture).await, (400, 0, None));
    fixture.settle([first, second].concat()).await;
    assert_eq!(purse(&fixture).await, (400, 0, None), "sent twice, it frees nothing more");
    assert_eq!(store.reserve(vec![asked(&fixture, 2, 1, 600)], NOW).await.unwrap(), [DONE]);
    assert!(store.reserve(Vec::new(), NOW).await.unwrap().is_empty());
}

/// Workers that ask at the same time share what there is.
pub async fn askers_at_once_share_a_budget(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 60).await;
    let mut askers = tokio::task::JoinSet::new();
    for n in 0..6u64 {
        let store = fixture.store.clone();
        let asked: Vec<_> = (n * 10..n * 10 + 10).map(|ordinal| asked(&fixture, ordinal, 1, 30)).collect();
        askers.spawn(async move {
            let mut granted = 0;
            for reservation in asked {
                granted += usize::from(store.reserve(vec![reservation], NOW).await.unwrap() == [DONE]);
            }
            granted
        });
    }
    assert_eq!(askers.join_all().await.into_iter().sum::<usize>(), 33);
    assert_eq!(purse(&fixture).await, (0, 990, Some(30)));
}

/// What was set aside for a call whose end nobody knows stays so: it may be on the bill.
pub async fn lost_calls_stay_on_the_books(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 2).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0, 1]).await;
    let both = vec![asked(&fixture, 0, 1, 100), asked(&fixture, 1, 1, 100)];
    store.reserve(both, NOW).await.unwrap();
    fixture.settle(vec![paid(&fixture, 0, None)]).await;
    store.bury(Mandate::Own, fixture.member, Micros(5)).await.unwrap();
    assert_eq!(purse(&fixture).await, (0, 200, None));
    // Its member was only frozen: the call is known after all.
    fixture.settle(vec![paid(&fixture, 1, Some(7))]).await;
    assert_eq!(purse(&fixture).await, (7, 100, None));
}

/// The tries of a job are counted by their kind over all its claims, a death among them.
pub async fn tries_outlive_their_claim(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 1).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0]).await;
    let due = Micros(2);
    let Settlement::Parked(mut parked) = fixture.parked(0, 1, due, 3) else { unreachable!("it is parked") };
    parked.tries = Tries { counted: 3, ambiguous: 1, malformed: 1 };
    fixture.settle(vec![Settlement::Parked(parked)]).await;
    assert_eq!(fixture.claim(fixture.member, [0]).await[0].tries, parked_tries(1));
    store.bury(Mandate::Own, fixture.member, due).await.unwrap();
    assert_eq!(fixture.claim(fixture.other, [0]).await[0].tries, parked_tries(2));
    store.leave(fixture.other, due).await.unwrap();
    store.join(fixture.other, "worker", "host".to_owned(), 42, due).await.unwrap();
    assert_eq!(fixture.claim(fixture.other, [0]).await[0].tries, parked_tries(2), "a farewell is no death");
    store.bury_all(due).await.unwrap();
    store.join(fixture.other, "worker", "host".to_owned(), 42, due).await.unwrap();
    // After two deaths it is granted alone.
    let alone = store.claim_alone(fixture.other, fixture.hint(0), NOW).await.unwrap();
    assert!(matches!(alone, Answer::Granted(grant) if grant.tries == parked_tries(3)));
}

fn parked_tries(ambiguous: u32) -> Tries {
    Tries { counted: 3, ambiguous, malformed: 1 }
}
