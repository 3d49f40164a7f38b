//! Caps: what the calls of an account cost in a day, and what is set aside for them, never exceed its cap together, whichever
//! runs they are of.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::job::{Call, DayCap, Reservation, Settlement};
use assay_common::money::NanoUsd;
use assay_store::{AccountProblem, SetAside, Spending, StoreUrl};

use super::asking::entry;
use super::fixture::{Fixture, NOW, call, finished};

const DONE: SetAside = SetAside::Done;
const DAY: SetAside = SetAside::DayIsShort;
/// The same time of the next day.
const TOMORROW: Micros = Micros(NOW.0 + 24 * 60 * 60 * 1_000_000);

fn asked(fixture: &Fixture, ordinal: u64, amount: i64, most: i64) -> Reservation {
    let cap = Some(DayCap { account: "a".into(), most: NanoUsd(most) });
    Reservation { key: fixture.key(ordinal), attempt: 1, seq: 0, amount: NanoUsd(amount), cap }
}

fn paid(fixture: &Fixture, ordinal: u64, cost: Option<i64>) -> Settlement {
    let mut passed = fixture.passed(ordinal, 1);
    passed.calls = vec![Call { frees: cost.is_some(), ..call(cost) }];
    finished(passed)
}

/// The account's day, which is within its cap.
async fn day(fixture: &Fixture, at: Micros) -> Option<Spending> {
    let day = fixture.store.spending(at).await.unwrap().pop();
    day.inspect(|day| assert!(day.cost.0 + day.reserved.0 <= day.cap().0, "{day:?}"))
}

/// Spent, set aside, and what is wanting.
async fn stands(fixture: &Fixture, at: Micros) -> (i64, i64, Option<i64>) {
    let day = day(fixture, at).await.unwrap();
    (day.cost.0, day.reserved.0, day.short.map(|(short, _)| short.0))
}

/// A call is paid for out of its run's budget, which is 1000 here, and out of its account's day; what it turns out not to
/// cost is free again, once.
pub async fn no_day_costs_more_than_its_cap(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 8).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, 0..8).await;
    assert_eq!(day(&fixture, NOW).await, None, "nobody has called");
    let three =
        vec![asked(&fixture, 0, 400, 600), asked(&fixture, 1, 300, 600), asked(&fixture, 2, 200, 600)];
    for _ in 0..2 {
        assert_eq!(store.reserve(three.clone(), NOW).await.unwrap(), [DONE, DAY, DONE]);
        assert_eq!(stands(&fixture, NOW).await, (0, 600, Some(300)));
        assert_eq!(fixture.run().await.reserved, NanoUsd(600), "what the day refuses the run has not lost");
    }
    let settled = vec![paid(&fixture, 0, Some(350)), paid(&fixture, 2, None)];
    for _ in 0..2 {
        fixture.settle(settled.clone()).await;
        assert_eq!(stands(&fixture, NOW).await, (350, 200, Some(300)), "an unknown cost stays set aside");
    }
    assert_eq!(store.reserve(vec![asked(&fixture, 3, 50, 600)], NOW).await.unwrap(), [DONE]);
    assert_eq!(stands(&fixture, NOW).await, (350, 250, None));
    // Midnight passes. What was set aside before counts against the day before, also when it is known only now.
    let rest = vec![asked(&fixture, 4, 300, 600), asked(&fixture, 5, 90, 600)];
    assert_eq!(store.reserve(rest, TOMORROW).await.unwrap(), [DONE, DONE]);
    fixture.settle(vec![paid(&fixture, 3, Some(40)), paid(&fixture, 4, Some(299))]).await;
    assert_eq!(stands(&fixture, NOW).await, (390, 200, None));
    assert_eq!(stands(&fixture, TOMORROW).await, (299, 90, None));
    let run = fixture.run().await;
    assert_eq!((run.cost, run.reserved), (NanoUsd(689), NanoUsd(290)));
}

/// Workers that ask at the same time share the day.
pub async fn askers_at_once_share_a_cap(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 30).await;
    let mut askers = tokio::task::JoinSet::new();
    for n in 0..6u64 {
        let store = fixture.store.clone();
        let asked: Vec<_> = (n * 5..n * 5 + 5).map(|ordinal| asked(&fixture, ordinal, 30, 400)).collect();
        askers.spawn(async move {
            let mut granted = 0;
            for reservation in asked {
                granted += usize::from(store.reserve(vec![reservation], NOW).await.unwrap() == [DONE]);
            }
            granted
        });
    }
    assert_eq!(askers.join_all().await.into_iter().sum::<usize>(), 13);
    assert_eq!(stands(&fixture, NOW).await, (0, 390, Some(30)));
}

/// Of files that disagree each is held to what it says; what somebody sets holds for all, from the next call on.
pub async fn a_cap_is_raised_by_hand(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 8).await;
    let store = &fixture.store;
    let ask = async |ordinal, most, at| {
        store.reserve(vec![asked(&fixture, ordinal, 100, most)], at).await.unwrap().remove(0)
    };
    let next = NOW.plus(Duration::from_secs(1));
    assert_eq!((ask(0, 150, NOW).await, ask(1, 150, NOW).await, ask(1, 150, next).await), (DONE, DAY, DAY));
    assert_eq!((ask(2, 50, NOW).await, ask(2, 50, next).await), (DAY, DAY));
    let short = store.spending(NOW).await.unwrap().remove(0);
    assert_eq!((short.configured, short.set.clone()), ([NanoUsd(50), NanoUsd(150)], None));
    assert_eq!(short.short, Some((NanoUsd(100), NOW)), "since it was first so");
    let problems = store.problems(next).await.unwrap();
    assert_eq!(problems[0].0, "a");
    assert_eq!((problems[0].1.kind.as_str(), problems[0].1.since), (AccountProblem::SPENT, NOW));
    assert!(store.problems(TOMORROW).await.unwrap().is_empty());

    let set = async |n, to: Option<i64>| {
        let (account, to) = ("a".to_owned(), to.map(NanoUsd));
        store.set_cap(account, to, "the sweep".to_owned(), entry(n, "limit.set", "a")).await.unwrap()
    };
    assert!(set(1, Some(199)).await);
    assert_eq!(store.problems(next).await.unwrap().len(), 1, "that is not enough");
    assert!(set(5, Some(250)).await);
    assert!(
        store.problems(next).await.unwrap().is_empty(),
        "there is money again, though nobody has asked for it yet"
    );
    assert_eq!((ask(1, 150, NOW).await, ask(2, 50, NOW).await), (DONE, DAY));
    assert!(set(2, Some(300)).await);
    assert_eq!(ask(2, 50, NOW).await, DONE);
    let raised = day(&fixture, NOW).await.unwrap();
    let by = raised.set.as_ref().map(|set| (set.most.0, set.by.as_str(), set.reason.as_str()));
    assert_eq!((raised.cap(), raised.short, by), (NanoUsd(300), None, Some((300, "ann", "the sweep"))));
    assert!(store.problems(NOW).await.unwrap().is_empty());
    assert!(set(3, None).await);
    assert!(!set(4, None).await, "there is none any more");
    assert_eq!(store.audit(None, 9).await.unwrap().len(), 4, "what changed nothing is in no audit");
    assert_eq!(ask(3, 150, NOW).await, DAY);
    // What is set aside may come to less. Somebody is told when even nothing of it would do, and of one cap once.
    let told = store.unplanned_events(next, 9).await.unwrap();
    let told: Vec<_> = told.iter().map(|event| event.summary.as_str()).collect();
    assert!(
        matches!(told.as_slice(), [one] if one.starts_with("a needs attention: its $0.00000005 ")),
        "{told:?}"
    );
}
