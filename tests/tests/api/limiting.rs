//! Limits as an operator sees and sets them.

use std::time::Duration;

use assay_common::clock::Clock;
use assay_common::limit::Dimension;
use assay_store::ledger::ALL;
use assay_store::{AccountProblem, Ask, Profile, Renewal, Scope, StoreUrl};
use assay_tests::api::{Answer, Api};
use assay_tests::store_conformance::fixture::Fixture;
use reqwest::Method;
use serde_json::{Value, json};

const CONFIG: &str = r#"
[providers.fake]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"
budget_usd_per_day = 5
limits = { requests_per_minute = 500 }
[providers.fake.models."a/b".limits]
requests_per_minute = 60
[providers.still]
kind = "echo"
"#;

async fn put(api: &Api, path: &str, token: &str, body: &Value) -> Answer {
    Answer::of(api.request(Method::PUT, &format!("/v1/limits/{path}"), token).json(body)).await
}

async fn delete(api: &Api, path: &str, token: &str) -> Answer {
    Answer::of(api.request(Method::DELETE, &format!("/v1/limits/{path}"), token)).await
}

/// What is said of requests of the account.
async fn requests(api: &Api, token: &str) -> Value {
    let document = api.get("/v1/limits", token).await.expect(200).json();
    let limits = document["limits"].as_array().unwrap();
    limits.iter().find(|limit| limit["scope"] == "fake" && limit["dimension"] == "requests").unwrap().clone()
}

/// Two workers whose files say different things share an account; what is set holds for both, and is written down.
pub(super) async fn limits_are_shown_set_and_taken_back(place: StoreUrl) {
    let fixture = Fixture::created(&place, 1).await;
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ann", &[Scope::Read, Scope::Admin]).await;
    let unused = requests(&api, &token).await;
    assert_eq!((&unused["limit"], &unused["granted"]), (&500.into(), &0.0.into()));
    let renew = async |member, configured| {
        let ask = Ask {
            scope: "fake".to_owned(),
            dimension: Dimension::Requests,
            configured: Some(configured),
            profile: Profile::default(),
            want: ALL,
            burst: 1,
            acked: 0,
            used: 0,
            said: None,
            refused: None,
            lacks: None,
            needs: None,
        };
        let renewal = Renewal { member, asks: vec![ask], beside: Vec::new(), ttl: Duration::from_secs(600) };
        api.store.renew(renewal, Clock::system().now()).await.unwrap().remove(0)
    };
    renew(fixture.member, 500).await;
    renew(fixture.other, 600).await;
    let shared = requests(&api, &token).await;
    assert_eq!((&shared["configured"], &shared["limit"]), (&json!({"least": 500, "most": 600}), &500.into()));
    let why = shared["why"].as_array().unwrap();
    assert!(
        why.iter().any(|why| why.as_str().unwrap().starts_with("files disagree: 500 and 600")),
        "{why:?}"
    );
    let leases = shared["leases"].as_array().unwrap();
    assert_eq!((leases.len(), &leases[0]["host"], &leases[0]["process"]), (2, &"host".into(), &42.into()));
    let granted = shared["granted"].as_f64().unwrap();
    assert!((400.0..500.0).contains(&granted), "{granted}");

    let set =
        put(&api, "fake/requests", &token, &json!({"limit": 900, "reason": " tier 4 "})).await.expect(200);
    let set = &set.json()["limits"][0];
    let by = &set["set"];
    assert_eq!((&set["limit"], &by["by"], &by["reason"]), (&900.into(), &"ann".into(), &"tier 4".into()));
    assert_eq!(renew(fixture.member, 500).await.limit, Some(900), "workers follow with their next renewal");
    put(&api, "fake%2Fa%2Fb/requests", &token, &json!({"limit": 30, "reason": "r"})).await.expect(200);
    put(&api, "fake/budget_usd_per_day", &token, &json!({"limit": 7.5, "reason": "r"})).await.expect(200);
    let money = &api.get("/v1/limits", &token).await.json()["money"][0];
    assert_eq!(
        (&money["cap"], &money["configured"], &money["spent"]),
        (&7.5.into(), &json!([5.0, 5.0]), &0.0.into())
    );
    let metrics = api.get("/metrics", &token).await.expect(200).text;
    for line in [
        "assay_limit{scope=\"fake\",dimension=\"requests\"} 900",
        "assay_limit{scope=\"fake/a/b\",dimension=\"requests\"} 30",
        "assay_limit_configured{scope=\"fake\",dimension=\"requests\"} 500",
        "assay_limit_workers{scope=\"fake\",dimension=\"requests\"} 1",
        "assay_limit_paused_seconds{scope=\"fake\",dimension=\"requests\"} 0",
        "assay_account_cap_usd{account=\"fake\"} 7.5",
    ] {
        assert!(metrics.contains(line), "{line} is missing in:\n{metrics}");
    }

    delete(&api, "fake/requests?reason=done", &token).await.expect(200);
    assert_eq!(requests(&api, &token).await["limit"], 500);
    let rest = delete(&api, "fake?reason=done", &token).await.expect(200).json();
    assert_eq!(rest["money"][0]["cap"], 5.0);
    delete(&api, "fake?reason=done", &token).await.expect(409);
    let resume = async |path: &str, token: &str, body: Value| {
        Answer::of(api.request(Method::POST, &format!("/v1/limits/{path}/resume"), token).json(&body)).await
    };
    let because = || json!({"reason": "the key is topped up"});
    resume("fake", &token, because()).await.expect(409);
    let trouble =
        AccountProblem { kind: "quota".into(), detail: "words".into(), since: Clock::system().now() };
    api.store.report_account("fake/a/b".into(), Some(trouble), Clock::system().now()).await.unwrap();
    let reader = api.token("rob", &[Scope::Read, Scope::Release]).await;
    resume("fake", &reader, because()).await.expect(403);
    resume("fake", &token, json!({})).await.expect(400);
    assert!(resume("fakr", &token, because()).await.expect(404).text.contains("did you mean `fake`"));
    assert!(resume("fake%2Fa%2Fb", &token, because()).await.expect(409).text.contains("resume `fake`"));
    let resumed = resume("fake", &token, because()).await.expect(200).json();
    assert_eq!(resumed["limits"].as_array().map(Vec::len), Some(2), "{resumed}");
    let audit = api.store.audit(None, 20).await.unwrap();
    let resumed = audit.iter().find(|entry| entry.action == "limit.resume").unwrap();
    assert_eq!((resumed.actor.as_str(), &resumed.detail["reason"]), ("ann", &"the key is topped up".into()));
    let told = audit
        .iter()
        .filter(|entry| ["limit.set", "limit.clear"].contains(&entry.action.as_str()))
        .map(|entry| {
            assert!(entry.detail["from"].as_str().unwrap().starts_with("API, "), "{entry:?}");
            (entry.actor.as_str(), entry.action.as_str(), entry.subject.as_str())
        });
    let mut told: Vec<_> = told.collect();
    // Two in one millisecond have no order.
    told.sort_unstable();
    let (set, clear) = ("limit.set", "limit.clear");
    let expected = [(clear, "fake"), (clear, "fake"), (set, "fake"), (set, "fake"), (set, "fake/a/b")];
    assert_eq!(told, expected.map(|(action, subject)| ("ann", action, subject)));
}

/// Whoever may not is told so; what makes no sense, or nobody could keep to, is refused with what is near.
pub(super) async fn what_nobody_could_keep_to_is_refused(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let reader = api.token("rob", &[Scope::Read, Scope::Release]).await;
    let admin = api.token("ann", &[Scope::Admin]).await;
    put(&api, "fake/requests", &reader, &json!({"limit": 9, "reason": "r"})).await.expect(403);
    delete(&api, "fake/requests?reason=r", &reader).await.expect(403);
    api.get("/v1/limits", &admin).await.expect(403);
    let check = async |path: &str, limit: Value, status: u16, part: &str| {
        let answer = put(&api, path, &admin, &json!({"limit": limit, "reason": "r"})).await.expect(status);
        assert!(answer.text.contains(part), "{part} is missing in {}", answer.text);
    };
    for wrong in [json!(0), json!(-4), json!(1.5), json!(1e12)] {
        check("fake/requests", wrong, 400, "requests_per_minute is a whole number from 1 to 1000000000")
            .await;
    }
    check("fake/requests", json!("many"), 400, "").await;
    check("fake/budget_usd_per_day", json!(-1), 400, "US dollars, more than 0").await;
    check("fake/reqests", json!(9), 400, "input_tokens").await;
    check("fakr/requests", json!(9), 404, "did you mean `fake`").await;
    check("still/requests", json!(9), 404, "leave no process").await;
    check("fake%2Fother/requests", json!(9), 404, "[providers.fake.models.\\\"other\\\".limits]").await;
    check("fake/tokens", json!(9), 409, "write tokens_per_minute under [providers.fake.limits] first").await;
    check("fake/in_flight", json!(9), 409, "write in_flight under [providers.fake.limits] first").await;
    check("openai/budget_usd_per_day", json!(9), 409, "write budget_usd_per_day under [providers.openai]")
        .await;
    check("fake%2Fa%2Fb/budget_usd_per_day", json!(9), 409, "set it for `fake`").await;
    put(&api, "fake/requests", &admin, &json!({"limit": 9, "reason": " "})).await.expect(400);
    put(&api, "fake/requests", &admin, &json!({"limit": 9})).await.expect(400);
    delete(&api, "fake/requests", &admin).await.expect(400);
}
