//! The whole life.

use assay_store::{Schema, Scope, Store, StoreUrl, Sums};
use assay_tests::api::{Answer, Api};
use assay_tests::places::{on_postgres, on_sqlite};
use reqwest::Method;
use serde_json::json;

use super::{Team, says};

#[tokio::test(flavor = "multi_thread")]
async fn a_life_on_sqlite() {
    on_sqlite(life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_on_postgres() {
    on_postgres(life).await;
}

async fn life(store: StoreUrl) {
    Store::open(&store, Schema::Migrate).await.unwrap().close().await;
    let url = match &store {
        StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        StoreUrl::Postgres(url) => url.clone(),
    };
    let team = Team::new(&["--store", &url]);
    live(&team, &team);
    let store = Store::open(&store, Schema::Require).await.unwrap();
    let audit = store.audit(None, 50).await.unwrap();
    let told: Vec<_> = audit.iter().rev().map(|row| (row.action.as_str(), row.actor.as_str())).collect();
    assert_eq!(
        told,
        [
            ("release.promotion", "ann"),
            ("release.promotion", "ann"),
            ("release.override", "eve"),
            ("incident.ack", "ann"),
            ("release.rehearsal", "ann"),
            ("release.rehearsal", "ann"),
            ("release.rehearsal", "ann"),
            ("release.rollback", "ann"),
            ("incident.resolve", "ann"),
        ]
    );
    assert!(audit.iter().all(|row| row.detail["from"].as_str().unwrap().starts_with("command line on ")));
    let run = store.runs(None, 1).await.unwrap().pop().unwrap();
    assert!(
        !store.record_verdicts(run.id, run.finished_at.unwrap(), Vec::new(), Sums::default()).await.unwrap(),
        "judged once"
    );
    store.close().await;
}

/// What `maker` runs, `team` releases.
fn live(maker: &Team, team: &Team) {
    let first = maker.judges(1, None, 0);
    let promoted = team.ann(&["prompt", "promote", "support@1", "--channel", "production"]).expect(0);
    says(&promoted.stdout, &["support@1", "live on production", "release 1", &first]);

    let second = maker.judges(2, Some(1), 0);
    let status = team.ann(&["status", &second]).expect(0);
    says(&status.stdout, &["Recorded: support@2", "against", "pass, until"]);
    let promoted =
        team.ann(&["prompt", "promote", "support@2", "--channel", "production", "--json"]).expect(0).json();
    assert_eq!((&promoted["release"], &promoted["verdict"]["outcome"]), (&2.into(), &"pass".into()));

    maker.judges(3, Some(2), 1);
    let promote = ["prompt", "promote", "support@3", "--channel", "production"];
    let refused = team.asks("eve", &promote).expect(1);
    assert_eq!(refused.stdout, "");
    says(&refused.stderr, &["support@3 is not promoted", "german on echo/echo", "`support` failed"]);
    let no = team.ann(&["prompt", "verify", "prompts/3.md", "--channel", "production"]).expect(1);
    says(&no.stderr, &["not verified", "german"]);

    let over = ["--override", "--reason", "the CEO wants it"];
    let released = team.asks("eve", &[&promote[..], &over].concat()).expect(0);
    says(&released.stdout, &["release 3", "incident 1 is open"]);
    let open = team.ann(&["incident", "list", "--json"]).expect(0).json();
    assert_eq!(open[0]["owner"], "ann@example.com");
    assert_eq!((&open[0]["kind"], &open[0]["state"]), (&"override".into(), &"open".into()));
    says(open[0]["summary"].as_str().unwrap(), &["the CEO wants it"]);
    team.ann(&["incident", "ack", "1"]).expect(0);

    let rehearsed =
        team.ann(&["prompt", "rehearse", "support", "--channel", "production", "--json"]).expect(0).json();
    assert!(rehearsed["seconds"].as_f64().unwrap() < 60.0, "{rehearsed}");
    assert_eq!((&rehearsed["from"], &rehearsed["to"]), (&3.into(), &2.into()));
    let pulled = team.ann(&["prompt", "pull", "support", "--channel", "production"]).expect(0);
    assert_eq!(pulled.stdout, "{{ three }}\n", "a rehearsal touches nothing");

    let rollback =
        ["prompt", "rollback", "support", "--channel", "production", "--reason", "German got worse"];
    let back = team.ann(&rollback).expect(0);
    says(
        &back.stdout,
        &["support@2", "live on production again", "release 4", "incident 1 is recovered from"],
    );
    team.ann(&["prompt", "pull", "support", "--channel", "production", "--output", "live.md"]).expect(0);
    let yes = team.ann(&["prompt", "verify", "live.md", "--channel", "production"]).expect(0);
    says(&yes.stdout, &["support@2 is live on production"]);
    let cause = ["incident", "resolve", "1", "--cause", "shipped over a failing gate"];
    let resolved = team.ann(&cause).expect(0);
    says(
        &resolved.stdout,
        &["incident 1 is resolved", "linked by ann", "cause: shipped over a failing gate"],
    );
    let incident = team.ann(&["incident", "show", "1", "--json"]).expect(0).json();
    for length in ["seconds_to_detect", "seconds_to_acknowledge", "seconds_to_recover"] {
        assert!(incident[length].is_f64(), "{length}: {incident}");
    }
    assert_eq!(
        (&incident["rollback"], &incident["events"][1]["action"]),
        (&4.into(), &"acknowledged".into())
    );

    let history =
        team.ann(&["prompt", "history", "support", "--channel", "production", "--json"]).expect(0).json();
    let releases = history["releases"].as_array().unwrap();
    let kinds: Vec<_> = releases.iter().map(|release| (&release["kind"], &release["version"])).collect();
    let kind = |word: &str, version: i64| (json!(word), json!(version));
    assert_eq!(
        kinds.into_iter().map(|(kind, version)| (kind.clone(), version.clone())).collect::<Vec<_>>(),
        [kind("rollback", 2), kind("override", 3), kind("promotion", 2), kind("promotion", 1)]
    );
    let then = releases[2]["released_at"].as_str().unwrap();
    let live = team.ann(&["prompt", "history", "support", "--at", then, "--json"]).expect(0).json();
    assert!(live["releases"].as_array().unwrap().len() == 1, "{live}");
    let all = team.ann(&["prompt", "history", "support", "--all"]).expect(0);
    says(&all.stdout, &["support@1", "support@2", "support@3", "as discussed"]);
    let diff = team.ann(&["prompt", "diff", "support", "1", "3"]).expect(0);
    says(&diff.stdout, &["--- support@1", "+++ support@3", "-{{ one }}", "+{{ three }}"]);
    says(&team.ann(&["prompt", "list"]).expect(0).stdout, &["support", "ann@example.com", "production: 2"]);
    says(
        &team.ann(&["prompt", "show", "support"]).expect(0).stdout,
        &["support@3", "verdict  fail against", "{{ three }}"],
    );
}

/// The same with every release asked of a coordinator, and what applications read of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_life_through_a_coordinator() {
    on_sqlite(|store| async move {
        let api = Api::start(&store, "").await;
        let token = api.token("ann", &[Scope::Read, Scope::Release]).await;
        let admin = api.token("eve", &[Scope::Read, Scope::Release, Scope::Admin]).await;
        let StoreUrl::Sqlite(path) = &store else { unreachable!("a file") };
        let maker = Team::new(&["--store", &format!("sqlite:{}", path.display())]);
        let asks = |arguments: &[&str], token: &str| {
            let mut command = maker.place.command(arguments);
            let output = command.args(["--server", &api.base, "--token", token]).output().unwrap();
            assay_tests::assay::Ran::from(output)
        };
        let live = "/v1/channels/production/prompts/support";
        maker.judges(1, None, 0);
        api.get(live, &token).await.expect(404);
        let first = tokio::task::block_in_place(|| {
            asks(&["prompt", "promote", "support@1", "--channel", "production", "--json"], &token)
        });
        assert_eq!(first.expect(0).json()["released_by"], "ann");

        // Applications read it, and are told when they have it already.
        let read = api.get(live, &token).await.expect(200);
        assert_eq!((&read.json()["text"], &read.json()["version"]), (&"{{ one }}".into(), &1.into()));
        let tag = read.header("etag").to_owned();
        assert_eq!(tag, format!("{}", read.json()["digest"]));
        let again = api.request(Method::GET, live, &token).header("If-None-Match", &tag);
        let again = Answer::of(again).await.expect(304);
        assert_eq!((again.text.as_str(), again.header("etag")), ("", tag.as_str()));

        maker.judges(3, Some(1), 1);
        let refused =
            api.post(&format!("{live}/promote"), &token, &json!({"version": "2"})).await.expect(409);
        says(&refused.text, &["release-refused", "german"]);
        let over = json!({"version": "2", "override": true, "reason": "now"});
        let refused = api.post(&format!("{live}/promote"), &token, &over).await.expect(403);
        says(&refused.text, &["`admin`"]);
        tokio::task::block_in_place(|| {
            let promote = ["prompt", "promote", "support@2", "--channel", "production"];
            says(&asks(&promote, &token).expect(1).stderr, &["german", "refused"]);
            let over = [&promote[..], &["--override", "--reason", "now"]].concat();
            says(&asks(&over, &admin).expect(0).stdout, &["incident 1 is open"]);
            asks(&["incident", "open", "support", "--channel", "production", "--reason", "again"], &token)
                .expect(0);
            let list = asks(&["incident", "list", "--json"], &token).expect(0).json();
            assert_eq!(list.as_array().unwrap().len(), 1, "one incident of one release: {list}");
            asks(&["incident", "ack", "1"], &token).expect(0);
            asks(&["prompt", "rehearse", "support", "--channel", "production"], &token).expect(0);
            asks(&["prompt", "rollback", "support", "--channel", "production", "--reason", "bad"], &token)
                .expect(0);
            asks(&["incident", "resolve", "1", "--cause", "haste"], &token).expect(0);
            asks(&["incident", "reopen", "1", "--reason", "not that"], &token).expect(0);
            asks(&["incident", "link", "1", "--release", "3"], &token).expect(0);
            let incident = asks(&["incident", "resolve", "1", "--cause", "a bad merge"], &token).expect(0);
            says(
                &incident.stdout,
                &["noted by ann: again", "reopened by ann: not that", "cause: a bad merge"],
            );
            let yes =
                asks(&["prompt", "verify", "prompts/1.md", "--channel", "production"], &token).expect(0);
            says(&yes.stdout, &["support@1 is live"]);
            says(
                &asks(&["prompt", "history", "support"], &token).expect(0).stdout,
                &["rollback", "override", "now"],
            );
            says(&asks(&["prompt", "history", "support", "--all"], &token).expect(0).stdout, &["support@2"]);
            says(&asks(&["prompt", "diff", "support", "1", "2"], &token).expect(0).stdout, &["+{{ three }}"]);
            says(&asks(&["prompt", "list"], &token).expect(0).stdout, &["production: 1"]);
            says(&asks(&["prompt", "show", "support"], &token).expect(0).stdout, &["{{ three }}"]);
            let at = asks(&["prompt", "history", "support", "--at", "2020-01-01"], &token).expect(0);
            says(&at.stdout, &["nothing of support was released"]);
        });
        let reader = api.token("reader", &[Scope::Read]).await;
        api.get(live, &reader).await.expect(200);
        api.post(&format!("{live}/rollback"), &reader, &json!({"reason": "x"})).await.expect(403);
        let audit = api.store.audit(None, 100).await.unwrap();
        let overridden = audit.iter().find(|row| row.action == "release.override").unwrap();
        assert_eq!((overridden.actor.as_str(), &overridden.detail["reason"]), ("eve", &json!("now")));
        says(overridden.detail["from"].as_str().unwrap(), &["API, assay/"]);
    })
    .await;
}

/// Each rollback goes one further back, and never forward to what was taken off.
#[test]
fn rolled_back_twice_goes_further_back() {
    let team = Team::new(&[]);
    team.judges(1, None, 0);
    team.judges(2, Some(1), 0);
    team.judges(4, Some(1), 0);
    for version in ["support@1", "support@2", "support@3"] {
        let promote =
            ["prompt", "promote", version, "--channel", "production", "--override", "--reason", "x"];
        team.ann(&promote).expect(0);
    }
    let rollback = ["prompt", "rollback", "support", "--channel", "production", "--reason", "x"];
    for version in ["support@2", "support@1"] {
        says(&team.ann(&rollback).expect(0).stdout, &[version]);
    }
    says(&team.ann(&rollback).expect(2).stderr, &["nothing to roll back to"]);
}
