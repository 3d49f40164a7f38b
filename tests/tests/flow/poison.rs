//! A job that ends the process that runs it: alone after two deaths, poison after two more, and its neighbours unharmed.
//!
//! The provider never answers that job; each time it is called, whoever called is killed.

use std::time::Duration;

use assay_tests::assay::Workplace;
use assay_tests::fleet::{Process, World};
use fake_provider::{Answer, FakeProvider, JobTag, Reaction, Script, When};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::sleep;

const JOBS: u64 = 20;

async fn provider() -> FakeProvider {
    let script = Script::answering(Answer::Expression).latency(Duration::from_millis(60));
    FakeProvider::start(script.rule(When::prompt("13 +"), Reaction::Hang)).await.unwrap()
}

/// The calls that were never answered.
fn unanswered(provider: &FakeProvider) -> Vec<JobTag> {
    let bill = provider.bill();
    let entries = bill.entries.iter().filter(|entry| entry.status.is_none());
    entries.map(|entry| entry.job.as_deref().unwrap().parse().unwrap()).collect()
}

/// Waits until that job was called so often; says which it is.
async fn called(provider: &FakeProvider, times: usize) -> JobTag {
    for _ in 0..6_000 {
        let mut calls = unanswered(provider);
        if calls.len() >= times {
            return calls.swap_remove(times - 1);
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("it was called {} times in a minute, not {times}", unanswered(provider).len());
}

/// All passed but one, which is poison.
fn assert_found(results: &str) {
    let results: Vec<Value> = results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let poison: Vec<_> = results.iter().filter(|result| result["outcome"] == "errored").collect();
    assert_eq!((results.len() as u64, poison.len()), (JOBS, 1), "{results:?}");
    assert_eq!((&poison[0]["error_kind"], &poison[0]["case"]), (&"poison".into(), &"c13".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_process_ends_as_poison() {
    let provider = provider().await;
    let place = Workplace::default();
    place.provider(provider.base_url(), "in_flight = 4").sums(JOBS.try_into().unwrap(), "");
    for death in 1..=4 {
        let mut child = place.start(&["run", "suite.yaml", "--json"]);
        let job = called(&provider, death).await;
        assert_eq!(u64::from(job.attempt), death as u64);
        if death >= 3 {
            assert_eq!(provider.bill().in_flight, 1, "it has the process for itself");
            let status = place.assay(&["status", &job.run]).expect(0).stdout;
            assert!(status.contains("(case `c13`) runs alone now"), "{status}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let ran = place.assay(&["run", "suite.yaml"]).expect(3);
    assert!(ran.stdout.contains("1 errored (poison)"), "{}", ran.stdout);
    assert_found(&place.assay(&["results"]).expect(0).stdout);
    assert_eq!(unanswered(&provider).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_03_a_job_that_kills_its_workers_ends_as_poison_and_harms_no_neighbour() {
    let provider = provider().await;
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "in_flight = 4").sums(JOBS.try_into().unwrap(), "");
    world.dead_after = "2s";
    let coordinator = world.coordinator();
    let mut workers: Vec<Process> = vec![world.worker(), world.worker()];
    let run = world.submit_sums().await;
    for death in 1..=4 {
        let job = called(&provider, death).await;
        let holder = world.query(&format!(
            "SELECT members.pid, (SELECT COUNT(*) FROM jobs AS held WHERE held.member = members.id)
             FROM jobs JOIN members ON members.id = jobs.member
             WHERE jobs.run_id = '{run}' AND jobs.ordinal = {}",
            job.ordinal
        ));
        let (pid, holds) = holder.split_once('|').expect("somebody holds it");
        assert!(death < 3 || holds == "1", "{holds} jobs are held beside it");
        let next = workers.iter().position(|worker| worker.id().to_string() == pid).expect("a worker");
        let replacement = world.worker();
        kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
        std::mem::replace(&mut workers[next], replacement).kill();
    }
    let ended = world.finished(run).await;
    assert_eq!((ended.passed, ended.errored), (JOBS - 1, 1));
    let results = world.place.assay(&["results", &run.to_string(), "--store", world.store_url()]).expect(0);
    assert_found(&results.stdout);
    assert_eq!(unanswered(&provider).len(), 4);
    world.end(workers.into_iter().chain([coordinator]).collect()).await;
}
