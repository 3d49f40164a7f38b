//! How runs end: cancelled or completed, with the counts of their rows.

use assay_common::clock::Micros;
use assay_common::job::{Answer, Decline};
use assay_store::{Attempt, Mandate, RunState, StoreUrl};

use super::fixture::{Fixture, NOW, POOL, counts, finished, jobs};

/// After a cancellation nothing is claimed, what was pending is cancelled, what runs is recorded.
pub async fn cancel_means_cancel(place: StoreUrl) {
    let fixture = Fixture::created(&place, 9).await;
    let store = &fixture.store;
    assert!(store.expand(Mandate::Own, fixture.run, 0, jobs(0..6), false).await.unwrap());
    fixture.claim(fixture.member, [0, 1, 2, 3]).await;
    fixture.settle(vec![finished(fixture.passed(0, 1))]).await;
    assert!(store.cancel(fixture.run, "out of \0 budget".into(), Micros(5)).await.unwrap());
    assert!(!store.cancel(fixture.run, "again".into(), NOW).await.unwrap());
    let run = fixture.run().await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Cancelling, Some("out of \u{fffd} budget")));
    assert_eq!(counts(&run), [1, 0, 0, 2]);
    assert_eq!(fixture.declined(fixture.other, 5, NOW).await, Some(Decline::Done));
    assert!(!store.expand(Mandate::Own, fixture.run, 6, jobs(6..9), true).await.unwrap());
    assert_eq!(store.finish(Mandate::Own, fixture.run, NOW).await.unwrap(), None, "three are running");
    // Finished, parked and released: the last two are cancelled, for they would be asked again.
    fixture.settle(vec![finished(fixture.failed(1, 1)), fixture.parked(2, 1, NOW, 1)]).await;
    store.release(fixture.member, vec![fixture.key(3)], NOW).await.unwrap();
    assert!(store.due_returned(fixture.run, POOL.into(), NOW, 10).await.unwrap().is_empty());
    assert_eq!(fixture.counts().await, [1, 1, 0, 4]);
    // A result that comes too late for its cancelled job is not one.
    fixture.settle(vec![finished(fixture.passed(2, 1))]).await;
    assert_eq!(fixture.counts().await, [1, 1, 0, 4]);
    let run = store.finish(Mandate::Own, fixture.run, Micros(7)).await.unwrap().unwrap();
    assert_eq!((run.state, run.finished_at), (RunState::Cancelled, Some(Micros(7))));
    assert_eq!((counts(&run), run.cursor, run.planned), ([1, 1, 0, 4], 6, 9));
    assert!(!store.cancel(fixture.run, "too late".into(), NOW).await.unwrap());
}

/// What was in flight when a run was told to end may be all that it lacked: with a result of every planned job it is complete.
pub async fn a_run_that_lacks_nothing_is_complete(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 2).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0, 1]).await;
    fixture.settle(vec![finished(fixture.passed(0, 1))]).await;
    assert!(store.give_up(Mandate::Own, fixture.run, "its budget is spent".into(), NOW).await.unwrap());
    assert_eq!(store.finish(Mandate::Own, fixture.run, NOW).await.unwrap(), None, "one is running");
    fixture.settle(vec![finished(fixture.errored(1, 1))]).await;
    let run = store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    assert_eq!((run.state, counts(&run)), (RunState::Completed, [1, 0, 1, 0]));
    assert_eq!(run.reason.as_deref(), Some("its budget is spent"));
}

/// However many jobs wait, and though the database has not counted them yet: all are cancelled, those given back as well.
pub async fn a_large_run_is_cancelled_whole(place: StoreUrl) {
    const JOBS: u64 = 12_000;
    let fixture = Fixture::created(&place, 3).await;
    let store = &fixture.store;
    for from in (0..JOBS).step_by(4_000) {
        assert!(
            store.expand(Mandate::Own, fixture.run, from, jobs(from..from + 4_000), false).await.unwrap()
        );
    }
    fixture.claim(fixture.member, [0, 1]).await;
    fixture.settle(vec![finished(fixture.passed(0, 1)), fixture.parked(1, 1, Micros(9), 1)]).await;
    assert!(store.cancel(fixture.run, "too many".into(), NOW).await.unwrap());
    assert_eq!(fixture.counts().await, [1, 0, 0, JOBS - 1]);
    let run = store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    assert_eq!((run.state, counts(&run)), (RunState::Cancelled, [1, 0, 0, JOBS - 1]));
}

/// Jobs of a buried member of a cancelled run are cancelled too.
pub async fn the_dead_give_back_to_nobody(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 3).await;
    fixture.claim(fixture.member, [0]).await;
    fixture.claim(fixture.other, [1]).await;
    assert!(fixture.store.cancel(fixture.run, "enough".into(), NOW).await.unwrap());
    fixture.store.bury(Mandate::Own, fixture.member, NOW).await.unwrap();
    assert_eq!(fixture.counts().await, [0, 0, 0, 2]);
    fixture.store.bury_all(NOW).await.unwrap();
    let run = fixture.store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    assert_eq!((run.state, counts(&run)), (RunState::Cancelled, [0, 0, 0, 3]));
}

/// No grant is given once a cancellation has returned, however many claim at that moment.
pub async fn no_grant_comes_after_a_cancellation(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 400).await;
    let cancelled = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut claimers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let (store, member, cancelled) = (fixture.store.clone(), fixture.member, cancelled.clone());
        let hints: Vec<_> = (0..100).map(|place| fixture.hint(place * 4 + n)).collect();
        claimers.spawn(async move {
            let mut granted = 0u64;
            for hint in hints {
                let over = cancelled.load(std::sync::atomic::Ordering::SeqCst);
                let answers = store.claim(member, vec![hint], NOW).await.unwrap();
                if matches!(answers[0].1, Answer::Granted(_)) {
                    assert!(!over, "granted after the cancellation");
                    granted += 1;
                }
            }
            granted
        });
    }
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert!(fixture.store.cancel(fixture.run, "enough".into(), NOW).await.unwrap());
    cancelled.store(true, std::sync::atomic::Ordering::SeqCst);
    let granted: u64 = claimers.join_all().await.into_iter().sum();
    assert_eq!(fixture.counts().await, [0, 0, 0, 400 - granted]);
}

/// A run is complete when it is expanded and every job is terminal, not before.
pub async fn completion_is_decided_by_rows(place: StoreUrl) {
    let fixture = Fixture::created(&place, 3).await;
    let store = &fixture.store;
    let finish = async || store.finish(Mandate::Own, fixture.run, Micros(8)).await.unwrap();
    assert_eq!(finish().await, None, "nothing is expanded");
    assert!(store.expand(Mandate::Own, fixture.run, 0, jobs(0..2), false).await.unwrap());
    fixture.claim(fixture.member, [0, 1]).await;
    fixture.settle(vec![finished(fixture.passed(0, 1)), finished(fixture.errored(1, 1))]).await;
    assert_eq!(finish().await, None, "there is more to expand");
    assert!(store.expand(Mandate::Own, fixture.run, 2, jobs(2..3), true).await.unwrap());
    assert_eq!(finish().await, None, "one is pending");
    fixture.claim(fixture.member, [2]).await;
    assert_eq!(finish().await, None, "one is running");
    fixture.settle(vec![finished(fixture.failed(2, 1))]).await;
    let counted = fixture.counts().await;
    let run = finish().await.unwrap();
    assert_eq!((run.state, run.finished_at), (RunState::Completed, Some(Micros(8))));
    assert_eq!(counts(&run), [1, 1, 1, 0]);
    assert_eq!(counts(&run), counted, "what was counted is what the rows say");
    assert_eq!(store.finish(Mandate::Own, fixture.run, Micros(9)).await.unwrap(), Some(run), "it ends once");
    assert_eq!(store.finish(Mandate::Own, super::fixture::run_id(9), NOW).await.unwrap(), None);
    assert_eq!(fixture.declined(fixture.member, 2, NOW).await, Some(Decline::Done));
}

/// A run without jobs is complete at once.
pub async fn an_empty_run_completes(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 0).await;
    let run = fixture.store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    assert_eq!((run.state, counts(&run)), (RunState::Completed, [0; 4]));
}

/// A gate that has decided ends a run like a cancellation, but the run then counts as completed.
pub async fn a_run_that_its_gate_ends_is_complete(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 5).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0, 1]).await;
    fixture.settle(vec![finished(fixture.passed(0, 1))]).await;
    assert!(store.stop_early(Mandate::Own, fixture.run, "it knows".into(), NOW).await.unwrap());
    assert!(!store.stop_early(Mandate::Own, fixture.run, "again".into(), NOW).await.unwrap());
    assert_eq!(fixture.declined(fixture.other, 2, NOW).await, Some(Decline::Done));
    assert_eq!(store.finish(Mandate::Own, fixture.run, NOW).await.unwrap(), None, "one is running");
    fixture.settle(vec![finished(fixture.failed(1, 1))]).await;
    let run = store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    assert_eq!((run.state, run.stopped_early), (RunState::Completed, true));
    assert_eq!((run.reason.as_deref(), counts(&run)), (Some("it knows"), [1, 1, 0, 3]));
}

/// A run is given more jobs from where it stands, once, with what was said of it before.
pub async fn a_run_is_topped_up_once(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 2).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, [0, 1]).await;
    fixture.settle([0, 1].map(|ordinal| finished(fixture.passed(ordinal, 1))).into()).await;
    let attempt =
        |jobs| Attempt { jobs, cases: jobs, trials: 1, outcome: "inconclusive".into(), judged_at: NOW };
    let top_up =
        async |planned, attempt| store.top_up(Mandate::Own, fixture.run, planned, attempt).await.unwrap();
    assert!(top_up(4, attempt(2)).await);
    assert!(!top_up(4, attempt(2)).await, "sent again");
    assert_eq!(store.finish(Mandate::Own, fixture.run, NOW).await.unwrap(), None, "more is to come");
    assert!(store.expand(Mandate::Own, fixture.run, 2, jobs(2..4), true).await.unwrap());
    assert!(top_up(8, attempt(4)).await);
    let run = fixture.run().await;
    assert_eq!((run.planned, run.cursor, run.expanded), (8, 4, false));
    assert_eq!(store.attempts(fixture.run).await.unwrap(), [attempt(2), attempt(4)]);
    assert!(store.cancel(fixture.run, "enough".into(), NOW).await.unwrap());
    assert!(!top_up(16, attempt(8)).await, "it is being cancelled");
}
