//! What reviews and notifications need: events that come with what they tell of, an outbox that loses and doubles nothing, runs
//! added up once, risks and ranges.

use assay_common::clock::Micros;
use assay_common::id::{AuditId, Digest};
use assay_store::{
    AccountProblem, AuditEntry, Event, IncidentChange, IncidentKind, Mandate, Move, NewIncident, NewRisk,
    Range, Release, ReleaseKind, Signal, Store, StoreUrl, Subject, Sums, VariantSum, Wavering,
};
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Fixture, NOW, open};

fn entry(action: &str, at: Micros) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(Uuid::now_v7()),
        at,
        actor: "ann".to_owned(),
        action: action.to_owned(),
        subject: "capital".to_owned(),
        detail: json!({}),
    }
}

/// Releases version `seq` at `seq` tens of microseconds; an override opens an incident.
async fn release(store: &Store, seq: i64, kind: ReleaseKind) {
    let digest = Digest::of(format!("version {seq}").as_bytes());
    let release = Release {
        prompt: "capital".to_owned(),
        channel: "production".to_owned(),
        seq,
        kind,
        number: seq,
        digest: digest.clone(),
        previous: (seq > 1).then_some(seq - 1),
        released_at: Micros(seq * 10),
        released_by: "ann".to_owned(),
        origin: "the tests".to_owned(),
        reason: Some("a\u{0}b".to_owned()),
        verdict_run: None,
    };
    let incident = (kind == ReleaseKind::Override).then(|| NewIncident {
        prompt: "capital".to_owned(),
        channel: "production".to_owned(),
        version: seq,
        digest,
        kind: IncidentKind::Override,
        summary: "now".to_owned(),
        owner: Some("bob".to_owned()),
        began_at: Micros(seq * 10),
        opened_at: Micros(seq * 10),
        opened_by: "ann".to_owned(),
    });
    let recovers = (kind == ReleaseKind::Rollback).then(|| Digest::of(b"version 2"));
    let planned = Move { release, incident, recovers, entry: entry("release", Micros(seq * 10)) };
    store.release_version(planned).await.unwrap();
}

async fn kinds(store: &Store) -> Vec<String> {
    let events = store.unplanned_events(Micros(0), 100).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

/// Every change that somebody outside may want to know has its event, and what changed nothing has none.
pub async fn events_come_with_what_they_tell_of(place: StoreUrl) {
    let store = open(&place).await;
    release(&store, 1, ReleaseKind::Promotion).await;
    release(&store, 2, ReleaseKind::Override).await;
    release(&store, 2, ReleaseKind::Promotion).await; // raced
    release(&store, 3, ReleaseKind::Rollback).await;
    release(&store, 4, ReleaseKind::Rehearsal).await;
    let resolve = async |at| {
        let change = IncidentChange::Resolve { cause: "haste".to_owned() };
        store.change_incident(1, change, "haste".to_owned(), entry("incident.resolve", Micros(at))).await
    };
    assert!(resolve(50).await.unwrap());
    assert!(!resolve(60).await.unwrap(), "it is over");
    let problem =
        |kind: &str| AccountProblem { kind: kind.to_owned(), detail: "d".to_owned(), since: Micros(70) };
    for kind in ["quota", "quota", AccountProblem::RATE_LIMITED] {
        store.report_account("echo".to_owned(), Some(problem(kind)), NOW).await.unwrap();
    }
    let mut told = kinds(&store).await;
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "attention.account",
            "incident.linked",
            "incident.opened",
            "incident.resolved",
            "release.override",
            "release.promotion",
            "release.rollback",
        ]
    );
    let events = store.unplanned_events(Micros(0), 100).await.unwrap();
    let opened = events.iter().find(|event| event.kind == "incident.opened").unwrap();
    assert_eq!((&opened.data["owner"], &opened.data["incident"]), (&json!("bob"), &json!(1)));
    // What is older than a day is told to nobody.
    let day = 24 * 60 * 60 * 1_000_000;
    assert_eq!(store.unplanned_events(Micros(day + 50), 100).await.unwrap().len(), 2);
    let periods = async |from, to| store.releases_between(Micros(from), Micros(to)).await.unwrap().len();
    assert_eq!((periods(0, 100).await, periods(20, 30).await), (3, 1));
    let during = async |from, to| {
        let (incidents, happened) = store.incidents_during(Micros(from), Micros(to)).await.unwrap();
        (incidents.len(), happened.len())
    };
    assert_eq!((during(0, 31).await, during(40, 100).await, during(51, 100).await), ((1, 2), (1, 3), (0, 0)));
    let (_, happened) = store.incidents_during(Micros(0), Micros(100)).await.unwrap();
    let told: Vec<_> =
        happened.iter().map(|one| (one.action.as_str(), one.detail.as_str(), one.link)).collect();
    assert_eq!(
        told,
        [
            ("opened", "now", None),
            ("linked", "release 3: rollback to version 3", Some((3, Micros(30)))),
            ("resolved", "haste", None),
        ]
    );
}

/// A delivery is planned once, claimed by one, and tried until it is taken or given up; then by hand.
pub async fn the_outbox_loses_and_doubles_nothing(place: StoreUrl) {
    let store = open(&place).await;
    let event = Event::new("test", "1", Micros(5), "a\u{0}b".to_owned(), json!({"n": 1}));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for _ in 0..2 {
        // Told twice, it is one.
        let addressed = store.address_event(event.clone(), names(&[]), entry("notify.test", NOW)).await;
        addressed.unwrap();
    }
    release(&store, 1, ReleaseKind::Promotion).await;
    let planned = store.unplanned_events(Micros(0), 9).await.unwrap();
    assert_eq!(planned.len(), 1, "a test is planned as it is made");
    let id = planned[0].id.clone();
    store.plan_deliveries(id.clone(), names(&["ops", "dev"]), Micros(20)).await.unwrap();
    store.plan_deliveries(id.clone(), names(&["late"]), Micros(21)).await.unwrap();
    assert_eq!(store.deliveries(true, 9).await.unwrap().len(), 2);
    assert_eq!(store.due_deliveries("ops", Micros(19), 9).await.unwrap(), []);
    let due = store.due_deliveries("ops", Micros(20), 9).await.unwrap().pop().unwrap();
    assert_eq!(due.event, planned[0]);
    assert!(store.claim_delivery(&due, Micros(50)).await.unwrap());
    assert!(!store.claim_delivery(&due, Micros(50)).await.unwrap(), "it is claimed");
    assert_eq!(store.due_deliveries("ops", Micros(49), 9).await.unwrap(), []);
    // Whoever claimed it died: it is claimed again, and the first may say nothing of it any more.
    let again = store.due_deliveries("ops", Micros(50), 9).await.unwrap().pop().unwrap();
    assert!(store.claim_delivery(&again, Micros(80)).await.unwrap());
    store.delivery_failed(&due, "late".to_owned(), None, Micros(60)).await.unwrap();
    assert_eq!(store.deliveries(false, 9).await.unwrap()[1].problem, None);
    store.delivery_failed(&again, "500".to_owned(), Some(Micros(90)), Micros(60)).await.unwrap();
    let third = store.due_deliveries("ops", Micros(90), 9).await.unwrap().pop().unwrap();
    assert_eq!((third.attempts, third.problem.as_deref()), (2, Some("500")));
    assert!(store.claim_delivery(&third, Micros(99)).await.unwrap());
    store.delivery_failed(&third, "gone".to_owned(), None, Micros(95)).await.unwrap();
    assert_eq!(store.due_deliveries("ops", Micros(1_000), 9).await.unwrap(), [], "given up");
    let retry = async |webhook: Option<&str>| {
        let entry = entry("notify.retry", Micros(100));
        store.retry_deliveries(webhook.map(str::to_owned), entry).await.unwrap()
    };
    assert_eq!((retry(Some("nobody")).await, retry(Some("ops")).await), (0, 1));
    let last = store.due_deliveries("ops", Micros(100), 9).await.unwrap().pop().unwrap();
    assert!(store.claim_delivery(&last, Micros(130)).await.unwrap());
    store.delivered(&last, Micros(110)).await.unwrap();
    assert_eq!(retry(None).await, 1, "what was taken is not told again");
    let told = store.deliveries(true, 9).await.unwrap();
    assert_eq!(told.iter().filter(|one| one.delivered_at == Some(Micros(110))).count(), 1);
    assert_eq!(store.prune_events(Micros(6)).await.unwrap(), 1);
    assert_eq!(
        (store.prune_events(Micros(11)).await.unwrap(), store.deliveries(true, 9).await.unwrap()),
        (1, vec![])
    );
}

/// What a run came to is kept with its verdicts, once for each end.
pub async fn a_run_is_added_up_at_its_end(place: StoreUrl) {
    let fixture = Fixture::expanded(&place, 1).await;
    let store = &fixture.store;
    store.cancel(fixture.run, "enough".into(), NOW).await.unwrap();
    store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    let sums = Sums {
        variants: vec![VariantSum {
            prompt: "capital".to_owned(),
            version: Some(1),
            digest: Digest::of(b"v"),
            model: "echo/echo".to_owned(),
            cases: 3,
            pass_rate: Some(1.0 / 3.0),
            interval: [0.1, 0.7],
        }],
        wavering: vec![Wavering {
            case: "c".to_owned(),
            prompt: "capital".to_owned(),
            version: None,
            model: "echo/echo".to_owned(),
            trials: 5,
            passed: 2,
        }],
    };
    assert!(store.record_verdicts(fixture.run, NOW, Vec::new(), sums.clone()).await.unwrap());
    assert!(!store.record_verdicts(fixture.run, NOW, Vec::new(), Sums::default()).await.unwrap());
    let ends = store.run_ends(NOW, Micros(NOW.0 + 1)).await.unwrap();
    assert_eq!((ends.len(), &ends[0].sums, ends[0].jobs), (1, &sums, [0, 0, 1]));
    assert_eq!(store.run_ends(Micros(0), NOW).await.unwrap(), []);
    assert_eq!(store.spent_before(NOW, Micros(NOW.0 + 1)).await.unwrap(), []);
    assert_eq!(store.verdicts_between(Micros(0), Micros(i64::MAX)).await.unwrap(), []);
}

/// Risks are numbered and closed once; as of a moment they stand as they stood then.
pub async fn risks_stand_as_they_stood(place: StoreUrl) {
    let store = open(&place).await;
    let risk = |title: &str, deadline: i64| NewRisk {
        title: title.to_owned(),
        prompt: None,
        owner: "ann".to_owned(),
        deadline_at: Micros(deadline),
        added_at: Micros(10),
        added_by: "bob".to_owned(),
    };
    let add =
        async |title, deadline| store.add_risk(risk(title, deadline), entry("risk.add", Micros(10))).await;
    assert_eq!((add("a", 200).await.unwrap(), add("b", 100).await.unwrap()), (1, 2));
    let close =
        async || store.close_risk(2, "done".to_owned(), entry("risk.close", Micros(50))).await.unwrap();
    assert_eq!((close().await, close().await), (true, false));
    let open = async |before, all| {
        let risks = store.risks(Micros(before), all).await.unwrap();
        risks.into_iter().map(|risk| risk.number).collect::<Vec<_>>()
    };
    assert_eq!((open(10, false).await, open(11, false).await), (vec![], vec![2, 1]));
    assert_eq!(
        (open(50, false).await, open(51, false).await, open(51, true).await),
        (vec![2, 1], vec![1], vec![2, 1])
    );
    let closed = store.risk(2).await.unwrap().unwrap();
    assert_eq!((closed.taken.title.as_str(), closed.outcome.as_deref()), ("b", Some("done")));
    assert_eq!(store.risk(3).await.unwrap(), None);
}

/// The latest range holds, those before held, and news of one is told once.
pub async fn ranges_hold_from_when_they_are_set(place: StoreUrl) {
    let store = open(&place).await;
    let range = |at: i64, high: f64| Range {
        signal: Signal::RollbackRate,
        subject: Subject::Prompt("p".to_owned()),
        set_at: Micros(at),
        set_by: "ann".to_owned(),
        low: None,
        high: Some(high),
        window_us: 7,
        outside: None,
    };
    for (at, high) in [(10, 0.5), (20, 0.25)] {
        store.set_range(range(at, high), entry("range.set", Micros(at))).await.unwrap();
    }
    let held = async |at| {
        let ranges = store.ranges(Micros(at)).await.unwrap();
        ranges.into_iter().map(|range| range.high).collect::<Vec<_>>()
    };
    assert_eq!((held(9).await, held(19).await, held(20).await), (vec![], vec![Some(0.5)], vec![Some(0.25)]));
    let event = || Some(Event::new("range.left", "1", Micros(30), "left".to_owned(), json!({})));
    assert!(store.mark_range(&range(20, 0.25), true, event()).await.unwrap());
    assert!(!store.mark_range(&range(20, 0.25), true, event()).await.unwrap(), "it was known");
    assert!(!store.mark_range(&range(10, 0.5), true, event()).await.unwrap(), "it holds no more");
    assert_eq!(kinds(&store).await, ["range.left"]);
    let remove = async || {
        let entry = entry("range.remove", Micros(40));
        store.remove_range(Signal::RollbackRate, Subject::Prompt("p".to_owned()), entry).await.unwrap()
    };
    assert_eq!((remove().await, remove().await), (true, false));
    assert_eq!((held(39).await.len(), held(40).await.len()), (1, 0));
}
