//! Runs, their expansion, and which of their jobs may be dispatched.

use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_common::money::NanoUsd;
use assay_common::suite::Priority;
use assay_store::{Mandate, Run, RunState, StoreUrl};

use super::fixture::{Fixture, NOW, POOL, TRACE, jobs, new_run, run_id};

/// A run comes back as it was created, and the newest that is not over is the one to resume.
pub async fn a_run_is_created_and_found(place: StoreUrl) {
    let fixture = Fixture::created(&place, 3).await;
    let store = &fixture.store;
    let revision = fixture.suite.revision();
    let expected = Run {
        id: run_id(1),
        suite_name: "capitals".to_owned(),
        revision: revision.clone(),
        state: RunState::Running,
        reason: None,
        seed: [7; 32],
        planned: 3,
        cursor: 0,
        expanded: false,
        passed: 0,
        failed: 0,
        errored: 0,
        cancelled: 0,
        cost: NanoUsd(0),
        budget: Some(NanoUsd(1_000)),
        reserved: NanoUsd(0),
        short: None,
        priority: Priority::Normal,
        pruned_at: None,
        created_at: NOW,
        started_at: None,
        finished_at: None,
        deadline_at: Micros(9_000_000),
        trace: TRACE,
        stopped_early: false,
    };
    // Written as it stands.
    store.touch(run_id(1)).await.unwrap();
    assert_eq!(store.run(run_id(1)).await.unwrap(), Some(expected));
    assert_eq!(store.run(run_id(2)).await.unwrap(), None);
    store.create_run(new_run(run_id(2), revision.clone(), 3)).await.unwrap();
    assert!(store.create_run(new_run(run_id(2), revision.clone(), 3)).await.is_err());
    assert!(store.create_run(new_run(run_id(3), Digest::of(b"never frozen"), 3)).await.is_err());
    assert_eq!(store.unfinished_run(revision.clone()).await.unwrap(), Some(run_id(2)));
    assert!(store.cancel(run_id(2), "no more".into(), NOW).await.unwrap());
    assert_eq!(store.finish(Mandate::Own, run_id(2), NOW).await.unwrap().unwrap().state, RunState::Cancelled);
    assert_eq!(store.unfinished_run(revision).await.unwrap(), Some(run_id(1)));
    assert_eq!(store.unfinished_run(Digest::of(b"never frozen")).await.unwrap(), None);
    let ids =
        async |limit| store.runs(None, limit).await.unwrap().iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids(10).await, [run_id(2), run_id(1)]);
    assert_eq!(ids(1).await, [run_id(2)]);
    let older = store.runs(Some(run_id(2)), 10).await.unwrap();
    assert_eq!(older.iter().map(|run| run.id).collect::<Vec<_>>(), [run_id(1)]);
    assert_eq!(store.runs(Some(run_id(1)), 10).await.unwrap(), []);
}

/// A chunk goes in where the cursor stands, or not at all.
pub async fn expansion_moves_the_cursor_once(place: StoreUrl) {
    let fixture = Fixture::created(&place, 500).await;
    let store = &fixture.store;
    let expand =
        async |from, jobs, ended| store.expand(Mandate::Own, fixture.run, from, jobs, ended).await.unwrap();
    assert!(expand(0, jobs(0..300), false).await);
    assert!(!expand(0, jobs(0..300), false).await, "sent again");
    assert!(!expand(400, jobs(400..500), false).await, "a gap");
    let run = fixture.run().await;
    assert_eq!((run.cursor, run.expanded), (300, false));
    assert!(expand(300, jobs(300..500), true).await);
    assert!(!expand(500, jobs(500..501), true).await, "after the end");
    let run = fixture.run().await;
    assert_eq!((run.cursor, run.expanded), (500, true));
    assert_eq!(store.due_fresh(fixture.run, POOL.into(), None, 1_000).await.unwrap().len(), 500);
    assert!(!store.expand(Mandate::Own, run_id(9), 0, jobs(0..1), true).await.unwrap(), "an unknown run");
}

/// Of many expanders of one chunk one wins.
pub async fn one_of_many_expanders_wins(place: StoreUrl) {
    let fixture = Fixture::created(&place, 50).await;
    let mut expanders = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (store, run) = (fixture.store.clone(), fixture.run);
        expanders.spawn(async move { store.expand(Mandate::Own, run, 0, jobs(0..50), true).await.unwrap() });
    }
    let won = expanders.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
    assert_eq!(fixture.run().await.cursor, 50);
}

/// Fresh jobs by ordinal in pages, returned ones when they are due, and the moment the next of those is.
pub async fn due_jobs_come_in_order(place: StoreUrl) {
    let fixture = Fixture::created(&place, 8).await;
    let store = &fixture.store;
    let mut chunk = jobs(0..8);
    chunk[7].pool = "another".to_owned();
    assert!(store.expand(Mandate::Own, fixture.run, 0, chunk, true).await.unwrap());
    let fresh = async |after, limit| store.due_fresh(fixture.run, POOL.into(), after, limit).await.unwrap();
    let returned = async |now| store.due_returned(fixture.run, POOL.into(), Micros(now), 10).await.unwrap();
    assert_eq!(fresh(None, 3).await, [0, 1, 2]);
    assert_eq!(fresh(Some(2), 10).await, [3, 4, 5, 6]);
    assert_eq!(store.due_fresh(fixture.run, "another".into(), None, 10).await.unwrap(), [7]);
    assert_eq!(store.next_due(fixture.run).await.unwrap(), None);
    fixture.claim(fixture.member, [0, 1, 2]).await;
    fixture
        .settle(vec![
            fixture.parked(0, 1, Micros(3_000_000), 1),
            fixture.parked(1, 1, Micros(2_000_000), 1),
            // A moment that says nothing is still that of a job given back.
            fixture.parked(2, 1, Micros(0), 1),
        ])
        .await;
    assert_eq!(fresh(None, 10).await, [3, 4, 5, 6]);
    assert_eq!(returned(1_999_999).await, [2]);
    assert_eq!(returned(2_000_000).await, [1, 2]);
    assert_eq!(returned(3_000_000).await, [0, 1, 2]);
    assert_eq!(store.next_due(fixture.run).await.unwrap(), Some(Micros(1)));
    fixture.claim(fixture.member, [2]).await;
    assert_eq!(store.next_due(fixture.run).await.unwrap(), Some(Micros(2_000_000)));
}
