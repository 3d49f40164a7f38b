//! Members, and how what they hold comes back: released, left, buried.

use assay_common::clock::Micros;
use assay_common::id::MemberId;
use assay_common::job::{Answer, Decline};
use assay_common::outcome::{ErrorKind, Outcome};
use assay_store::{Mandate, Offer, StoreUrl, Suspect};

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

/// Why a claim of a job alone is declined; `None`: it is granted.
async fn declined_alone(fixture: &Fixture, member: MemberId, ordinal: u64) -> Option<Decline> {
    match fixture.store.claim_alone(member, fixture.hint(ordinal), LATER).await.unwrap() {
        Answer::Granted(_) => None,
        Answer::Declined(why, _) => Some(why),
    }
}

/// Claims all jobs for the first member, suspects alone, and buries it. Returns how many it was granted.
async fn dies_with(fixture: &Fixture, ordinals: &[u64]) -> usize {
    let store = &fixture.store;
    store.join(fixture.member, "worker", "host".into(), 42, LATER).await.unwrap();
    let hints = ordinals.iter().map(|ordinal| fixture.hint(*ordinal)).collect();
    let answers = store.claim(fixture.member, hints, LATER).await.unwrap();
    let granted = answers.iter().filter(|(_, answer)| matches!(answer, Answer::Granted(_))).count();
    store.bury(Mandate::Own, fixture.member, LATER).await.unwrap();
    granted
}

/// After two deaths a job is granted to who holds nothing else; the second that dies with it then ends it, and it alone.
pub async fn a_suspect_runs_alone_and_ends_as_poison(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 5).await;
    let (store, me, other) = (&fixture.store, fixture.member, fixture.other);
    assert_eq!(dies_with(&fixture, &[0, 1, 2]).await, 3);
    assert_eq!(store.suspects(fixture.run).await.unwrap(), []);
    assert_eq!(dies_with(&fixture, &[0, 1]).await, 2);
    let suspect = |ordinal: u64, running| {
        let case_id = format!("case-{ordinal}");
        Suspect { ordinal, case_id, deaths: 2, running }
    };
    let suspects = async || store.suspects(fixture.run).await.unwrap();
    assert_eq!(suspects().await, [suspect(0, false), suspect(1, false)]);
    // Beside others it is not to be had, alone only by who holds nothing else; then as often as he asks.
    assert_eq!(dies_with(&fixture, &[0, 1]).await, 0);
    store.join(me, "worker", "host".into(), 42, LATER).await.unwrap();
    assert_eq!(fixture.declined(me, 0, LATER).await, Some(Decline::Suspect));
    assert_eq!(fixture.declined(me, 3, LATER).await, None);
    assert_eq!(declined_alone(&fixture, me, 0).await, Some(Decline::Suspect));
    store.release(me, vec![fixture.key(3)], LATER).await.unwrap();
    assert_eq!(declined_alone(&fixture, me, 0).await, None);
    assert_eq!(declined_alone(&fixture, me, 0).await, None);
    assert_eq!(declined_alone(&fixture, me, 1).await, Some(Decline::Suspect));
    assert_eq!(declined_alone(&fixture, other, 0).await, Some(Decline::Busy));
    assert_eq!(suspects().await, [suspect(0, true), suspect(1, false)]);
    assert_eq!(declined_alone(&fixture, other, 1).await, None);
    // The neighbour clears his name.
    store.settle(other, vec![finished(fixture.passed(1, 3))], LATER).await.unwrap();
    // One death alone may be chance.
    assert_eq!(store.bury(Mandate::Own, me, LATER).await.unwrap(), 1);
    assert_eq!(fixture.counts().await, [1, 0, 0, 0]);
    assert_eq!(suspects().await, [Suspect { deaths: 3, ..suspect(0, false) }]);
    assert_eq!(declined_alone(&fixture, other, 0).await, None);
    assert_eq!(store.bury(Mandate::Own, other, LATER).await.unwrap(), 1);
    assert_eq!(fixture.counts().await, [1, 0, 1, 0]);
    assert_eq!(suspects().await, []);
    store.join(other, "worker", "host".into(), 42, LATER).await.unwrap();
    let row = store.results(fixture.run, None, 1).await.unwrap().remove(0);
    assert_eq!((row.row.outcome, row.claims, row.crash_claims), (Outcome::Errored(ErrorKind::Poison), 4, 4));
    assert!(row.error.unwrap().contains("four claims"), "it says why");
    assert_eq!(declined_alone(&fixture, other, 0).await, Some(Decline::Done));
    // Who died with one death to his name, or in peace, is as he was.
    assert_eq!(fixture.declined(other, 2, LATER).await, None);
    assert_eq!(store.leave(other, LATER).await.unwrap(), 1);
    assert_eq!(suspects().await, []);
}

/// The same for the owner of a file who is killed time after time.
pub async fn an_owner_who_is_killed_time_after_time_finds_the_poison(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 2).await;
    let store = &fixture.store;
    let rejoin = async || store.join(fixture.member, "run", "host".into(), 42, LATER).await.unwrap();
    for _ in 0..2 {
        rejoin().await;
        assert_eq!(fixture.declined(fixture.member, 0, LATER).await, None);
        assert_eq!(store.bury_all(LATER).await.unwrap(), 1);
    }
    for poison in 0..2 {
        assert_eq!(fixture.counts().await, [0, 0, 0, 0], "after {poison} deaths alone");
        rejoin().await;
        assert_eq!(declined_alone(&fixture, fixture.member, 0).await, None);
        assert_eq!(store.bury_all(LATER).await.unwrap(), 1);
    }
    assert_eq!(fixture.counts().await, [0, 0, 1, 0]);
    // One that was being cancelled is cancelled.
    rejoin().await;
    assert_eq!(fixture.declined(fixture.member, 1, LATER).await, None);
    store.cancel(fixture.run, "enough".into(), LATER).await.unwrap();
    assert_eq!(store.bury_all(LATER).await.unwrap(), 1);
    assert_eq!(fixture.counts().await, [0, 0, 1, 1]);
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
