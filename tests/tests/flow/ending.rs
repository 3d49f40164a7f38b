//! Calls that hang do not keep a run from ending: its deadline cuts them off, and so does a second Ctrl-C.

use std::process::Child;
use std::time::Duration;

use assay_store::StoreUrl;
use assay_tests::assay::{Ran, Workplace};
use assay_tests::places::on_postgres;
use assay_tests::scenes::assert_says;
use fake_provider::{FakeProvider, Reaction, Script, When};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A provider that takes calls and never answers, and a suite of eight jobs of which four are in flight at once.
async fn hanging(more: &str) -> (FakeProvider, Workplace) {
    let script = Script::default().rule(When::always(), Reaction::Hang);
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 4").sums(8, more);
    (provider, place)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to {what}");
}

async fn ended(child: Child) -> Ran {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap();
    output.unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_deadline_a_run_ends_without_the_calls_that_hang() {
    let (provider, place) = hanging("deadline: 1s").await;
    let child = place.start(&["run", "suite.yaml", "--json", "--log", "assay_worker=debug"]);
    let ran = ended(child).await.expect(4);
    assert_says(
        &ran.stderr,
        &["cut off a call", "was cancelled: its deadline has passed", "raise `deadline`"],
    );
    assert!(!ran.stderr.contains("needs attention"), "{}", ran.stderr);
    let report = ran.json();
    assert_eq!(report["run"]["state"], "cancelled");
    assert_eq!(report["variants"][0]["cancelled"], 8);
    assert_eq!(provider.bill().totals().calls, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_says_what_may_be_paid_again_and_what_becomes_of_the_run() {
    let (provider, place) = hanging("").await;
    for cancelled in [false, true] {
        let before = provider.bill().totals().calls;
        let child = place.start(&["run", "suite.yaml"]);
        until("four calls", || provider.bill().totals().calls == before + 4).await;
        if cancelled {
            let run = place.assay(&["status", "--json"]).expect(0).json()[0]["run"]["id"].clone();
            place.assay(&["cancel", run.as_str().unwrap()]).expect(0);
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        // Another signal: two of a kind may come as one.
        kill(pid, Signal::SIGTERM).unwrap();
        let stderr = ended(child).await.expect(4).stderr;
        let kept = ["the same command goes on with it", "in flight: they may be paid again"];
        let cancelling = ["is being cancelled", "asks nothing more", "may be on the provider's bill"];
        assert_says(&stderr, if cancelled { &cancelling } else { &kept });
    }
}

/// A database has no lock that says that a process has died: the next one says whom it waits for.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_database_a_resumed_run_says_whose_jobs_it_waits_for() {
    on_postgres(resumed_on).await;
}

async fn resumed_on(store: StoreUrl) {
    let StoreUrl::Postgres(store) = store else { panic!("a database") };
    let (provider, place) = hanging("").await;
    let run = ["run", "suite.yaml", "--store", &store];
    let mut first = place.start(&run);
    until("four calls", || provider.bill().totals().calls == 4).await;
    first.kill().unwrap();
    first.wait().unwrap();
    // Its calls may have to wait for the limits that the dead one holds; what it says does not.
    let told = place.path().join("stderr");
    let stderr = || std::fs::read_to_string(&told).unwrap();
    let second = place.command(&run).stderr(std::fs::File::create(&told).unwrap()).spawn().unwrap();
    until("a word of the first", || stderr().contains("of its silence")).await;
    let pid = Pid::from_raw(i32::try_from(second.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    kill(pid, Signal::SIGTERM).unwrap();
    ended(second).await;
    assert_says(
        &stderr(),
        &[&format!("in the hands of process {}", first.id()), "after 30 s of its silence"],
    );
}
