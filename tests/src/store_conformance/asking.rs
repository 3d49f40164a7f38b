//! What the API needs: tokens, the audit, submissions under a key, runs steered by somebody.

use std::collections::BTreeSet;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::id::{AuditId, Digest};
use assay_common::job::Decline;
use assay_store::{
    AuditEntry, Mandate, RunState, Scope, Standing, Steered, StoreUrl, Submission, Submitted, Token,
};
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Fixture, NOW, new_run, open, put_dataset, run_id, suite};

/// The nth row of the audit, by ann.
pub(super) fn entry(n: u128, action: &str, subject: impl ToString) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(Uuid::from_u128(n)),
        at: NOW,
        actor: "ann".to_owned(),
        action: action.to_owned(),
        subject: subject.to_string(),
        detail: json!({"n": n.to_string()}),
    }
}

/// A token is found by its hash, made once under its name, and revoked once; who did it is written down.
pub async fn a_token_is_found_by_its_hash(place: StoreUrl) {
    let store = open(&place).await;
    let token = |name: &str, secret: &str| Token {
        name: name.to_owned(),
        hash: Digest::of(secret.as_bytes()),
        scopes: BTreeSet::from([Scope::Submit, Scope::Read]),
        created_at: NOW,
        expires_at: Some(Micros(9)),
        revoked_at: None,
    };
    let created = |name: &str, n| entry(n, "token.create", name);
    assert!(store.create_token(token("ci", "a"), created("ci", 1)).await.unwrap());
    assert!(!store.create_token(token("ci", "b"), created("ci", 2)).await.unwrap(), "the name is taken");
    let forever = Token { expires_at: None, scopes: BTreeSet::from([Scope::Read]), ..token("bob", "c") };
    assert!(store.create_token(forever.clone(), created("bob", 3)).await.unwrap());
    assert_eq!(store.token(&Digest::of(b"a")).await.unwrap(), Some(token("ci", "a")));
    assert_eq!(store.token(&Digest::of(b"b")).await.unwrap(), None);
    assert!(store.revoke_token("ci".into(), entry(4, "token.revoke", "ci")).await.unwrap());
    assert!(!store.revoke_token("ci".into(), entry(5, "token.revoke", "ci")).await.unwrap());
    assert!(!store.revoke_token("eve".into(), entry(6, "token.revoke", "eve")).await.unwrap());
    let revoked = Token { revoked_at: Some(NOW), ..token("ci", "a") };
    assert_eq!(store.tokens().await.unwrap(), [forever, revoked]);
    let audit = store.audit(None, 10).await.unwrap();
    let told: Vec<_> = audit.iter().map(|row| (row.action.as_str(), row.subject.as_str())).collect();
    assert_eq!(told, [("token.revoke", "ci"), ("token.create", "bob"), ("token.create", "ci")]);
}

/// The audit is read backwards in pages and holds whatever it was given.
pub async fn the_audit_is_read_backwards(place: StoreUrl) {
    let store = open(&place).await;
    for n in 1..=5 {
        store.append_audit(entry(n, "run.pause", "a")).await.unwrap();
    }
    let hostile = AuditEntry {
        actor: "<script>\u{0}".to_owned(),
        detail: json!({"reason": "'; DROP TABLE audit; --\u{0}"}),
        ..entry(6, "run.pause", "b")
    };
    store.append_audit(hostile.clone()).await.unwrap();
    let ids = |rows: &[AuditEntry]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    let first = store.audit(None, 2).await.unwrap();
    assert_eq!(first[0], AuditEntry { actor: "<script>\u{fffd}".to_owned(), ..hostile.clone() });
    assert_eq!(ids(&first), [hostile.id, entry(5, "", "").id]);
    let second = store.audit(Some(first[1].id), 10).await.unwrap();
    assert_eq!(second, (1..=4).rev().map(|n| entry(n, "run.pause", "a")).collect::<Vec<_>>());
    assert_eq!(store.last_audit("a".into(), "run.pause").await.unwrap(), Some(entry(5, "run.pause", "a")));
    assert_eq!(store.last_audit("a".into(), "run.resume").await.unwrap(), None);
}

/// The same key and suite are the same run; the same key with another suite is a conflict, and makes nothing.
pub async fn a_key_makes_one_run(place: StoreUrl) {
    let fixture = Fixture::created(&place, 3).await;
    let store = &fixture.store;
    let other = suite("other", &[("p", "text")], 3);
    store.freeze_suite(other.clone(), NOW).await.unwrap();
    let submit = async |key: &str, run: u128, revision: Digest| {
        let run = new_run(run_id(run), revision, 3);
        let entry = entry(run_number(&run), "run.submit", run.id);
        store.submit(Submission { key: key.to_owned(), run, entry }).await.unwrap()
    };
    let revision = fixture.suite.revision();
    assert_eq!(submit("k", 2, revision.clone()).await, Submitted::Created);
    assert_eq!(submit("k", 3, revision.clone()).await, Submitted::Known(run_id(2)));
    assert_eq!(submit("k", 4, other.revision()).await, Submitted::Conflict(run_id(2)));
    assert_eq!(submit("K", 5, other.revision()).await, Submitted::Created);
    let runs = store.runs(None, 10).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [run_id(5), run_id(2), run_id(1)]);
    assert_eq!(store.audit(None, 10).await.unwrap().len(), 2);
    // A run that cannot be created leaves no key behind.
    let impossible = new_run(run_id(6), Digest::of(b"never frozen"), 3);
    let failing = Submission { key: "later".into(), run: impossible, entry: entry(6, "run.submit", "") };
    assert!(store.submit(failing).await.is_err());
    assert_eq!(submit("later", 7, revision).await, Submitted::Created);
}

/// Of submissions that race under one key one makes the run, and all get it.
pub async fn of_submissions_at_once_one_makes_the_run(place: StoreUrl) {
    let store = open(&place).await;
    let suite = suite("s", &[("p", "text")], 3);
    put_dataset(&store, &suite.dataset, 3).await;
    let revision = store.freeze_suite(suite, NOW).await.unwrap();
    let mut submitters = tokio::task::JoinSet::new();
    for n in 1..=8 {
        let (store, run) = (store.clone(), new_run(run_id(n), revision.clone(), 3));
        submitters.spawn(async move {
            let entry = entry(n, "run.submit", run.id);
            let id = run.id;
            match store.submit(Submission { key: "k".into(), run, entry }).await.unwrap() {
                Submitted::Created => (1, id),
                Submitted::Known(id) => (0, id),
                Submitted::Conflict(_) => unreachable!("all submit the same suite"),
            }
        });
    }
    let answers = submitters.join_all().await;
    let runs = store.runs(None, 10).await.unwrap();
    assert_eq!((runs.len(), answers.iter().map(|(created, _)| created).sum::<u32>()), (1, 1));
    assert!(answers.iter().all(|(_, id)| *id == runs[0].id), "{answers:?}");
}

/// A paused run grants no claim and goes on where it was; each change is written down once.
pub async fn a_paused_run_grants_nothing(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 3).await;
    let store = &fixture.store;
    let (pause, resume) = ("run.pause", "run.resume");
    let told = |steered: Option<Steered>| steered.map(|steered| (steered.changed, steered.run.state));
    let first = told(store.resume(fixture.run, entry(1, resume, fixture.run)).await.unwrap());
    assert_eq!(first, Some((false, RunState::Running)));
    let paused = told(store.pause(fixture.run, entry(2, pause, fixture.run)).await.unwrap());
    assert_eq!(paused, Some((true, RunState::Paused)));
    let again = told(store.pause(fixture.run, entry(3, pause, fixture.run)).await.unwrap());
    assert_eq!(again, Some((false, RunState::Paused)));
    assert_eq!(fixture.run().await.state, RunState::Paused);
    assert_eq!(fixture.declined(fixture.member, 0, NOW).await, Some(Decline::Paused));
    let resumed = told(store.resume(fixture.run, entry(4, resume, fixture.run)).await.unwrap());
    assert_eq!(resumed, Some((true, RunState::Running)));
    assert_eq!(fixture.declined(fixture.member, 0, NOW).await, None);
    assert_eq!(store.pause(run_id(9), entry(5, pause, run_id(9))).await.unwrap(), None, "an unknown run");
    let told: Vec<_> = store.audit(None, 10).await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(told, [entry(4, "", "").id, entry(2, "", "").id]);
}

/// A run that is let go on has all the time that its suite gives it, however long it was paused, and how often.
pub async fn a_pause_begins_the_deadline_anew(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 3).await;
    let store = &fixture.store;
    let given = Duration::from_secs(fixture.suite.deadline_seconds);
    for (n, at) in [(1, NOW), (3, NOW.plus(given * 3)), (5, NOW.plus(given * 90))] {
        store.pause(fixture.run, entry(n, "run.pause", fixture.run)).await.unwrap();
        let resumed = AuditEntry { at, ..entry(n + 1, "run.resume", fixture.run) };
        let run = store.resume(fixture.run, resumed).await.unwrap().unwrap().run;
        assert_eq!(run.deadline_at, at.plus(given));
    }
}

/// A run is cancelled by one, with the reason given; a paused one as well.
pub async fn somebody_cancels_once(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 3).await;
    let store = &fixture.store;
    let cancel = async |n| {
        let entry = entry(n, "run.cancel", fixture.run);
        store.cancel_by(fixture.run, "wrong\u{0}suite".to_owned(), entry).await.unwrap().unwrap().changed
    };
    store.pause(fixture.run, entry(1, "run.pause", fixture.run)).await.unwrap();
    assert!(cancel(2).await);
    assert!(!cancel(3).await);
    assert_eq!(fixture.counts().await, [0, 0, 0, 3]);
    let run = store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Cancelled, Some("wrong\u{fffd}suite")));
    assert_eq!(store.audit(None, 10).await.unwrap().len(), 2);
}

/// A run says whether a job of it is held, and by whom, one waits that was never tried, and when the next is due.
pub async fn a_run_says_what_it_waits_for(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 2).await;
    let check = async |running, fresh, next_due: Option<i64>| {
        let standing = fixture.store.standing(fixture.run).await.unwrap();
        assert_eq!(standing, Standing { running, fresh, next_due: next_due.map(Micros) });
    };
    check(false, true, None).await;
    fixture.claim(fixture.member, [0, 1]).await;
    check(true, false, None).await;
    assert_eq!(fixture.store.holders(fixture.run).await.unwrap(), [(fixture.member, 2)]);
    fixture
        .settle(vec![fixture.parked(0, 1, Micros(5_000_000), 1), fixture.parked(1, 1, Micros(4), 1)])
        .await;
    check(false, false, Some(4)).await;
    assert_eq!(fixture.store.holders(fixture.run).await.unwrap(), []);
}

/// The number that `run_id` made an id of.
fn run_number(run: &assay_store::NewRun) -> u128 {
    run.id.to_string().parse::<Uuid>().unwrap().as_u128()
}
