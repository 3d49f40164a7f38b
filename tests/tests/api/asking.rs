//! Whose request it is, and what that token allows.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use assay_common::clock::{Clock, Micros};
use assay_store::{Scope, StoreUrl};
use assay_tests::api::{Answer, Api, entry};
use reqwest::Method;
use serde_json::json;

use super::CONFIG;

/// No token, an unknown, an expired, a revoked one, another scheme: 401 each, with how to ask.
pub(super) async fn only_a_token_that_holds_is_heard(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let both = [Scope::Read, Scope::Submit];
    let now = Clock::system().now();
    let good = api.token("good", &both).await;
    let later = api.token_until("later", &both, Some(Micros(now.0 + 60_000_000))).await;
    let expired = api.token_until("expired", &both, Some(now)).await;
    let revoked = api.token("revoked", &both).await;
    assert!(api.store.revoke_token("revoked".into(), entry("token.revoke", "revoked")).await.unwrap());
    for token in [&good, &later] {
        api.get("/v1/runs", token).await.expect(200);
    }
    let upper = good.to_uppercase();
    let long = "x".repeat(5_000);
    for (token, part) in [
        (expired.as_str(), "`expired` has expired"),
        (&revoked, "`revoked` was revoked"),
        (&good[..good.len() - 1], "nobody has this token"),
        (&upper, "nobody has this token"),
        (&long, "nobody has this token"),
        ("' OR 1=1 --", "nobody has this token"),
        ("", "no bearer token"),
    ] {
        let answer = api.get("/v1/runs", token).await.expect(401);
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"assay\"");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assay_worker::install_tls();
    let bare = reqwest::Client::new().get(format!("{}/v1/runs", api.base));
    Answer::of(bare.try_clone().unwrap()).await.expect(401);
    Answer::of(bare.try_clone().unwrap().basic_auth("good", Some(&good))).await.expect(401);
    Answer::of(bare.header("Authorization", format!("bEaReR {good}"))).await.expect(200);
}

/// What a token may not do is 403, and names the scope that is missing.
pub(super) async fn a_scope_is_needed_and_named(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let reader = api.token("reader", &[Scope::Read]).await;
    let submitter = api.token("submitter", &[Scope::Submit]).await;
    let run = "/v1/runs/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let digest = format!("/v1/datasets/{}", "0".repeat(64));
    let check = async |method: Method, path: &str, token: &str, lacks: Option<&str>| {
        let answer = Answer::of(api.request(method.clone(), path, token)).await;
        match lacks {
            Some(scope) => {
                let detail = answer.expect(403).json()["detail"].as_str().unwrap().to_owned();
                assert!(detail.ends_with(&format!("lacks the scope `{scope}`")), "{method} {path}: {detail}");
            }
            None => assert_ne!(answer.status.as_u16(), 403, "{method} {path}"),
        }
    };
    for path in ["/v1/runs", run, &format!("{run}/results")] {
        check(Method::GET, path, &reader, None).await;
        check(Method::GET, path, &submitter, Some("read")).await;
    }
    check(Method::GET, &digest, &reader, Some("submit")).await;
    check(Method::GET, &digest, &submitter, None).await;
    check(Method::PUT, &digest, &reader, Some("submit")).await;
    for path in ["/v1/runs", &format!("{run}/cancel"), &format!("{run}/pause"), &format!("{run}/resume")] {
        check(Method::POST, path, &reader, Some("submit")).await;
        check(Method::POST, path, &submitter, None).await;
    }
}

/// Everything this process logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The log of the process.
    fn get() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            let subscriber =
                tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
            subscriber.with_ansi(false).with_writer(move || writer.clone()).init();
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Attempts at a change that are refused go to the audit, of strangers and of holders of tokens; reading does not, and
/// no token stands anywhere, nor in the log.
pub(super) async fn refused_changes_are_written_down_without_secrets(place: StoreUrl) {
    let log = Log::get();
    let api = Api::start(&place, CONFIG).await;
    let reader = api.token("reader", &[Scope::Read]).await;
    let run = "/v1/runs/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let why = json!({"reason": "canary-reason"});
    api.get("/v1/runs", "assay_canary").await.expect(401);
    api.get(run, &reader).await.expect(404);
    api.post(&format!("{run}/cancel"), "assay_canary", &why).await.expect(401);
    let refused = api.post(&format!("{run}/cancel"), &reader, &why).await.expect(403);
    let audit = api.store.audit(None, 10).await.unwrap();
    let told: Vec<_> = audit.iter().map(|row| (row.actor.as_str(), row.action.as_str())).collect();
    let action = "refused POST /v1/runs/{id}/cancel";
    assert_eq!(told, [("reader", action), ("nobody", action), ("tests", "token.create")]);
    assert_eq!(audit[0].subject, format!("{run}/cancel"));
    assert_eq!(audit[0].detail["status"], 403);
    assert_eq!(audit[0].detail["request"], refused.header("x-request-id"));
    let log = log.text();
    let line = format!("answered POST \"{run}/cancel\" of \"reader\" with 403: \"the token `reader` lacks");
    assert!(log.contains(&line), "{line} is missing in the log");
    let text = format!("{audit:?}{:?}{log}", api.store.tokens().await.unwrap());
    for secret in ["assay_canary", &reader] {
        assert!(!text.contains(secret), "a token was written down");
    }
}
