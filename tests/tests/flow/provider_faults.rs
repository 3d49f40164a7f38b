//! What a provider does wrong, and what becomes of the run: the observation table of docs/running.md.

use std::time::Duration;

use assay_tests::assay::{Ran, Workplace};
use fake_provider::{Answer, FakeProvider, Reaction, Script, When};
use serde_json::Value;

/// Runs twenty sums against a provider that misbehaves.
async fn run(script: Script, arguments: &[&str]) -> (Ran, FakeProvider, Workplace) {
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 4").sums(20, "");
    let ran = place.assay(&[&["run", "suite.yaml", "--json"], arguments].concat());
    (ran, provider, place)
}

fn script() -> Script {
    Script::answering(Answer::Expression)
}

/// Passed and errored jobs, and the kinds of the errors.
fn counts(ran: &Ran, place: &Workplace) -> (u64, u64, Vec<String>) {
    let variant = &ran.json()["variants"][0];
    let results = place.assay(&["results"]).expect(0).stdout;
    let mut kinds: Vec<_> = results
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|result| result["error_kind"].as_str().map(str::to_owned))
        .collect();
    kinds.sort();
    (variant["passed"].as_u64().unwrap(), variant["errored"].as_u64().unwrap(), kinds)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_by_itself_is_tried_again() {
    for reaction in [
        Reaction::status(500),
        Reaction::status(503),
        Reaction::status(529),
        Reaction::status(408),
        Reaction::Close,
        Reaction::Reset,
        Reaction::Cut,
        Reaction::TruncatedJson,
        Reaction::InvalidUtf8,
        Reaction::retry_after(1),
    ] {
        let what = format!("{reaction:?}");
        let (ran, provider, place) = run(script().rule(When::prompt("7 +").first(1), reaction), &[]).await;
        let ran = ran.expect(0);
        assert_eq!(counts(&ran, &place), (20, 0, vec![]), "{what}");
        let results = place.assay(&["results"]).expect(0).stdout;
        assert_eq!(results.lines().count(), 20, "{what}");
        let calls = provider.bill().totals().calls;
        assert!((21..=22).contains(&calls), "{what}: {calls} calls (prompts `7 + 1` and `17 + 1`)");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_passes_is_an_error_and_never_a_wrong_answer() {
    for (reaction, kind) in [
        (Reaction::status(400), "refused"),
        (Reaction::status(404), "refused"),
        (Reaction::status(422), "refused"),
        (Reaction::Close, "provider"),
        (Reaction::TruncatedJson, "malformed"),
    ] {
        let what = format!("{reaction:?}");
        let (ran, _provider, place) = run(script().rule(When::prompt("13 +"), reaction), &[]).await;
        assert_eq!(counts(&ran.expect(3), &place), (19, 1, vec![kind.to_owned()]), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_or_a_cut_answer_is_an_outcome() {
    let script = script()
        .rule(When::prompt("13 +"), Reaction::Refusal("I would rather not".to_owned()))
        .rule(When::prompt("14 +"), Reaction::Finish("length".to_owned()));
    let (ran, _provider, place) = run(script, &[]).await;
    assert_eq!(counts(&ran.expect(0), &place), (19, 0, vec![]));
    let results = place.assay(&["results"]).expect(0).stdout;
    assert!(results.contains("I would rather not"));
    assert!(results.contains("\"finish_reason\":\"length\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_problem_ends_the_wait_and_burns_no_job() {
    for (reaction, part) in [
        (Reaction::status(401), "401"),
        (Reaction::status(402), "402"),
        (Reaction::status(403), "403"),
        (Reaction::insufficient_quota(), "quota"),
    ] {
        let provider = FakeProvider::start(script().rule(When::always().times(30), reaction)).await.unwrap();
        let place = Workplace::default();
        place.provider(provider.base_url(), "in_flight = 4").sums(20, "");
        let ran = place.assay(&["run", "suite.yaml", "--json", "--patience", "1s"]).expect(4);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("fake/small needs attention"), "{}", ran.stderr);
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
        assert!(ran.stderr.contains("the same command goes on"), "{}", ran.stderr);
        assert!(
            provider.bill().totals().calls <= 12,
            "{} calls against a closed door",
            provider.bill().totals().calls
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_beyond_patience_ends_with_its_reason() {
    let late = Reaction::retry_after(3_600);
    let (ran, provider, place) = run(script().rule(When::always(), late), &["--patience", "1s"]).await;
    let ran = ran.expect(4);
    for part in ["fake needs attention since 2", "rate_limited: it is over its rate limit", "help: wait"] {
        assert!(ran.stderr.contains(part), "{part} is missing in:\n{}", ran.stderr);
    }
    assert!(ran.stderr.contains("the same command goes on"), "{}", ran.stderr);
    let calls = provider.bill().totals().calls;
    assert!(calls <= 4, "no more than were in flight");
    // Who comes later calls nobody, and is told as much by the ledger of all.
    let new = place.assay(&["run", "suite.yaml", "--json", "--new", "--patience", "1s"]).expect(4);
    assert!(new.stderr.contains("rate_limited: it is over its rate limit"), "{}", new.stderr);
    assert_eq!(provider.bill().totals().calls, calls);

    let unavailable = Reaction::Status { code: 503, retry_after: Some("3600".to_owned()), error: None };
    let rule = script().rule(When::prompt("7 +").times(9), unavailable);
    let ran = run(rule, &["--patience", "1s"]).await.0.expect(4);
    assert!(
        ran.stderr.contains("every open job waits for its next try, the first until 2"),
        "{}",
        ran.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_mended_goes_on() {
    let provider =
        FakeProvider::start(script().rule(When::always().times(2), Reaction::status(401))).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 2").sums(20, "");
    let ran = place.assay(&["run", "suite.yaml", "--json"]).expect(0);
    assert_eq!(counts(&ran, &place), (20, 0, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_address_is_said_so() {
    let place = Workplace::default();
    place.provider("http://127.0.0.1:1/v1", "").sums(5, "");
    let ran = place.assay(&["run", "suite.yaml", "--json", "--patience", "2s"]).expect(4);
    assert!(ran.stderr.contains("127.0.0.1:1"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold() {
    let totals = async |limits: &str| {
        let script = script().latency(Duration::from_millis(20));
        let provider = FakeProvider::start(script).await.unwrap();
        let place = Workplace::default();
        place.provider(provider.base_url(), limits).sums(30, "");
        place.assay(&["run", "suite.yaml", "--json"]).expect(0);
        provider.bill().totals()
    };
    assert_eq!(totals("in_flight = 3").await.in_flight_peak, 3);
    let totals = totals("requests_per_minute = 600").await;
    let took_us = totals.last_call_us.unwrap() - totals.first_call_us.unwrap();
    // Thirty calls at ten a second are twenty-nine pauses of 100 ms, but for a small burst.
    assert!(took_us > 2_000_000, "{took_us} µs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_sent_and_never_shown() {
    let provider =
        FakeProvider::start(Script { api_key: Some("canary-5f2c".to_owned()), ..script() }).await.unwrap();
    let place = Workplace::default();
    place.sums(5, "").write("key", "canary-5f2c\n").write(
        "assay.toml",
        format!(
            "[providers.fake]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key_file = \"key\"\n",
            provider.base_url()
        ),
    );
    let ran = place.assay(&["run", "suite.yaml", "--log", "trace"]).expect(0);
    assert!(!ran.stderr.contains("canary-5f2c") && !ran.stdout.contains("canary-5f2c"));
    let store = std::fs::read(place.path().join(".assay/assay.db")).unwrap();
    assert!(!store.windows(11).any(|window| window == b"canary-5f2c"));
}

/// A wrong model name must not cost a whole dataset; who has looked may go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_first_jobs_are_refused_pauses_once() {
    let provider = FakeProvider::start(script().rule(When::always(), Reaction::status(404))).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 4").sums(5_000, "");
    let ran = place.assay(&["run", "suite.yaml", "--json"]).expect(4);
    assert!(ran.stderr.contains("of the first 50 jobs were refused"), "{}", ran.stderr);
    let calls = provider.bill().totals().calls;
    assert!(calls < 5_000, "{calls} calls");
    let ran = place.assay(&["run", "suite.yaml"]).expect(3);
    assert!(ran.stdout.contains("5000 errored (refused), such as"), "{}", ran.stdout);
    assert_eq!(provider.bill().totals().calls, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_is_said_before_anything_is_paid() {
    let provider = FakeProvider::start(script()).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "").sums(3, "");
    place.assay(&["run", "suite.yaml", "--junit", "missing/report.xml"]).expect(2);
    assert_eq!(provider.bill().totals().calls, 0);
    place.assay(&["run", "suite.yaml", "--junit", "report.xml", "--markdown", "report.md"]).expect(0);
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(read("report.xml").matches("<testcase ").count(), 3);
    assert!(read("report.md").contains("| sum | fake/small | 100.0 % |"), "{}", read("report.md"));
}
