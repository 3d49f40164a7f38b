//! `assay submit --wait` and `assay watch`: the end of a run here is its end there.

use std::process::Stdio;
use std::time::Duration;

use assay_tests::api::{Api, entry};
use assay_tests::assay::{Ran, Workplace};
use tokio::task::spawn_blocking;

use super::{CONFIG, Scene, store_of};

/// As before `assay run`, nobody has to wait for the end of a run to learn what it cannot show.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_suite_can_see_is_said_when_it_is_submitted() {
    let scene = Scene::new().await;
    scene.suite(300, "gate: {rules: [{metric: pass_rate, max_drop: 0.02}]}");
    let submitted = scene.assay(&["submit", "suite.yaml"]).await.expect(0);
    let sight =
        "\nthis suite cannot see a drop below 3.9 points: 300 cases, `pass_rate max_drop 0.02` allows 2.0\n";
    assert!(submitted.stderr.ends_with(sight), "{}", submitted.stderr);
    let submitted = scene.assay(&["submit", "suite.yaml", "--json"]).await.expect(0).json();
    assert_eq!(
        (&submitted["sights"][0]["cases"], &submitted["sights"][0]["allowed"]),
        (&300.into(), &0.02.into())
    );
}

/// `--wait` ends with the document, the files and the code that `assay run` ends with.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_as_a_run_here_does() {
    let scene = Scene::new().await;
    scene.suite(300, "gate: {rules: [{metric: pass_rate, min: 0.9}]}");
    let files = ["--junit", "there.xml", "--markdown", "there.md"];
    let mut waiting = scene.command(&[&["submit", "suite.yaml", "--wait", "--json"], &files[..]].concat());
    let waiting = waiting.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let run = scene.submitted().await;
    let here = scene.execute(&["--json", "--junit", "here.xml", "--markdown", "here.md"]).await.expect(1);
    let there = spawn_blocking(|| Ran::from(waiting.wait_with_output().unwrap())).await.unwrap().expect(1);
    assert_eq!(there.stdout, here.stdout);
    assert_eq!(there.json()["run"]["id"], run.to_string());
    let expected = format!("submitted run {run}: 600 jobs, about 600 tokens to send, at most about $0.00\n");
    assert_eq!(there.stderr, expected);
    let read = |name: &str| std::fs::read_to_string(scene.place.path().join(name)).unwrap();
    assert_eq!(read("there.md"), read("here.md"));
    let (there, here) = (read("there.xml"), read("here.xml"));
    assert_eq!(there.matches("<testcase").count(), 601, "every job, and the rule of the gate");
    assert_eq!(there, here);

    // Afterwards, the server and the store say the same.
    let run = run.to_string();
    let store = format!("sqlite:{}", scene.place.path().join("shared.db").display());
    for command in [
        &["status", &run][..],
        &["status", &run, "--json"],
        &["status"],
        &["status", "--json"],
        &["results", &run],
        &["results"],
        &["compare", "echo@1", "echo@2", "--json"],
        &["compare", &format!("{run}:plain"), &format!("{run}:spaced")],
        &["flaky"],
        &["flaky", "--json"],
    ] {
        let from_server = scene.assay(command).await.expect(0);
        let from_store = scene.assay(&[command, &["--store", &store]].concat()).await.expect(0);
        assert_eq!(from_server.stdout, from_store.stdout, "{command:?}");
        assert!(!from_server.stdout.is_empty());
    }
    let watched = scene.assay(&["watch", &run]).await.expect(1);
    assert!(watched.stdout.contains("Verdict: FAIL"), "{}", watched.stdout);
}

/// A coordinator that goes away while somebody waits is waited for, and said so.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_outlives_the_coordinator() {
    let mut scene = Scene::new().await;
    scene.suite(3, "");
    let mut waiting = scene.command(&["submit", "suite.yaml", "--wait", "--patience", "30s"]);
    let waiting = waiting.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    scene.submitted().await;
    let address = scene.api.base.trim_start_matches("http://").to_owned();
    // A store of its own in between, so that the old server ends with the port.
    let elsewhere = Workplace::default();
    scene.api = Api::start(&store_of(&elsewhere), CONFIG).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    scene.api = Api::start_at(&store_of(&scene.place), CONFIG, &address).await;
    scene.execute(&[]).await.expect(0);
    let ended = spawn_blocking(|| Ran::from(waiting.wait_with_output().unwrap())).await.unwrap().expect(0);
    for part in ["cannot reach the coordinator at http://127.0.0.1:", "trying again", "answers again"] {
        assert!(ended.stderr.contains(part), "{part} is missing in:\n{}", ended.stderr);
    }
    assert!(ended.stdout.contains("echoes: 6 jobs, completed"), "{}", ended.stdout);
}

/// Once the run is there, a refusal is no wrong input: the code says that something goes on, and the words say what.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_while_waiting_says_that_the_run_goes_on() {
    let scene = Scene::new().await;
    scene.suite(3, "");
    let mut waiting = scene.command(&["submit", "suite.yaml", "--wait"]);
    let waiting = waiting.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let run = scene.submitted().await;
    assert!(scene.api.store.revoke_token("ci".to_owned(), entry("token.revoke", "ci")).await.unwrap());
    let ended = spawn_blocking(|| Ran::from(waiting.wait_with_output().unwrap())).await.unwrap().expect(4);
    for part in [&format!("run {run} was submitted and goes on"), "401", "`ci` was revoked"] {
        assert!(ended.stderr.contains(part), "{part} is missing in:\n{}", ended.stderr);
    }
}
