//! What comparisons and the ledger of flakes read: versions, their runs, trials; and quarantine.

use assay_common::clock::Micros;
use assay_common::id::{AuditId, Digest};
use assay_store::{AuditEntry, CaseTrials, Mandate, NewJob, Quarantine, StoreUrl};
use uuid::Uuid;

use super::fixture::{Fixture, NOW, POOL, finished, new_run, open, put_dataset, run_id, suite};

/// The completed runs whose suite has a version, newest first.
pub async fn versions_lead_to_their_runs(place: StoreUrl) {
    let store = open(&place).await;
    let old = suite("capitals", &[("capital", "a")], 0);
    let both = suite("capitals", &[("capital", "b"), ("capital", "a")], 0);
    put_dataset(&store, &old.dataset, 0).await;
    for (n, suite) in [(1, &old), (2, &both), (3, &both)] {
        let revision = store.freeze_suite(suite.clone(), NOW).await.unwrap();
        store.create_run(new_run(run_id(n), revision, 0)).await.unwrap();
        if n < 3 {
            assert!(store.expand(Mandate::Own, run_id(n), 0, Vec::new(), true).await.unwrap());
            store.finish(Mandate::Own, run_id(n), NOW).await.unwrap();
        }
    }
    let (a, b) = (both.prompts[1].digest.clone(), both.prompts[0].digest.clone());
    let runs = async |digest: Digest, limit| -> Vec<_> {
        store.runs_with_prompt(digest, limit).await.unwrap().into_iter().map(|run| run.id).collect()
    };
    assert_eq!(runs(a.clone(), 9).await, [run_id(2), run_id(1)]);
    assert_eq!(runs(a, 1).await, [run_id(2)]);
    assert_eq!(runs(b, 9).await, [run_id(2)]);
    assert_eq!(runs(Digest::of(b"c"), 9).await, []);
    let over = async |suite: Option<&str>| -> Vec<_> {
        let runs = store.runs_over(suite.map(str::to_owned), 9).await.unwrap();
        runs.into_iter().map(|run| run.id).collect()
    };
    assert_eq!(over(None).await, [run_id(2), run_id(1)]);
    assert_eq!(over(Some("capitals")).await, [run_id(2), run_id(1)]);
    assert_eq!(over(Some("rivers")).await, []);
}

/// Trials are counted by variant and case; what errored or was never asked is none.
pub async fn trials_are_counted_by_case(place: StoreUrl) {
    let fixture = Fixture::created(&place, 6).await;
    // Two variants of one case with two trials each, and two jobs of another case.
    let job = |ordinal: u64| NewJob {
        ordinal,
        position: ordinal / 4,
        variant: u32::from(ordinal % 4 >= 2),
        trial: u32::try_from(ordinal % 2).unwrap() + 1,
        pool: POOL.to_owned(),
    };
    assert!(
        fixture.store.expand(Mandate::Own, fixture.run, 0, (0..6).map(job).collect(), true).await.unwrap()
    );
    fixture.claim(fixture.member, 0..5).await;
    let batch = vec![
        finished(fixture.passed(0, 1)),
        finished(fixture.failed(1, 1)),
        finished(fixture.failed(2, 1)),
        finished(fixture.failed(3, 1)),
        finished(fixture.errored(4, 1)),
    ];
    fixture.settle(batch).await;
    let mut trials = fixture.store.trials(fixture.run).await.unwrap();
    trials.sort_by_key(|line| (line.variant, line.position));
    let line = |variant, passed| CaseTrials { variant, position: 0, trials: 2, passed };
    assert_eq!(trials, [line(0, 1), line(1, 0)]);
    let mut ids = fixture.store.case_ids(fixture.suite.dataset.digest.clone(), vec![4, 1, 99]).await.unwrap();
    ids.sort_unstable();
    assert_eq!(ids, [(1, "case-1".to_owned()), (4, "case-4".to_owned())]);
}

/// A quarantine holds from when it was added until it ends or is removed, and the audit knows who did what.
pub async fn a_quarantine_holds_for_a_time(place: StoreUrl) {
    let store = open(&place).await;
    let entry = |n: u128, action: &str| AuditEntry {
        id: AuditId::new(Uuid::from_u128(n)),
        at: NOW,
        actor: "ann".to_owned(),
        action: action.to_owned(),
        subject: "case-1".to_owned(),
        detail: serde_json::json!({}),
    };
    let held = |case: &str, added: i64| Quarantine {
        suite: "capitals".to_owned(),
        case: case.to_owned(),
        model: "echo/echo".to_owned(),
        added_at: Micros(added),
        expires_at: Micros(added + 100),
        removed_at: None,
        owner: "ann".to_owned(),
        reason: "it wavers".to_owned(),
        trials: 10,
        passed: 4,
    };
    let add = async |added: Quarantine, most: u64, n: u128| {
        store.add_quarantine(added, most, entry(n, "quarantine.add")).await.unwrap()
    };
    assert!(add(held("case-1", 1_000), 1, 1).await);
    assert!(!add(held("case-2", 1_050), 1, 9).await, "one is under it already");
    assert!(add(held("case-2", 1_050), 2, 2).await);
    let remove = async |case: &str, now: i64, n: u128| {
        let (suite, model) = ("capitals".to_owned(), "echo/echo".to_owned());
        let entry = entry(n, "quarantine.remove");
        store.remove_quarantine(suite, case.to_owned(), model, Micros(now), entry).await.unwrap()
    };
    assert!(!remove("case-3", 1_060, 3).await);
    assert!(!remove("case-1", 1_100, 4).await, "it is over");
    assert!(remove("case-2", 1_060, 5).await);
    assert!(!remove("case-2", 1_061, 6).await);
    let listed = store.quarantines(Some("capitals".to_owned())).await.unwrap();
    let removed = Quarantine { removed_at: Some(Micros(1_060)), ..held("case-2", 1_050) };
    assert_eq!(listed, [held("case-1", 1_000), removed.clone()]);
    assert_eq!(store.quarantines(None).await.unwrap(), listed);
    assert_eq!(store.quarantines(Some("rivers".to_owned())).await.unwrap(), []);
    let holds = |held: &Quarantine, from: i64, to: i64| {
        let moments = [(from - 1, false), (from, true), (to - 1, true), (to, false)];
        assert!(moments.iter().all(|(moment, holds)| held.holds_at(Micros(*moment)) == *holds), "{held:?}");
    };
    holds(&listed[0], 1_000, 1_100);
    holds(&removed, 1_050, 1_060);
    assert_eq!(store.audit(None, 9).await.unwrap().len(), 3);
}
