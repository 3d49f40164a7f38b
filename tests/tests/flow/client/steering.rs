//! `assay submit`, `pause`, `resume`, `cancel` and `status`: what they print.

use assay_common::id::RunId;
use assay_store::Mandate;
use assay_tests::api::entry;

use super::Scene;

/// Without `--wait` stdout is the run's id; the same key is the same run, another suite under it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_submission_prints_the_id_of_its_run() {
    let scene = Scene::new().await;
    scene.suite(3, "");
    let submit = ["submit", "suite.yaml", "--idempotency-key", "nightly"];
    let first = scene.assay(&submit).await.expect(0);
    let id: RunId = first.stdout.trim_end().parse().unwrap();
    assert!(first.stderr.contains("6 jobs"), "{}", first.stderr);
    let again = scene.assay(&submit).await.expect(0);
    assert_eq!(again.stdout, first.stdout);
    assert!(again.stderr.contains("submitted before"), "{}", again.stderr);
    let traced = scene.assay(&[&submit[..], &["--log", "trace"]].concat()).await.expect(0);
    assert!(traced.stderr.contains("TRACE"), "{}", traced.stderr);
    assert!(!traced.stderr.contains(&scene.token), "{}", traced.stderr);
    let fresh = scene.assay(&["submit", "suite.yaml", "--json"]).await.expect(0).json();
    assert_ne!(fresh["run"], id.to_string());
    assert_eq!(fresh["estimate"]["calls"], 6);
    scene.suite(4, "");
    let other = scene.assay(&submit).await.expect(2);
    assert_eq!(other.stdout, "");
    for part in ["409", &id.to_string(), "another suite", "choose a new key"] {
        assert!(other.stderr.contains(part), "{part} is missing in:\n{}", other.stderr);
    }
    assert_eq!(scene.api.store.runs(None, 10).await.unwrap().len(), 2);
}

/// Pause, resume and cancel say how the run stands, and a run that stands still says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_steered_and_says_how_it_stands() {
    let scene = Scene::new().await;
    scene.suite(3, "");
    let run = scene.assay(&["submit", "suite.yaml"]).await.expect(0).stdout.trim_end().to_owned();
    let paused = scene.assay(&["pause", &run, "--reason", "lunch"]).await.expect(0);
    assert_eq!(paused.stdout, format!("run {run} is paused: 0 of 6 jobs are done\n"));
    let status = scene.assay(&["status", &run]).await.expect(0).stdout;
    for part in [
        "echoes: paused, 0 of 6",
        "paused by ci",
        "lunch",
        "assay resume",
        // A coordinator on a file, as this one is, has nobody who could work for it.
        "workers cannot share a store in a file",
        "PostgreSQL",
    ] {
        assert!(status.contains(part), "{part} is missing in:\n{status}");
    }
    assert_eq!(scene.assay(&["resume", &run, "--json"]).await.expect(0).json()["run"]["state"], "running");
    // Nobody works: patience runs out, and the run stays.
    let stuck = scene.assay(&["watch", &run, "--patience", "1s"]).await.expect(4);
    assert_eq!(stuck.stdout, "");
    for part in ["workers cannot share a store", &format!("assay watch {run}")] {
        assert!(stuck.stderr.contains(part), "{part} is missing in:\n{}", stuck.stderr);
    }
    let nothing = scene.assay(&["retry", &run, "--errored", "--kind", "provider"]).await.expect(2);
    assert!(nothing.stderr.contains("no job that errored as `provider`"), "{}", nothing.stderr);
    let unknown = scene.assay(&["retry", &run, "--errored", "--kind", "bad_luck"]).await.expect(2);
    assert!(unknown.stderr.contains("jobs error as refused, provider"), "{}", unknown.stderr);
    scene.assay(&["cancel", &run, "--reason", "wrong suite"]).await.expect(0);
    scene.api.store.finish(Mandate::Own, run.parse().unwrap(), entry("", "").at).await.unwrap().unwrap();
    let over = scene.assay(&["watch", &run]).await.expect(3);
    assert!(over.stdout.contains("cancelled because wrong suite"), "{}", over.stdout);
    let late = scene.assay(&["resume", &run]).await.expect(2);
    assert!(late.stderr.contains("is cancelled"), "{}", late.stderr);
    let last = scene.api.store.last_audit(run.clone(), "run.cancel").await.unwrap().unwrap();
    assert_eq!((last.actor.as_str(), last.detail["reason"].as_str()), ("ci", Some("wrong suite")));
}
