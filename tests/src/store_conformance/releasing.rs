//! What releases need: verdicts recorded once, channels moved by compare-and-set, incidents that are one while they are open.

use assay_common::clock::Micros;
use assay_common::id::{AuditId, Digest, RunId};
use assay_common::verdict::{Decision, VersionVerdict};
use assay_store::{
    AuditEntry, IncidentChange, IncidentKind, Mandate, Move, Moved, NewIncident, Opened, Provenance, Release,
    ReleaseKind, Store, StoreUrl, Sums, Verdict,
};
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Fixture, NOW, open, suite};

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(Uuid::now_v7()),
        at: NOW,
        actor: "ann".to_owned(),
        action: action.to_owned(),
        subject: "capital".to_owned(),
        detail: json!({}),
    }
}

fn digest(number: i64) -> Digest {
    Digest::of(format!("version {number}").as_bytes())
}

/// The release `seq` of version `number`.
fn release(seq: i64, number: i64) -> Release {
    Release {
        prompt: "capital".to_owned(),
        channel: "production".to_owned(),
        seq,
        kind: ReleaseKind::Promotion,
        number,
        digest: digest(number),
        previous: (seq > 1).then_some(seq - 1),
        released_at: Micros(seq * 10),
        released_by: "ann".to_owned(),
        origin: "the tests".to_owned(),
        reason: Some("a\u{0}b".to_owned()),
        verdict_run: None,
    }
}

fn incident(number: i64, summary: &str) -> NewIncident {
    NewIncident {
        prompt: "capital".to_owned(),
        channel: "production".to_owned(),
        version: number,
        digest: digest(number),
        kind: IncidentKind::Manual,
        summary: summary.to_owned(),
        owner: Some("bob".to_owned()),
        began_at: Micros(5),
        opened_at: NOW,
        opened_by: "ann".to_owned(),
    }
}

async fn put(store: &Store, release: Release, incident: Option<NewIncident>) -> Moved {
    let recovers = (release.kind == ReleaseKind::Rollback).then(|| digest(3));
    let planned = Move { release, incident, recovers, entry: entry("release") };
    store.release_version(planned).await.unwrap()
}

/// A run is judged once, when it is over, and its verdicts come back as they were.
pub async fn a_run_is_judged_once(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 1).await;
    let store = &fixture.store;
    let candidate = fixture.suite.prompts[0].digest.clone();
    let verdict = |run: RunId, state, created: i64| Verdict {
        run,
        prompt: "capital".to_owned(),
        version: candidate.clone(),
        baseline: Some(digest(9)),
        suite: "capitals".to_owned(),
        revision: fixture.suite.revision(),
        gate: digest(1),
        judge: digest(2),
        absolute: true,
        state,
        evidence: VersionVerdict {
            prompt: "capital".to_owned(),
            label: "l".to_owned(),
            version: Some(1),
            outcome: state,
            rules: Vec::new(),
        },
        created_at: Micros(created),
        expires_at: Micros(created + 1),
        reopened: false,
    };
    let first = verdict(fixture.run, Decision::Inconclusive, 7);
    assert!(
        !store.record_verdicts(fixture.run, NOW, vec![first.clone()], Sums::default()).await.unwrap(),
        "it goes on"
    );
    assert_eq!(store.unjudged_runs(10).await.unwrap(), []);
    store.cancel(fixture.run, "enough".into(), NOW).await.unwrap();
    store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    assert_eq!(store.unjudged_runs(10).await.unwrap(), [fixture.run().await]);
    let another = Micros(NOW.0 + 1);
    assert!(
        !store.record_verdicts(fixture.run, another, vec![first.clone()], Sums::default()).await.unwrap(),
        "another end"
    );
    assert!(store.record_verdicts(fixture.run, NOW, vec![first.clone()], Sums::default()).await.unwrap());
    let other = verdict(fixture.run, Decision::Pass, 8);
    assert!(
        !store.record_verdicts(fixture.run, NOW, vec![other], Sums::default()).await.unwrap(),
        "it was judged"
    );
    assert_eq!(store.unjudged_runs(10).await.unwrap(), []);
    assert_eq!(store.verdicts_of_run(fixture.run).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.verdicts_on("capital", &candidate, 9).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.verdicts_on("capital", &digest(4), 9).await.unwrap(), []);
    let known = async |at| store.verdict(fixture.run, "capital", &candidate, Micros(at)).await.unwrap();
    assert_eq!((known(6).await, known(7).await), (None, Some(first)));
}

/// What is said of a version first stays, and versions are found by number, digest and the beginning of it.
pub async fn versions_are_found_and_attributed_once(place: StoreUrl) {
    let store = open(&place).await;
    let suite = suite("s", &[("p", "one"), ("q", "two"), ("p", "three")], 1);
    store.freeze_suite(suite.clone(), NOW).await.unwrap();
    let said = |message: &str| Provenance {
        message: Some(message.to_owned()),
        author: None,
        commit: Some("c0ffee".to_owned()),
    };
    store.attribute_versions(&suite, Provenance::default()).await.unwrap();
    store.attribute_versions(&suite, said("first")).await.unwrap();
    store.attribute_versions(&suite, said("second")).await.unwrap();
    let prompts = store.prompts().await.unwrap();
    let told: Vec<_> = prompts.iter().map(|prompt| (prompt.name.as_str(), prompt.versions)).collect();
    assert_eq!(told, [("p", 2), ("q", 1)]);
    assert_eq!(store.prompt("p").await.unwrap().as_ref(), prompts.first());
    assert_eq!(store.prompt("r").await.unwrap(), None);
    let newest = store.version_numbered("p", 2).await.unwrap().unwrap();
    assert_eq!(
        (&newest.provenance, newest.digest.clone()),
        (&said("first"), suite.prompts[2].digest.clone())
    );
    assert_eq!(store.version_numbered("p", 3).await.unwrap(), None);
    let page = store.versions("p", None, 1).await.unwrap();
    assert_eq!(page, std::slice::from_ref(&newest));
    let rest = store.versions("p", Some(2), 9).await.unwrap();
    assert_eq!(rest.iter().map(|version| version.number).collect::<Vec<_>>(), [1]);
    for prefix in [newest.digest.as_str(), newest.digest.short()] {
        assert_eq!(store.versions_with_prefix("p", prefix).await.unwrap(), std::slice::from_ref(&newest));
    }
    assert_eq!(store.versions_with_prefix("q", newest.digest.short()).await.unwrap(), []);
    assert_eq!(store.body("p", 2).await.unwrap().as_ref(), Some(&suite.prompts[2].body));
    assert_eq!(store.body("p", 9).await.unwrap(), None);
    assert_eq!(store.prompts_with(&newest.digest).await.unwrap(), ["p"]);
}

/// A channel's history grows by one at a time, and says what was live when.
pub async fn a_channel_remembers(place: StoreUrl) {
    let store = open(&place).await;
    assert_eq!(store.live("capital", "production", None).await.unwrap(), None);
    assert_eq!(put(&store, release(1, 1), None).await, Moved::Live(vec![]));
    assert_eq!(put(&store, release(2, 2), None).await, Moved::Live(vec![]));
    let stale = put(&store, release(2, 3), Some(incident(3, "never"))).await;
    let second = Release { reason: Some("a\u{fffd}b".to_owned()), ..release(2, 2) };
    assert_eq!(stale, Moved::Raced(Box::new(second.clone())), "nobody overwrites what he has not seen");
    assert_eq!(store.incidents(true).await.unwrap(), []);
    let overridden = Release { kind: ReleaseKind::Override, ..release(3, 3) };
    assert_eq!(put(&store, overridden, Some(incident(3, "in haste"))).await, Moved::Live(vec![1]));
    let back = Release { kind: ReleaseKind::Rollback, previous: Some(1), ..release(4, 2) };
    assert_eq!(put(&store, back, None).await, Moved::Live(vec![1]));
    let recovered = store.incident(1).await.unwrap().unwrap();
    assert_eq!((recovered.rollback, recovered.recovered_at), (Some(4), Some(Micros(40))));
    let live = store.live("capital", "production", None).await.unwrap().unwrap();
    assert_eq!((live.seq, live.number, live.kind), (4, 2, ReleaseKind::Rollback));
    let at =
        async |at| store.live("capital", "production", Some(Micros(at))).await.unwrap().map(|live| live.seq);
    assert_eq!((at(9).await, at(10).await, at(29).await, at(40).await), (None, Some(1), Some(2), Some(4)));
    assert_eq!(store.nth_release("capital", "production", 2).await.unwrap(), Some(second));
    assert_eq!(store.nth_release("capital", "production", 9).await.unwrap(), None);
    // Neither in the history, nor in the way of it.
    let rehearsal = Release {
        channel: "rehearsal~production".to_owned(),
        kind: ReleaseKind::Rehearsal,
        released_at: Micros(50),
        ..release(1, 1)
    };
    assert_eq!(put(&store, rehearsal, None).await, Moved::Live(vec![]));
    let seqs = async |on| {
        let releases = store.releases("capital", on).await.unwrap();
        releases.iter().map(|release| release.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(Some("production")).await, [4, 3, 2, 1]);
    assert_eq!(seqs(None).await, [4, 3, 2, 1]);
    assert_eq!(seqs(Some("staging")).await, [0; 0]);
    assert_eq!(store.channels().await.unwrap(), ["production"]);
    for prompt in [None, Some("capital")] {
        let everywhere = store.live_everywhere(prompt).await.unwrap();
        assert_eq!(everywhere.iter().map(|release| release.seq).collect::<Vec<_>>(), [4]);
    }
    assert_eq!(store.live_everywhere(Some("other")).await.unwrap(), []);
    assert_eq!(store.audit(None, 9).await.unwrap().len(), 5);
}

/// Of many who move a channel at once one does.
pub async fn of_releases_at_once_one_is_live(place: StoreUrl) {
    let store = open(&place).await;
    let mut releasers = tokio::task::JoinSet::new();
    for number in 1..=6 {
        let store = store.clone();
        releasers
            .spawn(async move { put(&store, release(1, number), Some(incident(number, "at once"))).await });
    }
    let ended = releasers.join_all().await;
    let live = store.live("capital", "production", None).await.unwrap().unwrap();
    let lost = ended.iter().filter(|ended| **ended == Moved::Raced(Box::new(live.clone()))).count();
    assert_eq!((lost, ended.contains(&Moved::Live(vec![1]))), (5, true), "{ended:?}");
    assert_eq!(store.incidents(true).await.unwrap().len(), 1);
}

/// An incident is one while it is open, changes as it stands, and remembers everything.
pub async fn an_incident_is_one_while_it_is_open(place: StoreUrl) {
    let store = open(&place).await;
    let opening = async |incident| store.open_incident(incident, entry("incident.open")).await.unwrap();
    assert_eq!(opening(incident(1, "it is wrong")).await, Opened::New(1));
    assert_eq!(opening(incident(1, "still")).await, Opened::Known(1));
    assert_eq!(opening(incident(2, "this too")).await, Opened::New(2));
    let change = async |number, change| {
        store.change_incident(number, change, "told".to_owned(), entry("incident")).await.unwrap()
    };
    let resolve = || IncidentChange::Resolve { cause: "haste".to_owned() };
    assert!(change(1, IncidentChange::Acknowledge).await);
    assert!(!change(1, IncidentChange::Acknowledge).await);
    assert!(change(1, IncidentChange::Link { seq: 3, at: Micros(9) }).await);
    assert!(!change(1, IncidentChange::Link { seq: 3, at: Micros(9) }).await, "linked already");
    assert!(!change(1, IncidentChange::Reopen).await);
    assert!(change(1, resolve()).await);
    assert!(!change(1, resolve()).await);
    assert!(!change(1, IncidentChange::Link { seq: 3, at: Micros(9) }).await);
    assert!(!change(7, resolve()).await, "there is none");
    let numbers = async |all| {
        let incidents = store.incidents(all).await.unwrap();
        incidents.iter().map(|incident| incident.number).collect::<Vec<_>>()
    };
    assert_eq!((numbers(false).await, numbers(true).await), (vec![2], vec![2, 1]));
    let first = store.incident(1).await.unwrap().unwrap();
    assert_eq!((first.resolved_at, first.cause.as_deref()), (Some(NOW), Some("haste")));
    assert_eq!(
        (first.acknowledged_at, first.recovered_at, first.rollback),
        (Some(NOW), Some(Micros(9)), Some(3))
    );
    let events = store.incident_events(1).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(told, ["opened", "noted", "acknowledged", "linked", "resolved"]);
    assert_eq!(opening(incident(1, "again")).await, Opened::New(3));
    assert!(!change(1, IncidentChange::Reopen).await, "another of the same is open");
    assert!(change(3, resolve()).await);
    assert!(change(1, IncidentChange::Reopen).await);
    assert_eq!(numbers(false).await, [2, 1]);
}

/// What an override, somebody or the sweeps of a schedule open of one version are incidents of their own; each of them joins its own.
pub async fn what_opened_an_incident_tells_it_apart(place: StoreUrl) {
    let store = open(&place).await;
    let by = |kind, who: &str| NewIncident { kind, opened_by: who.to_owned(), ..incident(1, "it is wrong") };
    let opened = [
        by(IncidentKind::Override, "eve"),
        by(IncidentKind::Manual, "eve"),
        by(IncidentKind::Regression, "schedule nightly"),
        by(IncidentKind::Regression, "schedule weekly"),
    ];
    for (number, incident) in (1..).zip(&opened) {
        let opening = async || store.open_incident(incident.clone(), entry("incident.open")).await.unwrap();
        assert_eq!((opening().await, opening().await), (Opened::New(number), Opened::Known(number)));
    }
    let again = store.open_incident(by(IncidentKind::Manual, "bob"), entry("incident.open")).await.unwrap();
    assert_eq!(again, Opened::Known(2), "people tell of the same");
    let change = async |number, change| {
        store.change_incident(number, change, String::new(), entry("incident")).await.unwrap()
    };
    let resolve = || IncidentChange::Resolve { cause: "haste".to_owned() };
    assert!(change(3, resolve()).await && change(2, resolve()).await);
    assert!(change(3, IncidentChange::Reopen).await, "the other schedule's stands beside it");
    assert_eq!(store.open_incident(opened[1].clone(), entry("incident.open")).await.unwrap(), Opened::New(5));
    assert!(!change(2, IncidentChange::Reopen).await, "another of the same is open");
}

/// A version that comes back while its incident is open is not recovered from, until it is taken off again; the past stays.
pub async fn a_version_that_comes_back_is_not_recovered_from(place: StoreUrl) {
    let store = open(&place).await;
    let over = |seq| Release { kind: ReleaseKind::Override, ..release(seq, 3) };
    let back = |seq, number| Release { kind: ReleaseKind::Rollback, ..release(seq, number) };
    let recovered = async || {
        let incident = store.incident(1).await.unwrap().unwrap();
        incident.rollback.zip(incident.recovered_at)
    };
    put(&store, release(1, 1), None).await;
    put(&store, over(2), Some(incident(3, "in haste"))).await;
    assert_eq!(put(&store, back(3, 1), None).await, Moved::Live(vec![1]));
    assert_eq!(recovered().await, Some((3, Micros(30))));
    // Told of while it is off: that changes nothing.
    store.open_incident(incident(3, "late"), entry("incident.open")).await.unwrap();
    assert_eq!(recovered().await, Some((3, Micros(30))));
    assert_eq!(put(&store, over(4), Some(incident(3, "again"))).await, Moved::Live(vec![1]));
    assert_eq!(recovered().await, None);
    assert_eq!(put(&store, back(5, 1), None).await, Moved::Live(vec![1]));
    assert_eq!(recovered().await, Some((5, Micros(50))));
    // It is over; what comes back then is another incident, unless somebody opens this one again.
    let change =
        async |change| store.change_incident(1, change, "haste".to_owned(), entry("incident")).await.unwrap();
    assert!(change(IncidentChange::Resolve { cause: "haste".to_owned() }).await);
    put(&store, release(6, 3), None).await;
    assert_eq!(recovered().await, Some((5, Micros(50))));
    assert!(change(IncidentChange::Reopen).await);
    assert_eq!(recovered().await, None);
    let events = store.incident_events(1).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(
        told,
        ["opened", "linked", "noted", "unlinked", "noted", "linked", "resolved", "reopened", "unlinked"]
    );
    let kinds = store.unplanned_events(Micros(0), 100).await.unwrap();
    assert_eq!(kinds.iter().filter(|event| event.kind == "incident.unlinked").count(), 2);
}

/// Many who see the same thing at once open one incident; different things have different numbers.
pub async fn incidents_opened_at_once_are_told_apart(place: StoreUrl) {
    let store = open(&place).await;
    let mut openers = tokio::task::JoinSet::new();
    for n in 0..12 {
        let store = store.clone();
        openers.spawn(async move {
            store.open_incident(incident(n % 3, "at once"), entry("incident.open")).await.unwrap()
        });
    }
    let opened = openers.join_all().await;
    assert_eq!(opened.iter().filter(|opened| matches!(opened, Opened::New(_))).count(), 3, "{opened:?}");
    assert_eq!(store.incidents(true).await.unwrap().len(), 3);
}
