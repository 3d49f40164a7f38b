//! A run that is stopped goes on with the same command and pays for nothing twice.

use std::collections::HashSet;
use std::process::Child;
use std::time::Duration;

use assay_tests::assay::Workplace;
use fake_provider::{Answer, FakeProvider, Script};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const IN_FLIGHT: u64 = 100;

async fn provider(latency_ms: u64) -> FakeProvider {
    let script = Script::answering(Answer::Expression).latency(Duration::from_millis(latency_ms));
    FakeProvider::start(script).await.expect("the fake provider starts")
}

/// Waits until the provider has seen `calls`.
async fn until(provider: &FakeProvider, calls: u64) {
    for _ in 0..6_000 {
        if provider.bill().totals().calls >= calls {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("only {} calls after a minute", provider.bill().totals().calls);
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Every job has exactly one result, and it passed.
fn assert_complete(place: &Workplace, report: &Value, jobs: u64) {
    assert_eq!(report["run"]["state"], "completed");
    assert_eq!(report["variants"][0]["passed"], jobs);
    let results = place.assay(&["results"]).expect(0).stdout;
    let ordinals: HashSet<u64> = results
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["ordinal"].as_u64().unwrap())
        .collect();
    assert_eq!(results.lines().count() as u64, jobs);
    assert_eq!(ordinals, (0..jobs).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_once_it_pays_twice_only_for_what_was_in_flight() {
    const JOBS: u32 = 20_000;
    let provider = provider(10).await;
    let place = Workplace::default();
    place.provider(provider.base_url(), &format!("in_flight = {IN_FLIGHT}")).sums(JOBS, "");
    let mut deaths = 0;
    for calls in [2_000, 9_000] {
        let mut child = place.start(&["run", "suite.yaml", "--json"]);
        until(&provider, calls).await;
        signal(&child, Signal::SIGKILL);
        child.wait().unwrap();
        deaths += 1;
    }
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
    assert_complete(&place, &report, u64::from(JOBS));
    let totals = provider.bill().totals();
    assert_eq!(totals.jobs, u64::from(JOBS));
    assert!(totals.calls <= u64::from(JOBS) + deaths * IN_FLIGHT, "{} calls", totals.calls);
    assert!(totals.most_calls_of_a_job <= 1 + deaths);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_it_records_what_is_in_flight_and_pays_nothing_twice() {
    const JOBS: u32 = 2_000;
    for stop in [Signal::SIGINT, Signal::SIGTERM] {
        let provider = provider(50).await;
        let place = Workplace::default();
        place.provider(provider.base_url(), &format!("in_flight = {IN_FLIGHT}")).sums(JOBS, "");
        let child = place.start(&["run", "suite.yaml", "--json"]);
        until(&provider, 400).await;
        signal(&child, stop);
        let ran = assay_tests::assay::Ran::from(child.wait_with_output().unwrap()).expect(4);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("the same command goes on"), "{}", ran.stderr);
        let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
        assert_complete(&place, &report, u64::from(JOBS));
        assert_eq!(provider.bill().totals().calls, u64::from(JOBS));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_its_store_is_removed_and_nothing_can_be_recorded() {
    let provider = provider(50).await;
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 10").sums(20_000, "");
    let child = place.start(&["run", "suite.yaml", "--json"]);
    until(&provider, 50).await;
    std::fs::remove_dir_all(place.path().join(".assay")).unwrap();
    let ran = assay_tests::assay::Ran::from(child.wait_with_output().unwrap()).expect(4);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("assay.db was removed while it was in use"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_is_asked_for_by_name() {
    let provider = provider(20).await;
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 10").sums(200, "");
    let mut child = place.start(&["run", "suite.yaml"]);
    until(&provider, 50).await;
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    let before = provider.bill().totals().calls;
    place.assay(&["run", "suite.yaml", "--new", "--json"]).expect(0);
    assert_eq!(provider.bill().totals().calls, before + 200);
    assert_eq!(place.assay(&["status", "--json"]).expect(0).json().as_array().unwrap().len(), 2);
    // The older one is still unfinished, and goes on.
    place.assay(&["run", "suite.yaml", "--json"]).expect(0);
    assert!(provider.bill().totals().calls <= before + 200 + 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_on_the_same_file_names_the_holder() {
    let provider = provider(20).await;
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 1").sums(500, "");
    let mut child = place.start(&["run", "suite.yaml"]);
    until(&provider, 5).await;
    let second = place.assay(&["run", "suite.yaml", "--json"]).expect(4);
    assert_eq!(second.stdout, "");
    assert!(second.stderr.contains(&child.id().to_string()), "{}", second.stderr);
    // Readers are welcome meanwhile.
    let status = place.assay(&["status", "--json"]).expect(0).json();
    assert_eq!(status[0]["run"]["state"], "running");
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
}
