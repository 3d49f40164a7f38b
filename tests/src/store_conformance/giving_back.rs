//! Members, and how what they hold comes back: released, left, buried.

use assay_common::clock::Micros;
use assay_common::job::Decline;
use assay_store::{Mandate, Offer, StoreUrl};

use super::fixture::{Fixture, NOW, POOL, finished, member_id};

/// A moment after everything else.
const LATER: Micros = Micros(4_000_000);

/// Beats raise a counter, and a member that is gone hears of it.
pub async fn members_beat(place: StoreUrl) {
    let fixture = Fixture::created(&place, 1).await;
    let store = &fixture.store;
    let beats = async || {
        let members = store.members().await.unwrap();
        members.iter().map(|member| (member.id, member.beat)).collect::<Vec<_>>()
    };
    assert_eq!(beats().await, [(fixture.member, 0), (fixture.other, 0)]);
    assert!(store.beat(fixture.other, &Offer::default()).await.unwrap());
    assert!(store.beat(fixture.other, &Offer::default()).await.unwrap());
    assert_eq!(beats().await, [(fixture.member, 0), (fixture.other, 2)]);
    assert_eq!(store.leave(fixture.other, NOW).await.unwrap(), 0);
    assert!(!store.beat(fixture.other, &Offer::default()).await.unwrap());
    assert!(!store.beat(member_id(9), &Offer::default()).await.unwrap());
    let members = store.members().await.unwrap();
    assert_eq!(members.len(), 1);
    let member = &members[0];
    assert_eq!((member.kind.as_str(), member.host.as_str(), member.pid), ("worker", "host", 42));
    assert_eq!(member.joined_at, NOW);
}

/// What was not begun is due at once, for anybody; what another holds stays his.
pub async fn released_jobs_are_due_at_once(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 4).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0, 1]).await;
    fixture.claim(fixture.other, [2]).await;
    let keys = vec![fixture.key(2), fixture.key(1), fixture.key(1), fixture.key(3)];
    for _ in 0..2 {
        store.release(fixture.member, keys.clone(), LATER).await.unwrap();
    }
    assert_eq!(store.due_returned(fixture.run, POOL.into(), LATER, 10).await.unwrap(), [1]);
    assert_eq!(store.due_fresh(fixture.run, POOL.into(), None, 10).await.unwrap(), [3]);
    assert_eq!(fixture.declined(fixture.member, 2, LATER).await, Some(Decline::Busy));
    assert_eq!(fixture.declined(fixture.other, 1, LATER).await, None);
    store.release(fixture.member, Vec::new(), LATER).await.unwrap();
}

/// Burying a member frees what it held and counts the crash; leaving frees it and counts none.
pub async fn a_burial_counts_the_crash(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 3).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0, 1]).await;
    fixture.claim(fixture.other, [2]).await;
    assert_eq!(store.bury(Mandate::Own, fixture.member, LATER).await.unwrap(), 2);
    assert_eq!(store.bury(Mandate::Own, fixture.member, LATER).await.unwrap(), 0);
    assert_eq!(store.due_returned(fixture.run, POOL.into(), LATER, 10).await.unwrap(), [0, 1]);
    assert_eq!(store.leave(fixture.other, LATER).await.unwrap(), 1);
    assert!(store.members().await.unwrap().is_empty());
    store.join(fixture.member, "worker", "host".into(), 42, LATER).await.unwrap();
    let hints = (0..3).map(|ordinal| fixture.hint(ordinal)).collect();
    store.claim(fixture.member, hints, LATER).await.unwrap();
    fixture.settle((0..3).map(|ordinal| finished(fixture.passed(ordinal, 2))).collect()).await;
    let rows = store.results(fixture.run, None, 10).await.unwrap();
    let crashes: Vec<_> = rows.iter().map(|row| (row.claims, row.crash_claims)).collect();
    assert_eq!(crashes, [(2, 1), (2, 1), (2, 0)]);
}

/// The new owner of a store voids every older member at once.
pub async fn all_are_buried_together(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 3).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0]).await;
    fixture.claim(fixture.other, [1]).await;
    assert_eq!(store.bury_all(LATER).await.unwrap(), 2);
    assert!(store.members().await.unwrap().is_empty());
    assert_eq!(store.due_returned(fixture.run, POOL.into(), LATER, 10).await.unwrap(), [0, 1]);
    assert_eq!(store.due_fresh(fixture.run, POOL.into(), None, 10).await.unwrap(), [2]);
    assert_eq!(store.bury_all(LATER).await.unwrap(), 0);
}

/// A burial beside claims of the same member leaves nothing running without a member.
pub async fn no_claim_outlives_its_member(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 200).await;
    let store = fixture.store.clone();
    let member = fixture.member;
    let claims: Vec<_> = (0..200).map(|ordinal| fixture.hint(ordinal)).collect();
    let claiming = tokio::spawn(async move {
        for hint in claims {
            if store.claim(member, vec![hint], NOW).await.is_err() {
                break;
            }
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    fixture.store.bury(Mandate::Own, member, NOW).await.unwrap();
    claiming.await.unwrap();
    let fresh = fixture.store.due_fresh(fixture.run, POOL.into(), None, 1_000).await.unwrap();
    let returned = fixture.store.due_returned(fixture.run, POOL.into(), NOW, 1_000).await.unwrap();
    assert_eq!(fresh.len() + returned.len(), 200, "all are pending");
}
