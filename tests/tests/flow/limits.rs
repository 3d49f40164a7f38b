//! What an account allows and what its day may cost, as one person at a laptop meets them. The provider's bill is the oracle.

use std::time::Duration;

use assay_tests::assay::{Ran, Workplace};
use fake_provider::{Answer, Answers, Dialect, FakeProvider, Limits, Price, Reaction, Script, When};

/// Nano-dollars a token: a sum costs three or four of them.
const TOKEN: u64 = 100_000;
/// The most that a call may cost: the bytes of its prompt, the frame of its message, and eight tokens of an answer.
const MOST: u64 = (7 + 32 + 8) * TOKEN;
const JOBS: u32 = 40;

async fn provider() -> FakeProvider {
    let price = Price { input_per_mtok: TOKEN * 1_000_000, output_per_mtok: TOKEN * 1_000_000 };
    let script = Script::answering(Answer::Expression).latency(Duration::from_millis(5));
    FakeProvider::start(Script { price, ..script }).await.unwrap()
}

/// A suite of sums whose answers have at most eight tokens, and an assay.toml with these lines about its provider.
fn write(place: &Workplace, provider: &FakeProvider, lines: &str) {
    place.sums(JOBS, "");
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let models = "models:\n  - provider: fake\n    model: small\n    max_tokens: 8\n";
    let toml =
        format!("[providers.fake]\nkind = \"openai\"\nbase_url = \"{}\"\n{lines}\n", provider.base_url());
    place.write("suite.yaml", suite.replace("models: [fake/small]\n", models)).write("assay.toml", toml);
}

const PRICE: &str = "[prices.\"fake/small\"]\ninput_per_mtok = 100\noutput_per_mtok = 100";

/// At the cap of the day nothing more is called and nothing is lost; everybody is told why, and it goes on when the cap is
/// raised.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_costs_no_more_than_its_cap() {
    const CAP: u64 = 8_000_000;
    let provider = provider().await;
    let place = Workplace::default();
    let lines = format!("budget_usd_per_day = 0.008\nlimits = {{ in_flight = 4 }}\n{PRICE}");
    write(&place, &provider, &lines);
    let stopped = place.assay(&["run", "suite.yaml", "--json", "--patience", "1s"]).expect(4);
    let why = "fake needs attention";
    assert!(
        stopped.stderr.contains(why) && stopped.stderr.contains("its $0.008 for the day (UTC)"),
        "{}",
        stopped.stderr
    );
    let spent = provider.bill().totals().cost_nano_usd;
    assert!(spent <= CAP && spent + MOST > CAP, "{spent}");
    let runs = place.assay(&["status", "--json"]).expect(0).json();
    let run = runs[0]["run"]["id"].as_str().unwrap().to_owned();
    let status = place.assay(&["status", &run]).expect(0).stdout;
    assert!(status.contains(why) && status.contains("00:00 UTC"), "{status}");
    let money = place.assay(&["limits", "--json"]).expect(0).json()["money"][0].clone();
    assert_eq!((money["cap"].as_f64(), money["spent"].as_f64()), (Some(0.008), Some(spent as f64 / 1e9)));
    let shown = place.assay(&["limits"]).expect(0).stdout;
    assert!(shown.contains("fake, money: $") && shown.contains("requests in flight"), "{shown}");

    let raise = ["limits", "set", "fake", "--budget-usd-per-day", "1", "--reason", "the sweep"];
    let raised = place.assay(&raise).expect(0).stdout;
    assert!(raised.contains("set to $1 by ") && raised.contains(": the sweep"), "{raised}");
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
    assert_eq!((&report["run"]["id"], &report["variants"][0]["passed"]), (&run.into(), &JOBS.into()));
    let bill = provider.bill().totals();
    let money = place.assay(&["limits", "--json"]).expect(0).json()["money"][0].clone();
    let books = (money["spent"].as_f64(), money["reserved"].as_f64());
    assert_eq!((bill.calls, books), (JOBS.into(), (Some(bill.cost_nano_usd as f64 / 1e9), Some(0.0))));
}

/// Whoever knows better than the provider lifts its pause, and a run that waits goes on at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_lifted_by_hand() {
    let lie = Reaction::retry_after(3_600);
    let script = Script::answering(Answer::Expression).rule(When::always().times(1), lie);
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    let toml = format!(
        "lease_beat = \"50ms\"\nlease_time = \"1s\"\n[providers.fake]\nkind = \"openai\"\nbase_url = \"{}\"\n\
         limits = {{ requests_per_minute = 60_000, in_flight = 1 }}\n",
        provider.base_url()
    );
    place.sums(8, "").write("assay.toml", toml);
    place.assay(&["migrate"]).expect(0);
    let resume = ["limits", "resume", "fake", "--reason", "an hour is a mistake"];
    let idle = place.assay(&resume).expect(2);
    assert!(idle.stderr.contains("nothing holds the calls of `fake` back"), "{}", idle.stderr);
    let running = place.start(&["run", "suite.yaml", "--json", "--patience", "3m"]);
    let mut told = String::new();
    for _ in 0..1_000 {
        told = place.assay(&["limits"]).expect(0).stdout;
        if told.contains("no call begins before") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(told.contains("`assay limits resume fake --reason TEXT` lifts that"), "{told}");
    let runs = place.assay(&["status", "--json"]).expect(0).json();
    let run = runs[0]["run"]["id"].as_str().unwrap().to_owned();
    let status = place.assay(&["status", &run]).expect(0).stdout;
    assert!(status.contains("lift it with `assay limits resume fake --reason TEXT`"), "{status}");
    let lifted = place.assay(&resume).expect(0).stdout;
    assert!(!lifted.contains("no call begins before"), "{lifted}");
    let ran: Ran = running.wait_with_output().unwrap().into();
    assert_eq!(ran.expect(0).json()["variants"][0]["passed"], 8);
}

/// A request larger than all that a window allows is an error of its job, at once; the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_larger_than_a_window_is_an_error_of_its_job() {
    let provider = provider().await;
    let place = Workplace::default();
    write(&place, &provider, "limits = { input_tokens_per_minute = 6_000, window_length = \"1s\" }");
    let long = format!("{{\"id\": \"long\", \"a\": \"{}\", \"sum\": 1}}\n", " ".repeat(400));
    place.write("cases.jsonl", format!("{{\"id\": \"short\", \"a\": 1, \"sum\": 2}}\n{long}"));
    let foreseen = place.assay(&["run", "suite.yaml", "--estimate"]).expect(0).stdout;
    assert!(foreseen.contains("needs about 101 input_tokens, more than the 100"), "{foreseen}");
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(3).json();
    let run = report["run"]["id"].as_str().unwrap();
    assert_eq!((&report["variants"][0]["passed"], &report["variants"][0]["errored"]), (&1.into(), &1.into()));
    let results = place.assay(&["results", run]).expect(0).stdout;
    assert!(
        results.contains("too_large") && results.contains("input_tokens, more than the 100 that fake"),
        "{results}"
    );
    assert_eq!(provider.bill().totals().calls, 1);
}

/// More calls in flight than the file says, while a sweep runs: every worker follows.
#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_are_raised_while_a_sweep_runs() {
    let script = Script::answering(Answer::Expression).latency(Duration::from_millis(200));
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 2").sums(400, "");
    let running = place.start(&["run", "suite.yaml", "--json", "--patience", "3m"]);
    while provider.bill().totals().calls < 4 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let peak = || provider.bill().totals().in_flight_peak;
    assert_eq!(peak(), 2);
    let set = |to| ["limits", "set", "fake", "--in-flight", to, "--reason", "test"];
    place.assay(&set("20")).expect(0);
    let ran: Ran = running.wait_with_output().unwrap().into();
    assert_eq!(ran.expect(0).json()["variants"][0]["passed"], 400);
    assert_eq!(peak(), 20);
}

/// What a provider says once of its limit ends no job, however little it is: what is larger waits, and goes when that is
/// forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_a_provider_says_once_ends_no_job() {
    let headers = vec![("x-ratelimit-limit-tokens".to_owned(), "5".to_owned())];
    let said = Reaction::Reply { status: 503, headers, body: "{}".to_owned() };
    let script = Script::answering(Answer::Expression).rule(When::always().times(1), said);
    // Workers hear of it with a renewal: in that time not all are answered.
    let provider = FakeProvider::start(script.latency(Duration::from_millis(200))).await.unwrap();
    let place = Workplace::default();
    write(&place, &provider, "limits = { in_flight = 1, tokens_per_minute = 100_000 }");
    place.assay(&["migrate"]).expect(0);
    let running = place.start(&["run", "suite.yaml", "--json", "--patience", "3m"]);
    let mut told = String::new();
    for _ in 0..600 {
        told = place.assay(&["limits"]).expect(0).stdout;
        if told.contains("more than a window has by what the provider says") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(told.contains("the provider says that the limit is 5"), "{told}");
    let clear = ["limits", "clear", "fake", "--reason", "it was wrong"];
    place.assay(&clear).expect(0);
    let ran: Ran = running.wait_with_output().unwrap().into();
    assert_eq!(ran.expect(0).json()["variants"][0]["passed"], JOBS);
}

/// What makes no sense is said before anything is called, with its place.
#[tokio::test(flavor = "multi_thread")]
async fn limits_that_make_no_sense_are_refused() {
    let provider = provider().await;
    let place = Workplace::default();
    let check = |lines: &str, arguments: &[&str], parts: &[&str]| {
        write(&place, &provider, lines);
        let ran = place.assay(arguments).expect(2);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(parts.iter().all(|part| ran.stderr.contains(part)), "{parts:?}: {}", ran.stderr);
    };
    let run: &[&str] = &["run", "suite.yaml", "--json"];
    let zero = "[providers.fake.limits]\nrequests_per_minute = 0";
    check(zero, run, &["assay.toml", "line 5", "whole number from 1"]);
    check(
        "budget_usd_per_day = 5",
        run,
        &["suite.yaml:6", "price of `fake/small` is unknown", "[prices.\"fake/small\"]"],
    );
    let small = "[providers.fake.models.small.limits]\ntokens_per_minute = 7";
    check(small, run, &["suite.yaml:6", "an answer of `fake/small` may have 8 tokens", "7"]);
    check(small, &["validate", "suite.yaml"], &["lower `max_tokens`"]);
    check("", &["limits", "set", "fake", "--reason", "r"], &["--requests-per-minute"]);
    check("", &["limits", "set", "fake", "--requests-per-minute", "5"], &["--reason"]);
    place.assay(&["migrate"]).expect(0);
    let set = |scope, flag, number| ["limits", "set", scope, flag, number, "--reason", "r"];
    check("", &set("fakr", "--requests-per-minute", "5"), &["did you mean `fake`"]);
    check(
        "",
        &set("fake/", "--requests-per-minute", "5"),
        &["`fake/` names no model: write `fake` for the account"],
    );
    let short = "limits = { requests_per_minute = 60, window_length = \"5s\" }";
    check(
        short,
        &set("fake", "--requests-per-minute", "5"),
        &["leaves not one request in a window of 5s", "make it 12"],
    );
    let shorter = "[providers.fake.limits]\nrequests_per_minute = 60\nwindow_length = \"500ms\"";
    check(
        shorter,
        &["validate", "suite.yaml"],
        &["assay.toml", "line 4", "not one request in a window of 500ms"],
    );
    let both =
        ["limits", "set", "fake", "--requests-per-minute", "5", "--tokens-per-minute", "5", "--reason", "r"];
    check("", &both, &["requests set, tokens and what follows not", "write tokens_per_minute"]);
    place.assay(&["limits", "clear", "fake", "--reason", "r"]).expect(0);
    check(
        "",
        &["limits", "clear", "fake", "--reason", "r"],
        &["nothing is set of `fake`", "looked for: requests, tokens,"],
    );
    check("", &set("fake", "--requests-per-minute", "-5"), &["whole number from 1", "-5"]);
    check(
        "",
        &set("fake", "--tokens-per-minute", "5"),
        &["write tokens_per_minute under [providers.fake.limits]"],
    );
    check(
        "",
        &["limits", "clear", "fake", "--dimension", "tokns", "--reason", "r"],
        &["tokns", "input_tokens"],
    );
    assert_eq!(provider.bill().totals().calls, 0);
}

/// What still works and may not be meant so is said with its place, and the run goes on.
#[tokio::test(flavor = "multi_thread")]
async fn limits_that_may_not_be_meant_so_are_told() {
    let provider = provider().await;
    let place = Workplace::default();
    let own = |model: &str| format!("[providers.fake.models.{model}.limits]\nrequests_per_minute = 6000\n");
    write(&place, &provider, &format!("{}{}", own("smal"), own("large")));
    for arguments in [["validate", "suite.yaml"], ["run", "suite.yaml"]] {
        let told = place.assay(&arguments).expect(0).stderr;
        let meant = "help: did you mean [providers.fake.models.\"small\".limits]?";
        assert!(told.contains("suite.yaml:6") && told.contains(meant), "{told}");
        assert!(!told.contains("large"), "other suites may ask it: {told}");
    }
    write(&place, &provider, &own("\"fake/small\""));
    let told = place.assay(&["validate", "suite.yaml"]).expect(0).stderr;
    let parts = ["models.\"fake/small\".limits]", "did you mean [providers.fake.models.\"small\".limits]?"];
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    write(&place, &provider, "limits = { tokens_per_minute = 4000 }");
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let endless = suite.replace("    max_tokens: 8\n", "");
    let told = place.write("suite.yaml", endless).assay(&["validate", "suite.yaml"]).expect(0).stderr;
    let parts = ["warning", "suite.yaml:6", "4000 tokens in one window", "help: set `max_tokens`"];
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    write(&place, &provider, "limits = { output_tokens_per_minute = 7 }");
    let told = place.assay(&["validate", "suite.yaml"]).expect(0).stderr;
    let parts = ["warning", "suite.yaml:6", "8 tokens", "allows 7 output_tokens", "help: lower `max_tokens`"];
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    let limits = "limits = { requests_per_minute = 6000 }\n";
    write(&place, &provider, &format!("{limits}{}", own("small")));
    let set = ["limits", "set", "fake/small", "--requests-per-minute", "7000", "--reason", "r"];
    let set = place.assay(&set).expect(0).stdout;
    assert!(set.contains("it is more than the 6000 of its account `fake`, which is what counts"), "{set}");
    assert!(set.contains("no worker serves this model now"), "{set}");
}

/// What the provider's account has, in windows of two seconds; it refuses whatever exceeds them, and says what is left.
fn strict(limits: Limits) -> Script {
    Script::answering(Answer::Expression).limits(Limits { window_ms: 2_000, ..limits })
}

/// A run against an account with these limits, with these lines in assay.toml; every case has to pass. Returns what the provider
/// refused, and what `assay limits` says afterwards.
async fn keep(limits: Limits, lines: &str, max_tokens: u32) -> (u64, String) {
    let provider = FakeProvider::start(strict(limits)).await.unwrap();
    let place = Workplace::default();
    write(&place, &provider, &format!("[providers.fake.limits]\nwindow_length = \"2s\"\n{lines}"));
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    place.write("suite.yaml", suite.replace("max_tokens: 8\n", &format!("max_tokens: {max_tokens}\n")));
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
    assert_eq!(report["variants"][0]["passed"], JOBS, "{report}");
    (provider.kept().unwrap().refused, place.assay(&["limits"]).expect(0).stdout)
}

/// Who writes down what the account has is never refused, whichever limit is the narrowest.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_knows_his_limits_is_never_refused() {
    let limits = Limits { tokens_per_minute: Some(30_000), ..Limits::requests(600) };
    let lines = "requests_per_minute = 600\ntokens_per_minute = 30_000\n";
    for max_tokens in [8, 100] {
        let (refused, told) = keep(limits.clone(), lines, max_tokens).await;
        assert_eq!(refused, 0, "{told}");
    }
}

/// What the provider says of its limits holds where assay.toml promises more.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_promises_too_much_is_contradicted_and_the_run_goes_on() {
    let (_, told) = keep(Limits::requests(600), "requests_per_minute = 900\n", 8).await;
    assert!(told.contains("the provider says 600, last at"), "{told}");
}

/// Answers that count as they come are not taken for as long as they may be, and what the provider sums up is no limit beside those
/// of the two sides.
#[tokio::test(flavor = "multi_thread")]
async fn short_answers_that_may_be_long_are_not_waited_for() {
    let limits = Limits {
        input_tokens_per_minute: Some(60_000),
        output_tokens_per_minute: Some(30_000),
        tokens_per_minute: Some(90_000),
        answers: Answers::Produced,
        headers: Some(Dialect::Anthropic),
        ..Limits::default()
    };
    let lines = "input_tokens_per_minute = 60_000\noutput_tokens_per_minute = 30_000\n";
    let (refused, told) = keep(limits, lines, 4_000).await;
    assert_eq!(refused, 0, "{told}");
    let of_both = |line: &&str| line.contains(" tokens a minute") && !line.contains("put tokens a minute");
    assert!(told.contains("output tokens a minute"), "{told}");
    assert_eq!(told.lines().find(of_both), None, "{told}");
}
