//! A run's life after its first end: estimated before it, asked again where it errored, removed when it is old; and what
//! `status` says in between.

use assay_store::{Schema, Store, StoreUrl};
use assay_tests::assay::Workplace;
use fake_provider::{Answer, FakeProvider, Reaction, Script, When};
use serde_json::{Value, json};

fn script() -> Script {
    Script::answering(Answer::Expression)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn store(place: &Workplace) -> Store {
    let url = StoreUrl::Sqlite(place.path().join(".assay/assay.db"));
    Store::open(&url, Schema::Require).await.unwrap()
}

/// Jobs, tokens and dollars for each model, with what they rest on; nothing is made and nobody is called.
#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_costs_nothing() {
    let provider = FakeProvider::start(script()).await.unwrap();
    let place = Workplace::default();
    place.sums(500, "budget_usd: 9").write(
        "assay.toml",
        format!(
            "[providers.fake]\nkind = \"openai\"\nbase_url = \"{}\"\n[prices.\"fake/small\"]\ninput_per_mtok = 1000\n\
             output_per_mtok = 2000\n[prices.\"fake/large\"]\ninput_per_mtok = 2000\noutput_per_mtok = 4000\n",
            provider.base_url()
        ),
    );
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let models = "models:\n  - fake/small\n  - provider: fake\n    model: large\n    max_tokens: 4\n";
    place.write("suite.yaml", suite.replace("models: [fake/small]\n", models));
    let estimate = place.assay(&["run", "suite.yaml", "--estimate", "--json"]).expect(0).json();
    // `N + 1` has 5 to 7 bytes: two tokens a request.
    assert_eq!(
        estimate["models"],
        json!([
            {"model": "fake/small", "calls": 500, "input_tokens": 1_000, "output_tokens": null,
             "requests_usd": 1.0, "cost_usd": null},
            {"model": "fake/large", "calls": 500, "input_tokens": 1_000, "output_tokens": 2_000,
             "requests_usd": 2.0, "cost_usd": 10.0},
        ])
    );
    assert_eq!((&estimate["calls"], &estimate["requests_usd"]), (&json!(1_000), &json!(3.0)));
    let text = place.assay(&["run", "suite.yaml", "--estimate"]).expect(0).stdout;
    for part in
        ["sums: 1000 jobs", "fake/large", "$10.0000", "fake/small has no `max_tokens`", "budget of $9"]
    {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    assert_eq!(provider.bill().totals().calls, 0);
    assert!(!place.path().join(".assay").exists());
}

/// What errored is asked again and nothing else, as often as it takes; what came before stays readable.
#[tokio::test(flavor = "multi_thread")]
async fn what_errored_is_asked_again() {
    let script = script()
        .rule(When::prompt("13 +").times(3), Reaction::Close)
        .rule(When::prompt("14 +").times(1), Reaction::status(404));
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 1").sums(20, "");
    let run = place.assay(&["run", "suite.yaml", "--json"]).expect(3).json()["run"]["id"].clone();
    let run = run.as_str().unwrap();
    let calls = provider.bill().totals().calls;
    assert_eq!(calls, 18 + 3 + 1);
    let before = lines(&place.assay(&["results"]).expect(0).stdout);
    let cut: Vec<_> = before.iter().filter(|line| line["error_kind"] == "provider").collect();
    assert_eq!((cut.len(), &cut[0]["attempts"]), (1, &json!(3)));

    let nothing = place.assay(&["retry", run, "--errored", "--kind", "poison"]).expect(2);
    assert!(nothing.stderr.contains("no job that errored as `poison`"), "{}", nothing.stderr);
    let opened =
        place.assay(&["retry", run, "--errored", "--kind", "provider", "--reason", "mended"]).expect(0);
    assert_eq!(opened.stdout, format!("run {run} is running: 19 of 20 jobs are done\n"));
    assert!(opened.stderr.contains("assay run SUITE"), "{}", opened.stderr);
    let status = place.assay(&["status", run]).expect(0).stdout;
    assert!(status.contains("nobody runs it") && status.contains("goes on with it"), "{status}");
    place.assay(&["run", "suite.yaml", "--json"]).expect(3);
    assert_eq!(provider.bill().totals().calls, calls + 1);
    place.assay(&["retry", run, "--errored"]).expect(0);
    place.assay(&["pause", run, "--reason", "lunch"]).expect(0);
    let paused = place.assay(&["run", "suite.yaml"]).expect(4);
    assert!(paused.stderr.contains(&format!("run {run} is paused")), "{}", paused.stderr);
    assert!(paused.stderr.contains("assay resume"), "{}", paused.stderr);
    place.assay(&["resume", run, "--reason", "back"]).expect(0);
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
    assert_eq!((&report["run"]["id"], &report["variants"][0]["passed"]), (&json!(run), &json!(20)));
    assert_eq!(provider.bill().totals().calls, calls + 2);

    let earlier = lines(&place.assay(&["results", run, "--earlier"]).expect(0).stdout);
    let kinds: Vec<_> = earlier.iter().map(|line| (&line["generation"], &line["error_kind"])).collect();
    assert_eq!(kinds.len(), 2);
    assert!(
        kinds.contains(&(&json!(0), &json!("provider"))) && kinds.contains(&(&json!(0), &json!("refused")))
    );
    let told = store(&place).await.last_audit(run.to_owned(), "run.retry").await.unwrap().unwrap();
    assert!(told.actor.starts_with("command line"), "{}", told.actor);
    let first = store(&place).await.audit(None, 10).await.unwrap();
    assert!(first.iter().any(|row| row.detail["reason"] == "mended" && row.detail["kind"] == "provider"));
}

/// While a run goes on again, what it said before carries nothing; when it is cancelled, it has said something new.
#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_whose_run_was_opened_again_carries_no_promotion() {
    let script = script().rule(When::prompt("13 +"), Reaction::status(404));
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "").sums(30, "gate: {rules: [{metric: pass_rate, min: 0.5}]}");
    let run = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json()["run"]["id"].clone();
    let run = run.as_str().unwrap();
    place.assay(&["retry", run, "--errored"]).expect(0);
    let refused = place.assay(&["prompt", "promote", "sum@1", "--channel", "production"]).expect(1);
    assert!(refused.stderr.contains("was opened again"), "{}", refused.stderr);
    place.assay(&["cancel", run, "--reason", "enough"]).expect(0);
    let status = place.assay(&["status", run, "--json"]).expect(0).json();
    let newest = &status["recorded"][0];
    assert_eq!(newest["outcome"], status["verdict"]["outcome"], "{status:#}");
    assert_eq!(status["recorded"].as_array().unwrap().len(), 2, "{status:#}");
}

/// The report stays as it was, the rest goes, and the same suite runs again afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_run_leaves_its_report() {
    let provider = FakeProvider::start(script()).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "").sums(30, "gate: {rules: [{metric: pass_rate, min: 0.5}]}");
    let run = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json()["run"]["id"].clone();
    let run = run.as_str().unwrap();
    let before = place.assay(&["status", run, "--json"]).expect(0).stdout;
    let none = place.assay(&["prune", "--older-than", "1d", "--json"]).expect(0).json();
    assert_eq!(none, json!({"runs": 0, "jobs": 0, "datasets": 0, "cases": 0, "events": 0}));
    let dry = place.assay(&["prune", "--older-than", "0s", "--dry-run", "--json"]).expect(0).json();
    assert_eq!((&dry["runs"], &dry["jobs"]), (&json!(1), &json!(30)));
    assert_eq!(place.assay(&["results", run]).expect(0).stdout.lines().count(), 30);
    let done = place.assay(&["prune", "--older-than", "0s", "--json"]).expect(0).json();
    assert_eq!(done, json!({"runs": 1, "jobs": 30, "datasets": 1, "cases": 30, "events": 0}));

    assert_eq!(place.assay(&["status", run, "--json"]).expect(0).stdout, before);
    let gone = place.assay(&["results", run]).expect(2);
    assert!(gone.stderr.contains("were removed by `assay prune`"), "{}", gone.stderr);
    place.assay(&["retry", run, "--errored"]).expect(2);
    let compared = place.assay(&["compare", run, run]).expect(2);
    assert!(compared.stderr.contains("were removed by `assay prune`"), "{}", compared.stderr);
    place.assay(&["flaky"]).expect(2);
    place.assay(&["run", "suite.yaml", "--new", "--json"]).expect(0);
    assert_eq!(provider.bill().totals().calls, 60);
}

/// A file in a folder that is not there is a slip of the pen, and nothing is made.
#[test]
fn a_mistyped_path_makes_no_folder() {
    let place = Workplace::default();
    place.sums(1, "").provider("http://127.0.0.1:1/v1", "");
    for command in [&["run", "suite.yaml"][..], &["migrate"]] {
        let ran = place.assay(&[command, &["--store", "sqlite:nope/x.db"]].concat()).expect(2);
        assert!(ran.stderr.contains("there is no folder nope: make it first"), "{}", ran.stderr);
    }
    assert!(!place.path().join("nope").exists());
}

/// `--check` looks and changes nothing.
#[test]
fn a_migration_can_be_looked_at_first() {
    let place = Workplace::default();
    let missing = place.assay(&["migrate", "--check"]).expect(4);
    assert!(missing.stderr.contains("no store at"), "{}", missing.stderr);
    assert!(!place.path().join(".assay").exists());
    place.assay(&["migrate"]).expect(0);
    let checked = place.assay(&["migrate", "--check"]).expect(0);
    assert!(checked.stderr.contains("nothing to do"), "{}", checked.stderr);
}
