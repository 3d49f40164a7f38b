//! Releases that are asked of a coordinator, and rollbacks of rollbacks.

use assay_store::{Scope, StoreUrl};
use assay_tests::api::{Answer, Api};
use assay_tests::places::on_sqlite;
use reqwest::Method;
use serde_json::json;

use super::{Team, says};

/// Every release of a life is asked of a coordinator, and applications read what is live of it.
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
            asks(&["incident", "ack", "1"], &token).expect(0);
        });
        // What somebody reports is an incident beside the override's, and one alone.
        let reported = async |reason: &str, status| {
            let report = json!({"prompt": "support", "channel": "production", "reason": reason});
            let told = api.post("/v1/incidents", &token, &report).await.expect(status).json();
            (told["number"].clone(), told["noted"].clone())
        };
        assert_eq!(reported("it swears", 201).await, (json!(2), json!(null)));
        assert_eq!(reported("it leaks", 200).await, (json!(2), json!(true)));
        tokio::task::block_in_place(|| {
            let open = ["incident", "open", "support", "--channel", "production", "--reason", "again"];
            says(&asks(&open, &token).expect(0).stdout, &["no incident was opened", "noted by ann: again"]);
            let list = asks(&["incident", "list", "--json"], &token).expect(0).json();
            assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
            asks(&["prompt", "rehearse", "support", "--channel", "production"], &token).expect(0);
            asks(&["prompt", "rollback", "support", "--channel", "production", "--reason", "bad"], &token)
                .expect(0);
            asks(&["incident", "resolve", "1", "--cause", "haste"], &token).expect(0);
            asks(&["incident", "reopen", "1", "--reason", "not that"], &token).expect(0);
            says(
                &asks(&["incident", "link", "1", "--release", "3"], &token).expect(2).stderr,
                &["refused (409): incident 1 is linked already, with release 3"],
            );
            let incident = asks(&["incident", "resolve", "1", "--cause", "a bad merge"], &token).expect(0);
            says(&incident.stdout, &["reopened by ann: not that", "cause: a bad merge"]);
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

/// What was taken off is nothing to roll back to, although it was live before as well.
#[test]
fn a_rollback_returns_to_nothing_that_was_just_taken_off() {
    let team = Team::new(&[]);
    team.judges(1, None, 0);
    team.judges(2, Some(1), 0);
    for version in ["support@1", "support@2", "support@1", "support@2"] {
        let promote =
            ["prompt", "promote", version, "--channel", "production", "--override", "--reason", "x"];
        team.ann(&promote).expect(0);
    }
    let rollback = ["prompt", "rollback", "support", "--channel", "production", "--reason", "bad"];
    says(&team.ann(&rollback).expect(0).stdout, &["support@1 (", "is live on production again"]);
    let further = [&rollback[..], &["--from", "1"]].concat();
    says(&team.ann(&further).expect(2).stderr, &["nothing to roll back to", "was not taken off itself"]);
}

/// Of two who roll back the same, one succeeds and the other is told by whom. Who says what is to go goes one further back, and
/// never forward to what was taken off.
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
    let rollback =
        ["prompt", "rollback", "support", "--channel", "production", "--reason", "German\nlive: support@9"];
    says(&team.ann(&rollback).expect(0).stdout, &["support@2", "incident 3 is recovered from"]);
    let late = team.ann(&rollback).expect(4).stderr;
    says(&late, &["rolled back already: support@2 is live there, rollback by ann at", "say `--from 2`"]);
    assert_eq!(late.lines().count(), 1, "a reason is one line: {late}");
    let from = |version: &'static str| [&rollback[..], &["--from", version]].concat();
    says(&team.ann(&from("3")).expect(4).stderr, &["support@3 is not live on production: support@2 is live"]);
    says(&team.ann(&from("2")).expect(0).stdout, &["support@1 (", "is live on production again"]);
    says(&team.ann(&rollback).expect(2).stderr, &["nothing to roll back to"]);
    let shown = team.ann(&["incident", "show", "3"]).expect(0).stdout;
    assert!(shown.lines().all(|line| !line.starts_with("live:")), "{shown}");
    let history = team.ann(&["prompt", "history", "support"]).expect(0).stdout;
    assert!(!history.contains("\nlive:") && history.contains("German\\u{a}live"), "{history}");
}
