//! The whole life, command by command, on a store: two versions are released on their verdicts; the third is worse in German, is
//! refused, and goes live by an override; a nightly sweep finds that the model has got worse for it; it is rolled back, and sweeps end
//! the incident; the review of the month tells exactly that.

use assay_store::{Schema, Store, StoreUrl, Sums};
use assay_tests::assay::Ran;
use assay_tests::places::{on_postgres, on_sqlite};
use fake_provider::{FakeProvider, Reaction, Script, When};
use serde_json::{Value, json};

use super::sweeps::WRONG;
use super::{Team, says};

const CASES: u32 = 200;
const PRODUCTION: [&str; 2] = ["--channel", "production"];

#[tokio::test(flavor = "multi_thread")]
async fn a_life_on_sqlite() {
    on_sqlite(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_on_postgres() {
    on_postgres(life).await;
}

async fn life(place: StoreUrl) {
    Store::open(&place, Schema::Migrate).await.unwrap().close().await;
    let provider = FakeProvider::start(Script::default()).await.unwrap();
    let url = match &place {
        StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        StoreUrl::Postgres(url) => url.clone(),
    };
    let team = Team::of(CASES, "fake/small", &["--store", &url]);
    team.place.provider(provider.base_url(), "");
    tokio::task::block_in_place(|| {
        releases(&team);
        gets_worse(&team, &provider);
        is_looked_back_on(&team);
    });
    let store = Store::open(&place, Schema::Require).await.unwrap();
    is_on_record(&store).await;
    store.close().await;
}

fn asks(team: &Team, command: &[&str], code: i32) -> Ran {
    team.ann(&[command, &PRODUCTION].concat()).expect(code)
}

/// Version 2 is better and is promoted; version 3 is worse in German, is refused, and is released all the same.
fn releases(team: &Team) {
    let first = team.judges(1, None, 0);
    let promoted = asks(team, &["prompt", "promote", "support@1"], 0);
    says(&promoted.stdout, &["support@1", "live on production", "release 1", &first]);
    team.judges(2, Some(1), 0);
    let promoted = asks(team, &["prompt", "promote", "support@2", "--json"], 0).json();
    assert_eq!((&promoted["release"], &promoted["verdict"]["outcome"]), (&2.into(), &"pass".into()));

    let third = team.judges(3, Some(2), 1);
    says(&team.ann(&["status", &third]).expect(0).stdout, &["Recorded: support@3", "against", "fail, until"]);
    let refused = asks(team, &["prompt", "promote", "support@3"], 1);
    assert_eq!(refused.stdout, "");
    says(&refused.stderr, &["support@3 is not promoted", "german on fake/small", "`support` failed"]);
    says(&asks(team, &["prompt", "verify", "prompts/3.md"], 1).stderr, &["not verified", "german"]);

    let over = ["prompt", "promote", "support@3", "--override", "--reason", "the CEO wants it"];
    let released = team.asks("eve", &[&over[..], &PRODUCTION].concat()).expect(0);
    says(&released.stdout, &["release 3", "incident 1 is open"]);
    team.ann(&["incident", "ack", "1"]).expect(0);
}

/// The nightly sweep finds that the model has got worse for version 3; version 2 is still good.
fn gets_worse(team: &Team, provider: &FakeProvider) {
    let add =
        ["schedule", "add", "suite.yaml", "--cron", "0 3 * * *", "--name", "nightly", "--clean-sweeps", "2"];
    says(
        &asks(team, &add, 0).stdout,
        &["nightly is active", "sweeps support on production", "2 clean sweeps"],
    );
    // What is live is measured with five trials a case, and then swept.
    let before = provider.bill().totals().calls;
    assert_eq!(sweep(team, 0), ["clean"]);
    assert_eq!(provider.bill().totals().calls - before, 6 * u64::from(CASES));
    let broken = Reaction::Reply { status: 200, headers: Vec::new(), body: WRONG.to_owned() };
    provider.set_script(Script::default().rule(When::prompt("briefly"), broken));
    assert_eq!(sweep(team, 1), ["worse"]);
    let incident = team.ann(&["incident", "list", "--json"]).expect(0).json()[0].clone();
    assert_eq!(
        [&incident["number"], &incident["kind"], &incident["owner"], &incident["version"]],
        [&json!(2), &json!("regression"), &json!("ann@example.com"), &json!(3)]
    );
    says(incident["summary"].as_str().unwrap(), &["points", "fake/small", "sweep of schedule nightly"]);
    team.ann(&["incident", "ack", "2"]).expect(0);

    let rehearsed = asks(team, &["prompt", "rehearse", "support", "--json"], 0).json();
    assert_eq!((&rehearsed["from"], &rehearsed["to"]), (&3.into(), &2.into()));
    let live = || asks(team, &["prompt", "pull", "support"], 0).stdout;
    assert_eq!(live(), "{{ three }}, briefly\n", "a rehearsal touches nothing");
    let back = asks(team, &["prompt", "rollback", "support", "--reason", "the model changed"], 0);
    says(
        &back.stdout,
        &[
            "support@2",
            "live on production again",
            "release 4",
            "incident 1 is recovered from",
            "incident 2 is recovered from",
        ],
    );
    assert_eq!(live(), "{{ two }}\n");
    says(&asks(team, &["prompt", "verify", "prompts/2.md"], 0).stdout, &["support@2 is live on production"]);

    let state = || team.ann(&["incident", "show", "2", "--json"]).expect(0).json();
    assert_eq!(sweep(team, 0), ["clean"]);
    assert_eq!(state()["state"], "acknowledged");
    assert_eq!(sweep(team, 0), ["clean"]);
    let incident = state();
    assert_eq!(
        (&incident["state"], &incident["cause"], &incident["rollback"]),
        (&"resolved".into(), &"rolled back; since then 2 clean sweeps in a row".into(), &4.into())
    );
    let actions: Vec<_> =
        incident["events"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["opened", "acknowledged", "linked", "resolved"]);
    let cause = ["incident", "resolve", "1", "--cause", "shipped over a failing gate"];
    says(&team.ann(&cause).expect(0).stdout, &["incident 1 is resolved", "linked by ann", "shipped over"]);
}

/// Sweeps now, which ends with `code`; what each round found.
fn sweep(team: &Team, code: i32) -> Vec<String> {
    let sweeps = team.ann(&["schedule", "run-now", "nightly", "--json"]).expect(code).json();
    let found = |sweep: &Value| sweep["looks"][0]["outcome"].as_str().unwrap().to_owned();
    sweeps.as_array().unwrap().iter().map(found).collect()
}

/// The review of the month and the history tell it as it was.
fn is_looked_back_on(team: &Team) {
    let review = team.ann(&["review", "--month", "--json"]).expect(0).json();
    let list = |of: &str| review[of].as_array().unwrap().clone();
    let released: Vec<_> =
        list("releases").iter().map(|line| json!([line["kind"], line["version"], line["by"]])).collect();
    assert_eq!(
        released,
        [
            json!(["promotion", 1, "ann"]),
            json!(["promotion", 2, "ann"]),
            json!(["override", 3, "eve"]),
            json!(["rollback", 2, "ann"])
        ]
    );
    assert_eq!(review["verdicts"], json!({"pass": 2, "fail": 1, "inconclusive": 0}));
    let incidents: Vec<_> = list("incidents")
        .iter()
        .map(|one| json!([one["kind"], one["version"], one["owner"], one["state"], one["rollback"]]))
        .collect();
    assert_eq!(
        incidents,
        [
            json!(["override", 3, "ann@example.com", "resolved", 4]),
            json!(["regression", 3, "ann@example.com", "resolved", 4])
        ]
    );
    for incident in list("incidents") {
        for length in ["seconds_to_detect", "seconds_to_acknowledge", "seconds_to_recover"] {
            assert!(incident[length].is_f64(), "{length}: {incident}");
        }
    }
    assert_eq!((&review["incidents_opened"], &review["incidents_closed"]), (&2.into(), &2.into()));
    // Of 200 cases version 1 passes 160, version 2 190, version 3 130 (90 in English, 40 in German), and none once the model is worse:
    // three runs, two baselines, a clean sweep of version 3, one that was worse, and two of version 2.
    let passed = [160.0, 160.0, 190.0, 190.0, 130.0, 130.0, 130.0, 0.0, 190.0, 190.0, 190.0];
    let signals = &review["signals"];
    assert_eq!((&signals["regression_incidents"], &signals["cases"]), (&1.into(), &2_200.into()));
    assert_eq!((&signals["releases"], &signals["rollbacks"]), (&3.into(), &1.into()));
    let close = |of: &str, expected: f64| (signals[of].as_f64().unwrap() - expected).abs() < 1e-9;
    assert!(close("pass_rate", passed.iter().sum::<f64>() / 2_200.0), "{signals}");
    assert!(close("rollback_rate", 1.0 / 3.0), "{signals}");
    assert_eq!(review["prompts"][0]["points"].as_array().unwrap().len(), passed.len());
    assert_eq!(review["spend"]["runs"], 9);
    let text = team.ann(&["review", "--month", "--html", "month.html"]).expect(0).stdout;
    says(
        &text,
        &[
            "regression_incidents",
            "rollback_rate         33.3 %",
            "2 promoted, 1 overridden, 1 rolled back",
            "2 opened, 2 closed, 0 open",
            "the CEO wants it",
            "the model changed",
        ],
    );
    says(
        &std::fs::read_to_string(team.place.path().join("month.html")).unwrap(),
        &["<svg ", "the CEO wants it"],
    );

    let history = asks(team, &["prompt", "history", "support", "--json"], 0).json();
    let releases = history["releases"].as_array().unwrap();
    assert_eq!(releases.len(), 4);
    let then = releases[2]["released_at"].as_str().unwrap();
    let live = team.ann(&["prompt", "history", "support", "--at", then, "--json"]).expect(0).json();
    assert_eq!((live["releases"].as_array().unwrap().len(), &live["releases"][0]["version"]), (1, &2.into()));
    let all = team.ann(&["prompt", "history", "support", "--all"]).expect(0);
    says(&all.stdout, &["support@1", "support@2", "support@3", "as discussed"]);
    let diff = team.ann(&["prompt", "diff", "support", "1", "3"]).expect(0);
    says(&diff.stdout, &["--- support@1", "+++ support@3", "-{{ one }}", "+{{ three }}"]);
    says(&team.ann(&["prompt", "list"]).expect(0).stdout, &["support", "ann@example.com", "production: 2"]);
    let shown = team.ann(&["prompt", "show", "support"]).expect(0);
    says(&shown.stdout, &["support@3", "verdict  fail against", "{{ three }}"]);
}

/// The audit holds every change: who, from where, in its order.
async fn is_on_record(store: &Store) {
    let audit = store.audit(None, 50).await.unwrap();
    let nightly = "schedule nightly";
    let told: Vec<_> = audit.iter().rev().map(|row| (row.action.as_str(), row.actor.as_str())).collect();
    assert_eq!(
        told,
        [
            ("release.promotion", "ann"),
            ("release.promotion", "ann"),
            ("release.override", "eve"),
            ("incident.ack", "ann"),
            ("schedule.add", "ann"),
            ("baseline.ask", nightly),
            ("schedule.fire", "ann"),
            ("schedule.fire", "ann"),
            ("incident.open", nightly),
            ("incident.ack", "ann"),
            ("release.rehearsal", "ann"),
            ("release.rehearsal", "ann"),
            ("release.rehearsal", "ann"),
            ("release.rollback", "ann"),
            ("baseline.ask", nightly),
            ("schedule.fire", "ann"),
            ("schedule.fire", "ann"),
            ("incident.resolve", nightly),
            ("incident.resolve", "ann"),
        ]
    );
    let from = |row: &&assay_store::AuditEntry| row.detail["from"].as_str().unwrap().to_owned();
    assert!(
        audit.iter().filter(|row| row.actor != nightly).all(|row| from(&row).starts_with("command line on "))
    );
    let run = store.runs(None, 1).await.unwrap().pop().unwrap();
    let again = store.record_verdicts(run.id, run.finished_at.unwrap(), Vec::new(), Sums::default()).await;
    assert!(!again.unwrap(), "judged once");
}
