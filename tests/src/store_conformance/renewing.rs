//! What errored is asked again, and what is old is removed: without losing what a run came to.

use assay_common::clock::Micros;
use assay_common::id::{AuditId, Digest};
use assay_common::job::{Answer, Decline, Finished, JobKey, Output};
use assay_common::money::NanoUsd;
use assay_common::outcome::{ErrorKind, Outcome};
use assay_store::{AuditEntry, Mandate, RunState, StoreUrl};
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Fixture, NOW, POOL, finished, new_run, put_dataset, run_id, suite};

/// After everything else, and after the deadline of every run here.
const LATER: Micros = Micros(20_000_000);

fn entry(n: u128, action: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(Uuid::from_u128(n)),
        at: LATER,
        actor: "ann".to_owned(),
        action: action.to_owned(),
        subject: "a run".to_owned(),
        detail: json!({"reason": "why not"}),
    }
}

/// A run of which job 0 passed, 1 errored as `provider`, 2 as `malformed`, and which is complete.
async fn completed(place: &StoreUrl) -> Fixture {
    let fixture = Fixture::expanded(place, 3).await;
    fixture.claim(fixture.member, 0..3).await;
    let mut malformed = fixture.errored(2, 1);
    malformed.outcome = Outcome::Errored(ErrorKind::Malformed);
    let batch = vec![finished(fixture.passed(0, 1)), finished(fixture.errored(1, 1)), finished(malformed)];
    fixture.settle(batch).await;
    assert!(fixture.store.finish(Mandate::Own, fixture.run, Micros(5_000_000)).await.unwrap().is_some());
    fixture
}

/// A new generation of exactly the jobs that errored in one way; the run opens, and earlier results stay readable.
pub async fn what_errored_is_asked_again(place: StoreUrl) {
    let fixture = completed(&place).await;
    let store = &fixture.store;
    let redrive = async |kind, n| store.redrive(fixture.run, kind, entry(n, "run.retry")).await.unwrap();
    assert_eq!(redrive(Some(ErrorKind::GaveUp), 1).await, Some(0));
    assert_eq!(fixture.run().await.state, RunState::Completed);
    assert_eq!(redrive(Some(ErrorKind::Malformed), 2).await, Some(1));
    let run = fixture.run().await;
    assert_eq!((run.state, run.finished_at, fixture.counts().await), (RunState::Running, None, [1, 0, 1, 0]));
    assert!(run.deadline_at > LATER, "a deadline that has passed begins again");
    assert_eq!(store.due_returned(fixture.run, POOL.into(), LATER, 10).await.unwrap(), [2]);
    assert_eq!(fixture.declined(fixture.member, 1, LATER).await, Some(Decline::Done));

    // What is still under way of the generation before changes nothing but the books.
    fixture.settle(vec![finished(fixture.passed(2, 1))]).await;
    assert_eq!(fixture.counts().await, [1, 0, 1, 0]);
    assert_eq!(store.results(fixture.run, None, 10).await.unwrap().len(), 2);
    let earlier = store.earlier_results(fixture.run, None, 10).await.unwrap();
    assert_eq!((earlier.len(), earlier[0].row.ordinal, earlier[0].row.generation), (1, 2, 0));
    assert_eq!(earlier[0].row.outcome, Outcome::Errored(ErrorKind::Malformed));
    assert!(store.earlier_results(fixture.run, Some((2, 0)), 10).await.unwrap().is_empty());

    let hints = vec![fixture.hint(2)];
    store.claim(fixture.member, hints, LATER).await.unwrap();
    let mut again = fixture.passed(2, 1);
    again.key = JobKey { generation: 1, ..again.key };
    fixture.settle(vec![finished(again)]).await;
    let over = store.finish(Mandate::Own, fixture.run, LATER).await.unwrap().unwrap();
    assert_eq!((over.state, fixture.counts().await), (RunState::Completed, [2, 0, 1, 0]));
    let rows = store.results(fixture.run, None, 10).await.unwrap();
    assert_eq!((rows[2].row.outcome, rows[2].row.generation, rows[2].claims), (Outcome::Passed, 1, 1));
    assert_eq!(redrive(None, 3).await, Some(1), "without a kind, all that errored");
    let audit = store.audit(None, 10).await.unwrap();
    assert_eq!(
        audit.iter().filter(|row| row.action == "run.retry").count(),
        2,
        "nothing done, nothing written"
    );
    // What was given up for good is not opened again.
    assert!(store.cancel(fixture.run, "enough".into(), LATER).await.unwrap());
    assert_eq!(redrive(None, 4).await, None);
}

/// What was answered and could not be scored is granted again with its answer, and with what it cost; the rest without.
pub async fn what_could_not_be_scored_is_scored_again(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 4).await;
    let store = &fixture.store;
    fixture.claim(fixture.member, 0..4).await;
    let unscored = |ordinal, output| Finished {
        outcome: Outcome::Errored(ErrorKind::Scorer),
        error: Some("it takes too long".to_owned()),
        score: None,
        scores: Vec::new(),
        output: Some(output),
        ..fixture.passed(ordinal, 1)
    };
    let jobs = [
        fixture.passed(0, 1),
        unscored(1, Output::Text("seven".to_owned())),
        unscored(2, Output::of_text("se\0ven".to_owned())),
        fixture.errored(3, 1),
    ];
    fixture.settle(jobs.map(finished).into()).await;
    assert_eq!(store.redrive(fixture.run, None, entry(1, "run.retry")).await.unwrap(), Some(3));
    let hints = (1..4).map(|ordinal| fixture.hint(ordinal)).collect();
    let granted = store.claim(fixture.member, hints, LATER).await.unwrap();
    let answers: Vec<_> = granted
        .iter()
        .map(|(_, answer)| {
            let Answer::Granted(grant) = answer else { unreachable!("declined: {answer:?}") };
            let answer = grant.response.as_deref();
            let told =
                answer.map(|answer| (&*answer.text, answer.cost, answer.latency_us, answer.calls.len()));
            (grant.key.ordinal, grant.key.generation, told)
        })
        .collect();
    let kept = |text| Some((text, Some(NanoUsd(5)), Some(1_000), 0));
    assert_eq!(answers, [(1, 1, kept("seven")), (2, 1, kept("se\0ven")), (3, 1, None)]);
}

/// The report outlives the results, the dataset outlives neither, and nothing of another run goes.
pub async fn old_runs_leave_their_report(place: StoreUrl) {
    let fixture = completed(&place).await;
    let store = &fixture.store;
    // Another run of other cases, which is not over.
    let other = suite("other", &[("capital", "{{ n }}")], 2);
    put_dataset(store, &other.dataset, 2).await;
    let revision = store.freeze_suite(other.clone(), NOW).await.unwrap();
    store.create_run(new_run(run_id(2), revision, 2)).await.unwrap();

    assert!(store.old_runs(Micros(5_000_000)).await.unwrap().is_empty(), "it ended at that very moment");
    assert_eq!(store.old_runs(LATER).await.unwrap(), [fixture.run]);
    assert!(store.unused_datasets(LATER).await.unwrap().is_empty());
    let run = fixture.run().await;
    assert!(store.mark_pruned(&run, "{}".to_owned(), entry(1, "run.prune")).await.unwrap());
    assert!(!store.mark_pruned(&run, "other".to_owned(), entry(2, "run.prune")).await.unwrap());
    assert_eq!(store.redrive(fixture.run, None, entry(3, "run.retry")).await.unwrap(), None);
    assert_eq!(store.old_runs(LATER).await.unwrap(), [fixture.run], "its rows are still there");
    for _ in 0..2 {
        store.prune_run(fixture.run).await.unwrap();
        store.prune_run(run_id(2)).await.unwrap();
    }
    assert!(store.old_runs(LATER).await.unwrap().is_empty());
    assert!(store.results(fixture.run, None, 10).await.unwrap().is_empty());
    assert_eq!(store.kept_report(fixture.run).await.unwrap().as_deref(), Some("{}"));
    assert_eq!(store.kept_report(run_id(2)).await.unwrap(), None);
    assert_eq!(fixture.counts().await, [1, 0, 2, 0], "its row keeps what it came to");
    assert!(store.version_numbers(&fixture.suite).await.unwrap()[0].is_some());

    let dataset = fixture.suite.dataset.digest.clone();
    assert!(store.unused_datasets(NOW).await.unwrap().is_empty(), "what was just stored waits for its run");
    assert_eq!(store.unused_datasets(LATER).await.unwrap(), [(dataset.clone(), 3)]);
    assert!(!store.prune_dataset(other.dataset.digest.clone()).await.unwrap(), "a run refers to it");
    assert!(store.prune_dataset(dataset.clone()).await.unwrap());
    assert_eq!(store.dataset(dataset.clone()).await.unwrap(), None);
    assert!(store.vars_at(dataset, vec![0, 1, 2]).await.unwrap().is_empty());
    assert_eq!(store.vars_at(other.dataset.digest, vec![0, 1]).await.unwrap().len(), 2);
    assert!(!store.prune_dataset(Digest::of(b"unknown")).await.unwrap());
    // Whoever would run it now has to bring it again.
    let refused = store.create_run(new_run(run_id(3), fixture.suite.revision(), 3)).await.unwrap_err();
    assert!(refused.to_string().contains("was just removed"), "{refused}");
    put_dataset(store, &fixture.suite.dataset, 3).await;
    store.create_run(new_run(run_id(3), fixture.suite.revision(), 3)).await.unwrap();
}
