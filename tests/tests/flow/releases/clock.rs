//! Clocks that jump, and leaders that were away: a planned time is fired once, and of what was missed the latest.

use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_common::id::AuditId;
use assay_coordinator::schedule::{Sweeper, terms_of};
use assay_store::{
    AuditEntry, Mandate, Move, Release, ReleaseKind, RunState, Schedule, ScheduleChange, Store,
};
use assay_tests::places::on_sqlite;
use assay_tests::store_conformance::fixture::{Fixture, run_id};
use serde_json::json;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3_600);
/// Midnight of 2 January 1970.
const MIDNIGHT: Micros = Micros(24 * 3_600 * 1_000_000);

fn entry(at: Micros) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(Uuid::now_v7()),
        at,
        actor: "ann".to_owned(),
        action: "test".to_owned(),
        subject: "test".to_owned(),
        detail: json!({}),
    }
}

/// A store with a version that is live and a schedule that sweeps it at three each night, added at midnight.
async fn scheduled(fixture: &Fixture) {
    let digest = fixture.suite.prompts[0].digest.clone();
    let release = Release {
        prompt: "capital".to_owned(),
        channel: "production".to_owned(),
        seq: 1,
        kind: ReleaseKind::Override,
        number: 1,
        digest,
        previous: None,
        released_at: MIDNIGHT,
        released_by: "ann".to_owned(),
        origin: "the tests".to_owned(),
        reason: None,
        verdict_run: None,
    };
    let planned = Move { release, incident: None, recovers: None, entry: entry(MIDNIGHT) };
    fixture.store.release_version(planned).await.unwrap();
    let schedule = Schedule {
        name: "nightly".to_owned(),
        terms: terms_of(&fixture.suite),
        suite: fixture.suite.clone(),
        channels: vec!["production".to_owned()],
        cron: "0 3 * * *".to_owned(),
        zone: "UTC".to_owned(),
        clean_sweeps: 3,
        paused: false,
        due_from: MIDNIGHT,
        created_at: MIDNIGHT,
        created_by: "ann".to_owned(),
    };
    assert!(fixture.store.add_schedule(schedule, entry(MIDNIGHT)).await.unwrap());
}

/// A step at so many hours after midnight.
async fn step(store: &Store, hours: u32) {
    let clock = Clock::manual(MIDNIGHT.plus(HOUR * hours));
    let seed = [u8::try_from(hours % 251).unwrap(); 32];
    Sweeper::new(store, clock, Mandate::Own, seed).step().await.unwrap();
}

/// Ends whatever runs, so that the next may be fired.
async fn end_all(store: &Store) {
    for run in store.open_runs().await.unwrap() {
        store.cancel(run.id, "enough".into(), run.created_at).await.unwrap();
        store.finish(Mandate::Own, run.id, run.created_at).await.unwrap();
    }
}

/// The hours after midnight for which something was fired, in the order in which it was.
async fn fired(store: &Store) -> Vec<i64> {
    let mut sweeps = store.sweeps("nightly", 99).await.unwrap();
    sweeps.reverse();
    sweeps.iter().map(|sweep| (sweep.planned_at.0 - MIDNIGHT.0) / 3_600_000_000).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_time_is_fired_once_whatever_clocks_do() {
    on_sqlite(|place| async move {
        let fixture = Fixture::created(&place, 1).await;
        let store = &fixture.store;
        scheduled(&fixture).await;
        let check = async |hours, expected: &[i64]| {
            step(store, hours).await;
            assert_eq!(fired(store).await, expected, "{hours} hours after midnight");
        };
        // The hour of the day before it was added is not caught up with.
        check(1, &[]).await;
        let baseline = store.open_runs().await.unwrap();
        assert_eq!(baseline.len(), 2, "the run of the fixture, and the baseline of what is live");
        check(3, &[3]).await;
        check(4, &[3]).await;
        // It is still under way at the next time; two later it is over, and what was missed is caught up with once.
        check(27, &[3]).await;
        end_all(store).await;
        check(76, &[3, 75]).await;
        end_all(store).await;
        check(77, &[3, 75]).await;
        // A year ahead, and back again: nothing twice, and the nights between go on.
        check(76 + 24 * 365, &[3, 75, 75 + 24 * 365]).await;
        end_all(store).await;
        check(80, &[3, 75, 75 + 24 * 365]).await;
        check(50, &[3, 75, 75 + 24 * 365, 27]).await;
        end_all(store).await;
        check(99, &[3, 75, 75 + 24 * 365, 27, 99]).await;
        end_all(store).await;
        check(76 + 24 * 365, &[3, 75, 75 + 24 * 365, 27, 99]).await;
        // What it missed while it was paused stays out.
        let change = async |change, hours: u32| {
            let at = MIDNIGHT.plus(HOUR * hours);
            store.change_schedule("nightly".to_owned(), change, entry(at)).await.unwrap()
        };
        assert!(change(ScheduleChange::Pause, 100).await);
        check(125, &[3, 75, 75 + 24 * 365, 27, 99]).await;
        assert!(change(ScheduleChange::Resume, 126).await);
        check(127, &[3, 75, 75 + 24 * 365, 27, 99]).await;
        check(148, &[3, 75, 75 + 24 * 365, 27, 99, 147]).await;
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_live_is_measured_with_five_trials_and_swept_under_its_own_name() {
    on_sqlite(|place| async move {
        let fixture = Fixture::created(&place, 1).await;
        let store = &fixture.store;
        scheduled(&fixture).await;
        step(store, 3).await;
        let runs = store.open_runs().await.unwrap();
        let of_schedule: Vec<_> = runs.iter().filter(|run| run.id != run_id(1)).collect();
        let mut planned: Vec<_> = of_schedule.iter().map(|run| run.planned).collect();
        planned.sort_unstable();
        assert_eq!(planned, [1, 5], "a sweep of one case, and five trials of it");
        for run in of_schedule {
            let suite = store.suite(run.revision.clone()).await.unwrap().unwrap();
            assert_eq!((suite.prompts[0].label.as_str(), &suite.gate), ("capital@1", &None));
            assert_eq!(run.state, RunState::Running);
        }
        assert_eq!(store.prompt("capital").await.unwrap().unwrap().versions, 1, "no version was made");
        store.close().await;
    })
    .await;
}
