//! Runs and results as readers get them, and runs that are steered.

use assay_common::clock::Micros;
use assay_common::job::{Finished, Output};
use assay_store::{AccountProblem, Scope, StoreUrl};
use assay_tests::api::{Answer, Api};
use assay_tests::store_conformance::fixture::{Fixture, NOW, finished, new_run, run_id};
use reqwest::Method;
use serde_json::{Value, json};

use super::CONFIG;

/// A server on a store with a run of eight jobs, and a token for both scopes.
async fn serve(place: &StoreUrl) -> (Fixture, Api, String) {
    let fixture = Fixture::expanded(place, 8).await;
    let api = Api::start(place, CONFIG).await;
    let token = api.token("ann", &[Scope::Read, Scope::Submit]).await;
    (fixture, api, token)
}

fn kinds(document: &Value) -> Vec<&str> {
    let reasons = document["reasons"].as_array().map(Vec::as_slice).unwrap_or_default();
    reasons.iter().map(|reason| reason["kind"].as_str().unwrap()).collect()
}

/// What is said of one kind.
fn detail<'d>(document: &'d Value, kind: &str) -> &'d str {
    let reasons = document["reasons"].as_array().unwrap();
    reasons.iter().find(|reason| reason["kind"] == kind).unwrap()["detail"].as_str().unwrap()
}

/// A run that does not move says why: paused by whom, an account's problem, no worker, a wait, the deadline.
pub(super) async fn an_open_run_says_why_it_does_not_move(place: StoreUrl) {
    let (fixture, api, token) = serve(&place).await;
    let store = &api.store;
    let path = format!("/v1/runs/{}", fixture.run);
    let show = async || api.get(&path, &token).await.expect(200).json();
    let steer = async |action: &str, reason: &str| {
        api.post(&format!("{path}/{action}"), &token, &json!({ "reason": reason })).await
    };
    // Created in 1970, so its deadline has passed.
    assert_eq!(kinds(&show().await), ["deadline"]);

    assert_eq!(
        steer("pause", "  the provider\u{0} is ill ").await.expect(200).json()["run"]["state"],
        "paused"
    );
    steer("pause", "twice").await.expect(200);
    let document = show().await;
    assert_eq!(kinds(&document), ["paused"], "no deadline ends it meanwhile");
    let paused = detail(&document, "paused");
    assert!(
        paused.starts_with("paused by ann at 20") && paused.ends_with(": the provider\u{0} is ill"),
        "{paused}"
    );
    assert_eq!(steer("resume", "better").await.expect(200).json()["run"]["state"], "running");
    assert_eq!(kinds(&show().await), Vec::<String>::new(), "its deadline begins anew");

    let problem = |kind: &str| AccountProblem { kind: kind.to_owned(), detail: "d".to_owned(), since: NOW };
    store.report_account("echo".into(), Some(problem("quota")), NOW).await.unwrap();
    store.report_account("other".into(), Some(problem("quota")), NOW).await.unwrap();
    for member in [fixture.member, fixture.other] {
        store.leave(member, NOW).await.unwrap();
    }
    let document = show().await;
    assert_eq!(kinds(&document), ["account", "no_worker"]);
    assert!(detail(&document, "account").contains("echo needs attention"));
    assert_eq!(
        document["counts"],
        json!({"done": 0, "passed": 0, "failed": 0, "errored": 0, "cancelled": 0})
    );
    assert!(document.get("variants").is_none());

    store.report_account("echo".into(), None, NOW).await.unwrap();
    store.join(fixture.member, "worker", "host".into(), 1, NOW).await.unwrap();
    fixture.claim(fixture.member, 0..8).await;
    let far = Micros(4_000_000_000_000_000);
    fixture.settle((0..8).map(|ordinal| fixture.parked(ordinal, 1, far, 1)).collect()).await;
    let document = show().await;
    assert_eq!(kinds(&document), ["waiting"]);
    assert!(detail(&document, "waiting").contains("2096-10-02"), "{document}");

    assert_eq!(steer("cancel", "<b>wrong</b>").await.expect(200).json()["run"]["state"], "cancelling");
    steer("cancel", "again").await.expect(200);
    assert_eq!(steer("resume", "no").await.expect(409).json()["type"], "urn:assay:problem:state");
    steer("pause", "no").await.expect(409);
    steer("retry", "no").await.expect(409);
    store.finish(assay_store::Mandate::Own, fixture.run, NOW).await.unwrap().unwrap();
    let over = show().await;
    assert_eq!(
        (&over["run"]["state"], &over["run"]["reason"]),
        (&json!("cancelled"), &json!("<b>wrong</b>"))
    );
    assert_eq!((over["variants"][0]["cancelled"].as_u64(), kinds(&over)), (Some(8), vec![]));
    let audit = store.audit(None, 20).await.unwrap();
    let done: Vec<_> = audit.iter().rev().filter(|row| row.subject == fixture.run.to_string()).collect();
    let told: Vec<_> =
        done.iter().map(|row| (row.action.as_str(), row.detail["reason"].as_str().unwrap())).collect();
    let expected =
        [("run.pause", "the provider\u{0} is ill"), ("run.resume", "better"), ("run.cancel", "<b>wrong</b>")];
    assert_eq!(told, expected);
}

/// Whoever paused or resumed is told that he did, whatever others did right after; nobody is refused, and the audit has what
/// was done.
pub(super) async fn who_steers_at_once_is_told_what_he_did(place: StoreUrl) {
    let (fixture, api, token) = serve(&place).await;
    let path = format!("/v1/runs/{}", fixture.run);
    let mut requests = tokio::task::JoinSet::new();
    for n in 0..40 {
        let (action, state) = if n % 2 == 0 { ("pause", "paused") } else { ("resume", "running") };
        let request = api.request(Method::POST, &format!("{path}/{action}"), &token);
        requests.spawn(async move {
            let answer = Answer::of(request.json(&json!({"reason": "because"}))).await.expect(200).json();
            assert_eq!(answer["run"]["state"], state);
        });
    }
    requests.join_all().await;
    let audit = api.store.audit(None, 100).await.unwrap();
    let told: Vec<_> = audit.iter().filter(|row| row.subject == fixture.run.to_string()).collect();
    assert!(told.iter().all(|row| ["run.pause", "run.resume"].contains(&row.action.as_str())), "{told:?}");
}

/// Results come in pages by ordinal that fit together, or as JSON lines all at once.
pub(super) async fn results_come_in_pages_and_as_lines(place: StoreUrl) {
    let (fixture, api, token) = serve(&place).await;
    fixture.claim(fixture.member, 0..7).await;
    let mut settled: Vec<_> = (0..6).map(|ordinal| finished(fixture.passed(ordinal, 1))).collect();
    settled.push(finished(fixture.failed(6, 1)));
    fixture.settle(settled).await;
    let path = format!("/v1/runs/{}/results", fixture.run);
    let mut pages = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = api.get(&format!("{path}{query}"), &token).await.expect(200).json();
        pages.push(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=3&after={next}");
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let items = pages.concat();
    assert_eq!((&items[6]["ordinal"], &items[6]["outcome"]), (&json!(6), &json!("failed")));
    let lines = api.request(Method::GET, &path, &token).header("Accept", "application/x-ndjson");
    let lines = Answer::of(lines).await.expect(200);
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, items);
    // Ends of numbers: after everything, and as many as may be.
    let huge = api.get(&format!("{path}?after={}&limit=4000000000", u64::MAX), &token).await.expect(200);
    assert_eq!(huge.json(), json!({"items": [], "next": null}));
}

/// Long answers make short pages, each with the way to the next, and short pieces of a stream.
pub(super) async fn long_answers_come_in_bounded_pages(place: StoreUrl) {
    let (fixture, api, token) = serve(&place).await;
    fixture.claim(fixture.member, 0..8).await;
    let long =
        |ordinal| Finished { output: Some(Output::Text("x".repeat(600_000))), ..fixture.passed(ordinal, 1) };
    fixture.settle((0..8).map(|ordinal| finished(long(ordinal))).collect()).await;
    let path = format!("/v1/runs/{}/results", fixture.run);
    let mut query = "?limit=1000".to_owned();
    for ordinal in 0..8 {
        let answer = api.get(&format!("{path}{query}"), &token).await.expect(200);
        assert!(answer.text.len() < 1_000_000, "{}", answer.text.len());
        let page = answer.json();
        assert_eq!(page["items"].as_array().unwrap().len(), 1);
        assert_eq!(page["items"][0]["ordinal"], ordinal);
        assert_eq!(page["next"].as_str().is_some(), ordinal < 7);
        query = format!("?limit=1000&after={ordinal}");
    }
    let lines = api.request(Method::GET, &path, &token).header("Accept", "application/x-ndjson");
    let lines = Answer::of(lines).await.expect(200);
    assert_eq!(lines.text.lines().count(), 8);
}

/// Runs come newest first, a page at a time.
pub(super) async fn runs_come_newest_first(place: StoreUrl) {
    let (fixture, api, token) = serve(&place).await;
    for n in 2..=3 {
        let run = new_run(run_id(n), fixture.suite.revision(), 8);
        api.store.create_run(run).await.unwrap();
    }
    let page = api.get("/v1/runs?limit=2", &token).await.expect(200).json();
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["run"]["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&page), [run_id(3).to_string(), run_id(2).to_string()]);
    let next = page["next"].as_str().unwrap();
    let rest = api.get(&format!("/v1/runs?limit=2&before={next}"), &token).await.expect(200).json();
    assert_eq!((ids(&rest), &rest["next"]), (vec![run_id(1).to_string()], &Value::Null));
}
