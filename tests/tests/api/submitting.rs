//! From files to a run.

use std::sync::Arc;

use assay_store::{Scope, StoreUrl};
use assay_tests::api::{Answer, Api, lines_of, loaded};
use assay_tests::assay::Workplace;
use reqwest::Method;
use serde_json::{Value, json};

use super::CONFIG;

const BOTH: [Scope; 2] = [Scope::Read, Scope::Submit];

/// What is lacking is uploaded once, the suite is submitted, and submitted again it is the same run.
pub(super) async fn a_suite_becomes_one_run(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ci", &BOTH).await;
    let files = Workplace::default();
    files.sums(1_200, "repeats: 2");
    let loaded = loaded(&files);
    let outgoing = loaded.outgoing();
    let path = format!("/v1/datasets/{}", outgoing[0].digest);
    let suite = json!(loaded.suite);

    let early = api.submit(&token, "k", &suite).await.expect(422).json();
    assert!(early["errors"][0]["message"].as_str().unwrap().contains("is not here"), "{early}");
    api.get(&path, &token).await.expect(404);
    let lines = lines_of(&outgoing[0]).await;
    let stored = api.put(&path, &token, lines.clone()).await.expect(201).json();
    assert_eq!(stored, json!({"digest": outgoing[0].digest, "cases": 1_200, "clustered": false}));
    assert_eq!(api.put(&path, &token, lines).await.expect(200).json(), stored);
    assert_eq!(api.get(&path, &token).await.expect(200).json(), stored);
    assert_eq!(Answer::of(api.request(Method::HEAD, &path, &token)).await.expect(200).text, "");

    let first = api.submit(&token, "k", &suite).await.expect(201);
    let accepted = first.json();
    let id = accepted["run"].as_str().unwrap().to_owned();
    assert_eq!(first.header("location"), format!("/v1/runs/{id}"));
    assert_eq!((&accepted["jobs"], &accepted["created"]), (&json!(2_400), &json!(true)));
    assert_eq!(accepted["revision"], json!(loaded.suite.revision()));
    // `N + 1` has 5 to 8 bytes: two tokens; the model has no price and no max_tokens.
    assert_eq!(
        accepted["estimate"]["models"],
        json!([{"model": "fake/small", "calls": 2_400, "input_tokens": 4_800, "output_tokens": null,
            "requests_usd": null, "cost_usd": null}])
    );
    assert_eq!(
        (&accepted["estimate"]["calls"], &accepted["estimate"]["cost_usd"]),
        (&json!(2_400), &Value::Null)
    );
    let again = api.submit(&token, "k", &suite).await.expect(200).json();
    assert_eq!((&again["run"], &again["created"]), (&json!(id), &json!(false)));
    assert_ne!(api.submit(&token, "k2", &suite).await.expect(201).json()["run"], json!(id));

    let mut other = suite;
    other["repeats"] = json!(3);
    let conflict = api.submit(&token, "k", &other).await.expect(409).json();
    assert!(conflict["detail"].as_str().unwrap().contains(&id), "{conflict}");
    assert_eq!(api.store.runs(None, 10).await.unwrap().len(), 2);
    let audit = api.store.audit(None, 100).await.unwrap();
    let made: Vec<_> = audit.iter().filter(|row| row.action == "run.submit").collect();
    assert_eq!((made.len(), made[1].actor.as_str(), made[1].subject.as_str()), (2, "ci", id.as_str()));
    assert_eq!(audit.iter().filter(|row| row.action == "dataset.upload").count(), 1);
    // Another owner is told by whom.
    other["prompts"][0]["owner"] = json!("bob@example.com");
    api.submit(&token, "k3", &other).await.expect(201);
    let audit = api.store.audit(None, 100).await.unwrap();
    let owned = audit.iter().find(|row| row.action == "prompt.owner").unwrap();
    assert_eq!((owned.actor.as_str(), &owned.detail["owner"]), ("ci", &json!("bob@example.com")));
}

/// The run keeps the trace that a submission belongs to, also where no span is exported; what is no trace is passed over.
pub(super) async fn a_run_keeps_the_trace_of_its_submission(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ci", &BOTH).await;
    let files = Workplace::default();
    files.sums(3, "");
    let loaded = loaded(&files);
    api.upload(&token, &loaded).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (key, sent, expected) in [("a", parent, Some(parent)), ("b", "00-garbage-01", None)] {
        let request = api.request(Method::POST, "/v1/runs", &token).header("Idempotency-Key", key);
        let request = request.header("traceparent", sent).json(&json!({ "suite": loaded.suite }));
        let id = Answer::of(request).await.expect(201).json()["run"].as_str().unwrap().parse().unwrap();
        let run = api.store.run(id).await.unwrap().unwrap();
        assert_eq!(run.trace.map(|trace| trace.to_string()).as_deref(), expected, "{sent}");
    }
}

/// Uploads and submissions of the same suite that race come to one run.
pub(super) async fn submissions_at_once_make_one_run(place: StoreUrl) {
    let api = Arc::new(Api::start(&place, CONFIG).await);
    let token = api.token("ci", &BOTH).await;
    let files = Workplace::default();
    files.sums(700, "");
    let loaded = Arc::new(loaded(&files));
    let mut submitters = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (api, token, loaded) = (Arc::clone(&api), token.clone(), Arc::clone(&loaded));
        submitters.spawn(async move {
            let outgoing = loaded.outgoing();
            let path = format!("/v1/datasets/{}", outgoing[0].digest);
            let put = api.put(&path, &token, lines_of(&outgoing[0]).await).await;
            assert!(put.status.is_success(), "{}", put.text);
            let answer = api.submit(&token, "one", &json!(loaded.suite)).await;
            assert!(answer.status.is_success(), "{}", answer.text);
            (answer.status.as_u16(), answer.json()["run"].as_str().unwrap().to_owned())
        });
    }
    let answers = submitters.join_all().await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|(_, run)| *run == answers[0].1), "{answers:?}");
    let units = api.store.units(loaded.suite.dataset.digest.clone(), 0, 1_000).await.unwrap();
    assert_eq!(units.len(), 700);
}

/// Other cases under a digest are refused, and leave nothing there that a later, honest upload would meet.
pub(super) async fn nothing_lies_under_a_digest_that_is_not_its_own(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ci", &BOTH).await;
    let (files, others) = (Workplace::default(), Workplace::default());
    files.sums(600, "");
    others.sums(601, "");
    let (honest, other) = (loaded(&files), loaded(&others));
    let path = format!("/v1/datasets/{}", honest.suite.dataset.digest);
    let wrong = api.put(&path, &token, lines_of(&other.outgoing()[0]).await).await.expect(422).json();
    assert_eq!(wrong["type"], "urn:assay:problem:digest-mismatch");
    for digest in [&honest.suite.dataset.digest, &other.suite.dataset.digest] {
        assert_eq!(wrong["detail"].as_str().unwrap().matches(digest.as_str()).count(), 1);
        assert_eq!(api.store.units(digest.clone(), 0, 10).await.unwrap(), [""; 0]);
    }
    api.upload(&token, &honest).await;
    assert_eq!(api.store.units(honest.suite.dataset.digest.clone(), 0, 1_000).await.unwrap().len(), 600);
}

/// Recorded answers travel as cases do, and a model's recording has to be there.
pub(super) async fn recorded_answers_are_uploaded_too(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ci", &BOTH).await;
    let files = Workplace::default();
    files.sums(3, "").write(
        "answers.jsonl",
        "{\"case\": \"c0\", \"output\": \"1\", \"latency_ms\": 0.30000000000000004}\n\
         {\"case\": \"c1\", \"output\": \"2\", \"trial\": 1, \"usage\": {\"input_tokens\": 3}}\n",
    );
    let suite = std::fs::read_to_string(files.path().join("suite.yaml")).unwrap();
    files.write(
        "suite.yaml",
        suite.replace("[fake/small]", "[{provider: recorded, model: m, file: answers.jsonl}]"),
    );
    let loaded = loaded(&files);
    let outgoing = loaded.outgoing();
    api.put(&format!("/v1/datasets/{}", outgoing[0].digest), &token, lines_of(&outgoing[0]).await)
        .await
        .expect(201);
    let early = api.submit(&token, "k", &json!(loaded.suite)).await.expect(422);
    assert!(early.text.contains("recording"), "{}", early.text);
    let path = format!("/v1/recordings/{}", outgoing[1].digest);
    api.get(&path, &token).await.expect(404);
    let lines = lines_of(&outgoing[1]).await;
    api.put(&path, &token, lines.clone()).await.expect(201);
    api.put(&path, &token, lines).await.expect(200);
    api.get(&path, &token).await.expect(200);
    let answer = api.store.recording(outgoing[1].digest.clone(), "c0".into(), "sum".into(), 1).await.unwrap();
    assert_eq!(answer.unwrap().latency_ms, Some(0.300_000_000_000_000_04));
    let accepted = api.submit(&token, "k", &json!(loaded.suite)).await.expect(201).json();
    // Answers that are played back cost nothing.
    assert_eq!(accepted["estimate"]["cost_usd"], json!(0.0));
}

/// A budget below what the requests alone are estimated to cost is refused before the first cent.
pub(super) async fn a_budget_that_the_requests_alone_exceed_is_refused(place: StoreUrl) {
    let prices = "[prices.\"fake/small\"]\ninput_per_mtok = 1000.0\noutput_per_mtok = 2000.0\n";
    let api = Api::start(&place, &format!("{CONFIG}{prices}")).await;
    let token = api.token("ci", &BOTH).await;
    let files = Workplace::default();
    files.sums(100, "budget_usd: 1");
    let loaded = loaded(&files);
    api.upload(&token, &loaded).await;
    // 100 requests of 2 tokens at $1,000 for 10⁶: 20 cents.
    let with = |budget: i64, max_tokens: Option<u32>| -> Value {
        let mut suite = json!(loaded.suite);
        suite["budget"] = json!(budget);
        suite["models"][0]["sampling"]["max_tokens"] = json!(max_tokens);
        suite
    };
    // A single answer of 4,096 tokens may cost $8.
    for (suite, told) in [
        (with(199_999_999, Some(8)), "estimated at $0.2, above the budget of $0.199999999"),
        (with(200_000_000, None), "a single call of fake/small may cost $8.194"),
    ] {
        let refused = api.submit(&token, "a", &suite).await.expect(422).json();
        let message = refused["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
    }
    api.submit(&token, "b", &with(200_000_000, Some(8))).await.expect(201);
    assert_eq!(api.store.runs(None, 10).await.unwrap().len(), 1);
}
