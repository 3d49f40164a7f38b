//! The leader of a fleet, and what a fleet knows of itself: fenced writes, pools, offers.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_store::{Candidacy, Mandate, Offer, OpenPool, RunPool, RunState, StoreError, StoreUrl};

use super::fixture::{Fixture, NOW, finished, jobs, member_id, new_run, run_id};

/// Every write that only a leader may make is refused once there is another, and changes nothing.
pub async fn an_old_epoch_is_refused(place: StoreUrl) {
    let fixture = Fixture::created(&place, 4).await;
    let store = &fixture.store;
    assert_eq!(store.leader().await.unwrap(), None);
    let old = store.raise_epoch(member_id(7), NOW).await.unwrap();
    assert!(store.expand(old, fixture.run, 0, jobs(0..2), false).await.unwrap());
    fixture.claim(fixture.member, [0, 1]).await;
    let new = store.raise_epoch(member_id(8), NOW).await.unwrap();
    assert_eq!(store.leader().await.unwrap(), Some(member_id(8)));
    assert_ne!(old, new);

    let deposed = |error: StoreError| {
        assert!(matches!(error, StoreError::Deposed { epoch: 1, current: 2 }), "{error}");
    };
    deposed(store.expand(old, fixture.run, 2, jobs(2..4), true).await.unwrap_err());
    deposed(store.bury(old, fixture.member, NOW).await.unwrap_err());
    deposed(store.give_up(old, fixture.run, "late".into(), NOW).await.unwrap_err());
    deposed(store.hold_up(old, fixture.run, "odd".into(), NOW).await.unwrap_err());
    deposed(store.finish(old, fixture.run, NOW).await.unwrap_err());
    let run = fixture.run().await;
    assert_eq!((run.cursor, run.expanded, run.state), (2, false, RunState::Running));
    assert_eq!(store.members().await.unwrap().len(), 2);

    assert!(store.expand(new, fixture.run, 2, jobs(2..4), true).await.unwrap());
    assert_eq!(store.bury(new, fixture.other, NOW).await.unwrap(), 0);
    assert!(store.hold_up(new, fixture.run, "odd".into(), NOW).await.unwrap());
    assert!(!store.hold_up(new, fixture.run, "again".into(), NOW).await.unwrap());
    let run = fixture.run().await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Paused, Some("odd")));
    assert!(store.give_up(new, fixture.run, "late".into(), NOW).await.unwrap());
    fixture.settle(vec![finished(fixture.passed(0, 1)), finished(fixture.passed(1, 1))]).await;
    assert_eq!(store.finish(new, fixture.run, NOW).await.unwrap().unwrap().state, RunState::Cancelled);
    assert_eq!(fixture.counts().await, [2, 0, 0, 2]);
}

/// On PostgreSQL one session has the lock; it passes on when that session ends, by itself or by force.
pub async fn one_candidate_leads(place: StoreUrl) {
    let fixture = Fixture::created(&place, 1).await;
    let store = &fixture.store;
    let mut first = Candidacy::open(store).await.unwrap();
    assert!(first.try_lock().await.unwrap());
    assert!(first.is_alive().await);
    let StoreUrl::Postgres(_) = place else { return };
    let mut second = Candidacy::open(store).await.unwrap();
    assert!(!second.try_lock().await.unwrap());
    first.end().await;
    until_locked(&mut second).await;
    let mut third = Candidacy::open(store).await.unwrap();
    assert!(!third.try_lock().await.unwrap());
    third.depose().await.unwrap();
    until_locked(&mut third).await;
    assert!(!second.is_alive().await);
}

/// The server takes a moment to notice that a session has ended.
async fn until_locked(candidate: &mut Candidacy) {
    for _ in 0..100 {
        if candidate.try_lock().await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("the lock is free");
}

/// Open runs and their pools are found; those of a run that is over are not.
pub async fn open_runs_need_their_pools(place: StoreUrl) {
    let fixture = Fixture::created(&place, 1).await;
    let store = &fixture.store;
    let pool = |name: &str| RunPool {
        pool: format!("{name}.1"),
        provider: name.to_owned(),
        model: format!("{name}/m"),
    };
    let mut run = new_run(run_id(2), fixture.suite.revision(), 1);
    run.pools = vec![pool("a"), pool("b")];
    store.create_run(run.clone()).await.unwrap();
    let mut other = new_run(run_id(3), fixture.suite.revision(), 1);
    (other.pools, other.budget) = (vec![pool("b"), pool("c")], None);
    store.create_run(other).await.unwrap();
    let open = |name: &str, has_budget| OpenPool { pool: pool(name), has_budget };
    assert_eq!(store.open_pools().await.unwrap(), [open("a", true), open("b", true), open("c", false)]);
    let ids = async || store.open_runs().await.unwrap().iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids().await, [run_id(1), run_id(2), run_id(3)]);
    assert!(store.cancel(run_id(2), "enough".into(), NOW).await.unwrap());
    store.finish(Mandate::Own, run_id(2), NOW).await.unwrap().unwrap();
    assert_eq!(store.open_pools().await.unwrap(), [open("b", false), open("c", false)]);
    assert_eq!(ids().await, [run_id(1), run_id(3)]);
    let mut known = store.known_pools().await.unwrap();
    known.sort();
    assert_eq!(known, ["a.1", "b.1", "c.1"]);
}

/// What a member offers comes with its beat, and goes with the member.
pub async fn members_say_what_they_offer(place: StoreUrl) {
    let fixture = Fixture::created(&place, 1).await;
    let store = &fixture.store;
    let offers = async || {
        let members = store.members().await.unwrap();
        members.into_iter().map(|member| member.offer).collect::<Vec<_>>()
    };
    assert_eq!(offers().await, [Offer::default(), Offer::default()]);
    let offer = Offer {
        serves: BTreeMap::from([("echo.abc".to_owned(), 120)]),
        lacks: BTreeMap::from([("openai".to_owned(), "set OPENAI_API_KEY".to_owned())]),
    };
    assert!(store.beat(fixture.other, &offer).await.unwrap());
    assert_eq!(offers().await, [Offer::default(), offer]);
    let members = store.members().await.unwrap();
    assert_eq!(members[0].version, env!("CARGO_PKG_VERSION"));
    assert!(members[0].schema_version >= 2);
    store.leave(fixture.other, NOW).await.unwrap();
    assert_eq!(offers().await, [Offer::default()]);
}
