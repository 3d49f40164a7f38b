//! The command line as a client of a coordinator: `submit`, `watch`, `status`, `results`, `cancel`, `pause`, `resume`,
//! and `token`, with the real binary.
//!
//! Nobody executes the runs here but `assay run` on the same store, which goes on with the unfinished run of its suite.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::process::{Command, Stdio};
use std::time::Duration;

use assay_common::id::RunId;
use assay_store::{Scope, StoreUrl};
use assay_tests::api::{Api, entry};
use assay_tests::assay::{Ran, Workplace};
use tokio::task::spawn_blocking;

const BOTH: [Scope; 2] = [Scope::Read, Scope::Submit];
/// What the suites here need.
const CONFIG: &str = "[providers.fake]\nkind = \"echo\"\n";

/// A folder, a coordinator's API on a store in it, and a token for it.
struct Scene {
    place: Workplace,
    api: Api,
    token: String,
}

impl Scene {
    async fn new() -> Self {
        let place = Workplace::default();
        let api = Api::start(&store_of(&place), CONFIG).await;
        let token = api.token("ci", &BOTH).await;
        Self { place, api, token }
    }

    /// A suite of `cases` answers that the provider echoes; all but the last third are right.
    fn suite(&self, cases: u32, more: &str) {
        let rows: String = (0..cases)
            .map(|n| {
                format!(
                    "{{\"id\": \"c{n}\", \"say\": \"{n}\", \"want\": \"{}\"}}\n",
                    if n < cases * 2 / 3 { n } else { 0 }
                )
            })
            .collect();
        self.place.write("cases.jsonl", rows).write("assay.toml", CONFIG).write(
            "suite.yaml",
            format!(
                "suite: echoes\nprompts:\n  - {{name: echo, text: '{{{{ say }}}}', label: plain}}\n  - {{name: echo, text: ' {{{{ say }}}}', label: spaced}}\nmodels: [fake/e]\ncases:\n  - {{file: cases.jsonl, id: id}}\nscore:\n  - {{type: equals, value: '{{{{ want }}}}'}}\n{more}\n"
            ),
        );
    }

    /// `assay` with the coordinator in its environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("ASSAY_SERVER", &self.api.base).env("ASSAY_TOKEN", &self.token);
        command
    }

    /// Runs it to its end, beside the server.
    async fn assay(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// Lets `assay run` execute what was submitted, on the store of the server.
    async fn execute(&self, arguments: &[&str]) -> Ran {
        let store = format!("sqlite:{}", self.place.path().join("shared.db").display());
        let mut command =
            self.place.command(&[&["run", "suite.yaml", "--store", &store], arguments].concat());
        spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// Waits until the store has a run.
    async fn submitted(&self) -> RunId {
        for _ in 0..600 {
            if let Some(run) = self.api.store.runs(None, 1).await.unwrap().pop() {
                return run.id;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        unreachable!("nothing was submitted within twelve seconds")
    }
}

fn store_of(place: &Workplace) -> StoreUrl {
    StoreUrl::Sqlite(place.path().join("shared.db"))
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
    assert_eq!(there.matches("<testcase").count(), 600);
    assert_eq!(there, here);

    // Afterwards, the server and the store say the same.
    let run = run.to_string();
    let store = format!("sqlite:{}", scene.place.path().join("shared.db").display());
    for command in
        [&["status", &run][..], &["status", &run, "--json"], &["status"], &["results", &run], &["results"]]
    {
        let from_server = scene.assay(command).await.expect(0);
        let from_store = scene.assay(&[command, &["--store", &store]].concat()).await.expect(0);
        assert_eq!(from_server.stdout, from_store.stdout, "{command:?}");
        assert!(!from_server.stdout.is_empty());
    }
    let watched = scene.assay(&["watch", &run]).await.expect(1);
    assert!(watched.stdout.contains("Verdict: FAIL"), "{}", watched.stdout);
}

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
        "no worker is alive",
        "assay worker",
    ] {
        assert!(status.contains(part), "{part} is missing in:\n{status}");
    }
    assert_eq!(scene.assay(&["resume", &run, "--json"]).await.expect(0).json()["run"]["state"], "running");
    // Nobody works: patience runs out, and the run stays.
    let stuck = scene.assay(&["watch", &run, "--patience", "1s"]).await.expect(4);
    assert_eq!(stuck.stdout, "");
    for part in ["no worker is alive", &format!("assay watch {run}")] {
        assert!(stuck.stderr.contains(part), "{part} is missing in:\n{}", stuck.stderr);
    }
    scene.assay(&["cancel", &run, "--reason", "wrong suite"]).await.expect(0);
    scene.api.store.finish(run.parse().unwrap(), entry("", "").at).await.unwrap().unwrap();
    let over = scene.assay(&["watch", &run]).await.expect(3);
    assert!(over.stdout.contains("cancelled because wrong suite"), "{}", over.stdout);
    let late = scene.assay(&["resume", &run]).await.expect(2);
    assert!(late.stderr.contains("is cancelled"), "{}", late.stderr);
    let last = scene.api.store.last_audit(run.clone(), "run.cancel").await.unwrap().unwrap();
    assert_eq!((last.actor.as_str(), last.detail["reason"].as_str()), ("ci", Some("wrong suite")));
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

/// What is wrong with a coordinator's place, a token or a suite is said with what to do; the code says whose turn it is.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_says_what_where_and_what_to_do() {
    let scene = Scene::new().await;
    scene.suite(3, "");
    let reader = scene.api.token("reader", &[Scope::Read]).await;
    // Bound and not listening any more: connections are refused.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("http://127.0.0.1:{port}");
    let beneath = format!("{}/elsewhere", scene.api.base);
    let unknown = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let check = async |arguments: &[&str], code: i32, parts: &[&str]| {
        let ran = scene.assay(arguments).await.expect(code);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        for part in parts {
            assert!(ran.stderr.contains(part), "{part} is missing in:\n{}", ran.stderr);
        }
        assert!(!ran.stderr.contains(&scene.token) && !ran.stderr.contains(&reader), "{}", ran.stderr);
    };
    let submit = ["submit", "suite.yaml"];
    let with = |more: &[&'static str]| [&submit[..], more].concat();
    check(&[&submit[..], &["--server", &nowhere]].concat(), 4, &[&nowhere, "refused", "--server"]).await;
    check(&["status", unknown, "--server", &nowhere], 4, &[&nowhere]).await;
    check(&["watch", unknown, "--server", &nowhere, "--patience", "1s"], 4, &[&nowhere, "trying again"])
        .await;
    check(&[&submit[..], &["--server", &beneath]].concat(), 2, &["no such route"]).await;
    check(&with(&["--server", "localhost:8080"]), 2, &["http"]).await;
    check(&with(&["--server", "http://u:hunter2@h"]), 2, &["ASSAY_TOKEN"]).await;
    check(&with(&["--server", ""]), 2, &["ASSAY_SERVER"]).await;
    check(&with(&["--token", ""]), 2, &["ASSAY_TOKEN", "assay token create"]).await;
    check(&with(&["--token", "assay_wrong"]), 2, &["401", "nobody has this token", "whole token"]).await;
    check(&[&submit[..], &["--token", &reader]].concat(), 2, &["403", "`submit`", "--scopes submit"]).await;
    check(&["cancel", unknown], 2, &["404", unknown]).await;
    check(&["results", unknown], 2, &["404", unknown]).await;
    check(&["status", "--store", "sqlite:x.db", "--server", &nowhere], 2, &["keep the one"]).await;
    check(&with(&["--patience", "soon"]), 2, &["length of time"]).await;
    check(&["submit", "missing.yaml"], 2, &["missing.yaml"]).await;
    scene.suite(3, "scores: []");
    check(&submit, 2, &["suite.yaml:", "did you mean `score`"]).await;
    scene.suite(3, "");
    scene.place.write("cases.jsonl", "{\"id\": \"a\", \"say\": 1, \"want\": 1}\n{oops\n");
    check(&submit, 2, &["cases.jsonl:2"]).await;
    // What only the coordinator knows.
    scene.suite(3, "budget_usd: 1");
    let suite = std::fs::read_to_string(scene.place.path().join("suite.yaml")).unwrap();
    scene.place.write("suite.yaml", suite.replace("fake/e", "fkae/e"));
    check(
        &submit,
        2,
        &["models[0]: unknown provider `fkae`", "did you mean `fake`", "coordinator's assay.toml"],
    )
    .await;
    assert_eq!(scene.api.store.runs(None, 1).await.unwrap(), []);
}

/// A token is shown once, listed without itself, and refused once revoked; it stands in no file of the store.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_listed_and_revoked() {
    let mut scene = Scene::new().await;
    let store = format!("sqlite:{}", scene.place.path().join("shared.db").display());
    let on = |arguments: &[&str]| -> Vec<String> {
        arguments.iter().copied().chain(["--store", &store]).map(str::to_owned).collect()
    };
    let assay = async |scene: &Scene, arguments: &[&str]| {
        let arguments = on(arguments);
        scene.assay(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let create = ["token", "create", "bob", "--scopes", "submit,read", "--expires", "90d"];
    let made = assay(&scene, &create).await.expect(0);
    let secret = made.stdout.strip_suffix('\n').unwrap().to_owned();
    assert_eq!((secret.len(), secret.lines().count()), (70, 1));
    assert!(!made.stderr.contains(&secret) && made.stderr.contains("`bob`"), "{}", made.stderr);
    let twice = assay(&scene, &create).await.expect(2);
    assert!(twice.stdout.is_empty() && twice.stderr.contains("choose another"), "{}", twice.stderr);
    scene.token = secret.clone();
    scene.assay(&["status"]).await.expect(0);
    let list = assay(&scene, &["token", "list"]).await.expect(0).stdout;
    assert!(list.contains("bob") && list.contains("read,submit") && !list.contains(&secret), "{list}");
    let list = assay(&scene, &["token", "list", "--json"]).await.expect(0).json();
    assert_eq!((&list[1]["name"], &list[1]["revoked_at"]), (&"bob".into(), &serde_json::Value::Null));
    assay(&scene, &["token", "revoke", "bob"]).await.expect(0);
    let refused = scene.assay(&["status"]).await.expect(2);
    assert!(refused.stderr.contains("`bob` was revoked"), "{}", refused.stderr);
    assay(&scene, &["token", "revoke", "bob"]).await.expect(2);
    for wrong in
        [&["token", "create", "a\nb", "--scopes", "read"][..], &["token", "create", "x", "--scopes", "root"]]
    {
        assay(&scene, wrong).await.expect(2);
    }
    assay(&scene, &["token", "create", "x"]).await.expect(2);
    for file in ["shared.db", "shared.db-wal"] {
        let bytes = std::fs::read(scene.place.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
    }
}

/// `token create` makes the store where there is none; the other two do not.
#[test]
fn only_creating_a_token_makes_a_store() {
    let place = Workplace::default();
    for arguments in [&["token", "list"][..], &["token", "revoke", "x"]] {
        place.assay(arguments).expect(4);
        assert!(!place.path().join(".assay").exists());
    }
    place.assay(&["token", "create", "x", "--scopes", "read"]).expect(0);
    assert!(place.path().join(".assay/assay.db").exists());
}
