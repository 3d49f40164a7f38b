//! A provider that fails: what is tried again, what waits, and that the run goes on when it is over.

use std::time::Duration;

use assay_tests::assay::{Ran, Workplace};
use fake_provider::{Answer, FakeProvider, Reaction, Script, When};
use tokio::time::sleep;

const JOBS: u64 = 300;

async fn start(script: Script, jobs: u64) -> (FakeProvider, Workplace) {
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 4").sums(jobs.try_into().unwrap(), "");
    (provider, place)
}

fn script() -> Script {
    Script::answering(Answer::Expression)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_in_ten_fails_and_every_job_is_answered() {
    let (provider, place) =
        start(script().rule(When::share(0.1).first(1), Reaction::status(500)), JOBS).await;
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
    assert_eq!(report["variants"][0]["passed"], JOBS);
    let totals = provider.bill().totals();
    let failed = totals.by_status["500"];
    assert!(failed > 10, "{totals:?}");
    assert_eq!((totals.calls, totals.most_calls_of_a_job), (JOBS + failed, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_25_everything_fails_and_one_probe_at_a_time_finds_out_when_it_is_over() {
    /// Ten open the breaker, and three more may be in flight then; if none was, the first probe fails too.
    const FAILING: u64 = 11;
    let (provider, place) =
        start(script().rule(When::always().times(FAILING), Reaction::status(503)), 20).await;
    let child = place.start(&["run", "suite.yaml", "--json"]);
    let mut status = String::new();
    for _ in 0..1_000 {
        // Before there is a store there is nothing to ask.
        status = place.assay(&["status", "--json"]).stdout;
        if let Ok(runs) = serde_json::from_str::<serde_json::Value>(&status)
            && let Some(id) = runs[0]["run"]["id"].as_str()
        {
            status = place.assay(&["status", id]).expect(0).stdout;
            if status.contains("failing") {
                break;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert!(status.contains("fake/small needs attention since 2"), "{status}");
    assert!(status.contains("failing: status 503"), "{status}");
    assert!(status.contains("look at the provider's status"), "{status}");
    let report = Ran::from(child.wait_with_output().unwrap()).expect(0).json();
    assert_eq!(report["variants"][0]["passed"], 20);
    let bill = provider.bill();
    assert_eq!(bill.totals().calls, 20 + FAILING);
    let gap = |pair: &&[fake_provider::Entry]| pair[1].at_us - pair[0].at_us >= 2_000_000;
    // On a busy machine there may be others.
    let gaps: Vec<_> =
        (1..).zip(bill.entries.windows(2)).filter(|(_, pair)| gap(pair)).map(|(n, _)| n).collect();
    assert!(gaps.iter().any(|n| (10..=14).contains(n)), "calls before each gap: {gaps:?}");
}
