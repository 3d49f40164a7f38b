//! What schedules need: planned times fired once, one sweep at a time, looks and incidents recorded once, baselines that stay.

use assay_common::clock::Micros;
use assay_common::id::{AuditId, Digest, RunId};
use assay_store::{
    AuditEntry, IncidentChange, IncidentKind, Judged, Look, LookOutcome, Mandate, NewBaseline, NewIncident,
    NewSweep, Opened, Schedule, ScheduleChange, Store, StoreUrl, Target,
};
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Fixture, NOW, new_run, run_id};

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(Uuid::now_v7()),
        at: NOW,
        actor: "schedule nightly".to_owned(),
        action: action.to_owned(),
        subject: "nightly".to_owned(),
        detail: json!({}),
    }
}

fn schedule(fixture: &Fixture, name: &str) -> Schedule {
    Schedule {
        name: name.to_owned(),
        suite: fixture.suite.clone(),
        terms: Digest::of(b"terms"),
        channels: vec!["production".to_owned()],
        cron: "0 3 * * *".to_owned(),
        zone: "UTC".to_owned(),
        clean_sweeps: 3,
        paused: false,
        due_from: NOW,
        created_at: NOW,
        created_by: "ann".to_owned(),
    }
}

fn target() -> Target {
    Target {
        prompt: "capital".to_owned(),
        channel: "production".to_owned(),
        number: 1,
        digest: Digest::of(b"one"),
    }
}

fn sweep(fixture: &Fixture, planned: i64, round: u32, run: Option<RunId>) -> NewSweep {
    NewSweep {
        schedule: "nightly".to_owned(),
        planned_at: Micros(planned),
        round,
        fired_at: Micros(planned + 1),
        fired_by: "schedule nightly".to_owned(),
        targets: vec![target()],
        run: run.map(|id| new_run(id, fixture.suite.revision(), 1)),
    }
}

fn look(outcome: LookOutcome, evidence: Option<f64>) -> Look {
    Look {
        prompt: "capital".to_owned(),
        channel: "production".to_owned(),
        model: "echo/e".to_owned(),
        digest: Digest::of(b"one"),
        round: 1,
        fired_at: Micros(11),
        baseline: Some(run_id(9)),
        frozen: evidence.is_some(),
        cases: 40,
        missing: 1,
        difference: Some(-0.125),
        slack: Some(0.01),
        z: Some(-2.5),
        evidence,
        threshold: evidence.map(|_| 1_825.0),
        detector: evidence.map(|_| "{}".to_owned()),
        recovery: Some("{}".to_owned()),
        outcome,
    }
}

fn judged(seq: u64, looks: Vec<Look>) -> Judged {
    Judged {
        schedule: "nightly".to_owned(),
        seq,
        at: Micros(20),
        suspicious: true,
        looks,
        opens: Vec::new(),
        resolves: Vec::new(),
    }
}

async fn with_schedule(place: &StoreUrl) -> Fixture {
    let fixture = Fixture::created(place, 1).await;
    let new = schedule(&fixture, "nightly");
    assert!(fixture.store.add_schedule(new, entry("schedule.add")).await.unwrap());
    fixture
}

/// Names are taken once, and a schedule comes back as it was.
pub async fn a_schedule_is_added_paused_and_removed(place: StoreUrl) {
    let fixture = with_schedule(&place).await;
    let store = &fixture.store;
    let new = schedule(&fixture, "nightly");
    assert!(!store.add_schedule(new.clone(), entry("schedule.add")).await.unwrap(), "the name is taken");
    assert_eq!(store.schedules().await.unwrap(), std::slice::from_ref(&new));
    assert_eq!(store.schedule("weekly").await.unwrap(), None);
    let change = async |change, at| {
        let entry = AuditEntry { at: Micros(at), ..entry("schedule.change") };
        store.change_schedule("nightly".to_owned(), change, entry).await.unwrap()
    };
    assert!(!change(ScheduleChange::Resume, 5).await, "it is not paused");
    assert!(change(ScheduleChange::Pause, 6).await && !change(ScheduleChange::Pause, 7).await);
    assert!(store.schedule("nightly").await.unwrap().unwrap().paused);
    assert!(change(ScheduleChange::Resume, 8).await);
    let resumed = store.schedule("nightly").await.unwrap().unwrap();
    assert_eq!(resumed, Schedule { due_from: Micros(8), ..new });
    // What it asks about stays as long as it does.
    store.cancel(fixture.run, "enough".into(), NOW).await.unwrap();
    let ended = store.finish(Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    assert!(store.mark_pruned(&ended, "{}".to_owned(), entry("run.prune")).await.unwrap());
    let dataset = fixture.suite.dataset.digest.clone();
    assert!(!store.prune_dataset(dataset.clone()).await.unwrap(), "a schedule refers to it");
    assert_eq!(store.unused_datasets(Micros(i64::MAX)).await.unwrap(), []);
    assert!(change(ScheduleChange::Remove, 9).await && !change(ScheduleChange::Remove, 9).await);
    assert_eq!(store.schedules().await.unwrap(), []);
    assert!(store.prune_dataset(dataset).await.unwrap());
    let audit = store.audit(None, 9).await.unwrap();
    assert_eq!(audit.iter().filter(|row| row.action == "schedule.change").count(), 3, "one row a change");
}

/// A planned time is fired once and one sweep at a time, with its run and its row of the audit, or not at all.
pub async fn a_planned_time_is_fired_once(place: StoreUrl) {
    let fixture = with_schedule(&place).await;
    let store = &fixture.store;
    let fire = async |planned, round, run| {
        let sweep = sweep(&fixture, planned, round, run);
        store.fire_sweep(Mandate::Own, sweep, entry("schedule.fire")).await.unwrap()
    };
    assert!(fire(10, 1, Some(run_id(5))).await);
    assert!(store.run(run_id(5)).await.unwrap().is_some());
    assert!(!fire(10, 1, Some(run_id(6))).await, "it was fired");
    assert!(!fire(20, 1, Some(run_id(6))).await, "another is under way");
    assert_eq!(store.run(run_id(6)).await.unwrap(), None, "nothing of it was done");
    let open = store.unjudged_sweeps().await.unwrap();
    assert_eq!((open.len(), open[0].seq, open[0].run), (1, 1, Some(run_id(5))));
    assert_eq!(open[0].targets, [target()]);
    assert!(store.judge_sweep(Mandate::Own, judged(1, Vec::new())).await.unwrap().is_some());
    assert!(!fire(10, 1, Some(run_id(6))).await, "still fired");
    assert!(fire(10, 2, Some(run_id(6))).await, "its second round is another");
    assert!(store.was_fired("nightly", Micros(10), 2).await.unwrap());
    assert!(!store.was_fired("nightly", Micros(10), 3).await.unwrap());
    store.judge_sweep(Mandate::Own, judged(2, Vec::new())).await.unwrap();
    // With nothing live it is over at once.
    assert!(fire(30, 1, None).await && fire(5, 1, None).await);
    let last = async |now| store.last_fired("nightly", Micros(now)).await.unwrap();
    assert_eq!((last(29).await, last(30).await, last(4).await), (Some(Micros(10)), Some(Micros(30)), None));
    let sweeps = store.sweeps("nightly", 9).await.unwrap();
    assert_eq!(sweeps.iter().map(|sweep| sweep.seq).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!((sweeps[1].judged_at, sweeps[3].suspicious), (Some(Micros(31)), true));
    let fired = store.audit(None, 99).await.unwrap();
    assert_eq!(fired.iter().filter(|row| row.action == "schedule.fire").count(), 4);
    store.change_schedule("nightly".to_owned(), ScheduleChange::Remove, entry("x")).await.unwrap();
    assert!(!fire(40, 1, None).await, "the schedule is gone");
    let epoch = Mandate::Epoch(7);
    let refused = store.fire_sweep(epoch, sweep(&fixture, 50, 1, None), entry("schedule.fire")).await;
    assert!(matches!(refused, Err(assay_store::StoreError::Deposed { .. })), "{refused:?}");
}

/// Of many who fire at once one does.
pub async fn of_many_who_fire_one_does(place: StoreUrl) {
    let fixture = with_schedule(&place).await;
    let tries = (0..6_u128).map(|n| {
        let store: Store = fixture.store.clone();
        let sweep = sweep(&fixture, 10 + i64::try_from(n % 2).unwrap(), 1, Some(run_id(20 + n)));
        tokio::spawn(
            async move { store.fire_sweep(Mandate::Own, sweep, entry("schedule.fire")).await.unwrap() },
        )
    });
    let mut won = 0;
    for tried in tries.collect::<Vec<_>>() {
        won += usize::from(tried.await.unwrap());
    }
    assert_eq!((won, fixture.store.sweeps("nightly", 9).await.unwrap().len()), (1, 1));
}

/// Looks come back as they were; with them incidents open, are noted and end, once.
pub async fn a_sweep_is_judged_once(place: StoreUrl) {
    let fixture = with_schedule(&place).await;
    let store = &fixture.store;
    let incident = |summary: &str, kind| NewIncident {
        prompt: "capital".to_owned(),
        channel: "production".to_owned(),
        version: 1,
        digest: Digest::of(b"one"),
        kind,
        summary: summary.to_owned(),
        owner: Some("bob".to_owned()),
        began_at: Micros(5),
        opened_at: NOW,
        opened_by: "schedule nightly".to_owned(),
    };
    let by_hand = incident("it feels slow", IncidentKind::Manual);
    assert_eq!(store.open_incident(by_hand, entry("incident.open")).await.unwrap(), Opened::New(1));
    let fire = sweep(&fixture, 30, 1, Some(run_id(7)));
    assert!(store.fire_sweep(Mandate::Own, fire, entry("schedule.fire")).await.unwrap());
    let looks = vec![
        look(LookOutcome::Worse, Some(2_000.5)),
        Look { model: "echo/f".to_owned(), ..look(LookOutcome::Suspicious, None) },
    ];
    let worse = |seq| Judged {
        opens: vec![(incident("it is worse", IncidentKind::Regression), entry("incident.open"))],
        ..judged(seq, looks.clone())
    };
    let opened = store.judge_sweep(Mandate::Own, worse(1)).await.unwrap();
    assert_eq!(opened, Some(vec![Opened::New(2)]), "beside the one that was opened by hand");
    assert_eq!(store.judge_sweep(Mandate::Own, worse(1)).await.unwrap(), None, "it was judged");
    assert_eq!(store.looks("nightly", 1).await.unwrap(), looks);
    assert_eq!(store.looks("nightly", 2).await.unwrap(), []);
    let fire = sweep(&fixture, 40, 1, Some(run_id(8)));
    assert!(store.fire_sweep(Mandate::Own, fire, entry("schedule.fire")).await.unwrap());
    assert_eq!(store.judge_sweep(Mandate::Own, worse(2)).await.unwrap(), Some(vec![Opened::Known(2)]));
    let on = store.looks_on("capital", "production", "nightly", 3).await.unwrap();
    assert_eq!(on.len(), 3);
    let open = store.open_regressions("capital", "production").await.unwrap();
    assert_eq!(open.iter().map(|incident| incident.number).collect::<Vec<_>>(), [2]);
    assert_eq!(store.open_regressions("capital", "staging").await.unwrap(), []);
    // Clean sweeps end it; one that somebody ended a moment ago stays as he said.
    let fire = sweep(&fixture, 50, 1, Some(run_id(10)));
    assert!(store.fire_sweep(Mandate::Own, fire, entry("schedule.fire")).await.unwrap());
    let resolve = IncidentChange::Resolve { cause: "it was the weather".to_owned() };
    assert!(
        store.change_incident(1, resolve, "so it was".to_owned(), entry("incident.resolve")).await.unwrap()
    );
    let clean = Judged {
        resolves: vec![
            (1, "3 clean sweeps".to_owned(), entry("incident.resolve")),
            (2, "3 clean sweeps".to_owned(), entry("incident.resolve")),
        ],
        ..judged(3, Vec::new())
    };
    assert_eq!(store.judge_sweep(Mandate::Own, clean).await.unwrap(), Some(Vec::new()));
    let cause = async |number| store.incident(number).await.unwrap().unwrap().cause;
    assert_eq!(cause(1).await.as_deref(), Some("it was the weather"));
    assert_eq!(cause(2).await.as_deref(), Some("3 clean sweeps"));
    let events = store.incident_events(2).await.unwrap();
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["opened", "noted", "resolved"]);
    // Open again, it is still one of its kind.
    let reopen = async |number| {
        store.change_incident(number, IncidentChange::Reopen, "no".to_owned(), entry("x")).await.unwrap()
    };
    assert!(reopen(1).await && reopen(2).await);
}

/// A baseline is measured once, again only where its run was cancelled, and its results stay.
pub async fn a_baseline_is_measured_once(place: StoreUrl) {
    let fixture = with_schedule(&place).await;
    let store = &fixture.store;
    let (digest, terms) = (Digest::of(b"one"), Digest::of(b"terms"));
    let ask_over = async |run, replaces| {
        let baseline = NewBaseline {
            prompt: "capital".to_owned(),
            digest: digest.clone(),
            terms: terms.clone(),
            run: new_run(run, fixture.suite.revision(), 1),
            replaces,
        };
        store.ask_baseline(Mandate::Own, baseline, entry("baseline.ask")).await.unwrap()
    };
    let ask = async |run| ask_over(run, None).await;
    let known = async || {
        let found = store.baseline("capital", &digest, &terms).await.unwrap();
        found.map(|(run, _)| run)
    };
    assert_eq!(known().await, None);
    assert!(ask(run_id(5)).await && !ask(run_id(6)).await);
    assert_eq!((known().await, store.run(run_id(6)).await.unwrap()), (Some(run_id(5)), None));
    store.cancel(run_id(5), "no".into(), NOW).await.unwrap();
    store.finish(Mandate::Own, run_id(5), NOW).await.unwrap();
    assert!(ask(run_id(9)).await && !ask(run_id(8)).await);
    // One that is not believed, once.
    assert!(ask_over(run_id(7), Some(run_id(9))).await && !ask_over(run_id(8), Some(run_id(9))).await);
    assert_eq!(known().await, Some(run_id(7)));
    store.cancel(run_id(7), "no".into(), NOW).await.unwrap();
    store.finish(Mandate::Own, run_id(7), NOW).await.unwrap();
    let old = store.old_runs(Micros(i64::MAX)).await.unwrap();
    assert!(old.contains(&run_id(5)) && !old.contains(&run_id(7)), "{old:?}");
    // Its terms are those of another schedule too.
    store.add_schedule(schedule(&fixture, "weekly"), entry("schedule.add")).await.unwrap();
    for (name, left) in [("nightly", Some(run_id(7))), ("weekly", None)] {
        store.change_schedule(name.to_owned(), ScheduleChange::Remove, entry("x")).await.unwrap();
        assert_eq!(known().await, left, "{name}");
    }
}
