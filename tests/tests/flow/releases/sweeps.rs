//! What is live is swept: a sudden loss is asked about again at once, what follows is one incident, and clean sweeps end it.

use assay_store::Scope;
use assay_tests::api::{Api, loaded};
use assay_tests::assay::{Ran, Workplace};
use assay_tests::fleet::World;
use assay_tests::places::on_sqlite;
use fake_provider::{Answer, FakeProvider, Reaction, Script, When};
use serde_json::{Value, json};

use super::says;

/// A good answer to nothing that was asked.
pub(super) const WRONG: &str = r#"{"id": "x", "object": "chat.completion", "created": 0, "model": "small",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "no"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}"#;

/// Answers that are right, but for those to questions that hold one of these texts.
pub(super) fn wrong_about(texts: &[&str]) -> Script {
    let wrong = || Reaction::Reply { status: 200, headers: Vec::new(), body: WRONG.to_owned() };
    let right = Script::answering(Answer::Expression);
    texts.iter().fold(right, |script, text| script.rule(When::prompt(text), wrong()))
}

/// Writes the suite of the candidate `text` against whatever is live.
pub(super) fn suite(place: &Workplace, text: &str) {
    let rows: String =
        (0..40).map(|n| format!("{{\"id\": \"c{n}\", \"a\": {n}, \"sum\": {}}}\n", n + 1)).collect();
    place.write("cases.jsonl", rows).write(
        "suite.yaml",
        format!(
            "suite: sums\nowner: ann@example.com\nprompts:\n  - {{name: sum, channel: production}}\n  \
             - {{name: sum, label: candidate, text: '{text}'}}\nmodels: [fake/small]\ncases:\n  - {{file: cases.jsonl, id: id}}\n\
             score:\n  - {{type: equals, value: '{{{{ sum }}}}'}}\n\
             gate:\n  rules:\n    - {{metric: pass_rate, min: 0.9}}\n    - {{metric: pass_rate, max_drop: 0.1}}\n"
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sudden_loss_is_asked_about_again() {
    let provider = FakeProvider::start(wrong_about(&[])).await.unwrap();
    let place = Workplace::default();
    place.provider(provider.base_url(), "");
    let asks = |arguments: &[&str]| -> Ran { tokio::task::block_in_place(|| place.assay(arguments)) };
    let sweeps = |code| asks(&["schedule", "run-now", "nightly", "--json"]).expect(code).json();
    let found = |sweeps: &Value| -> Vec<String> {
        let sweeps = sweeps.as_array().unwrap().iter();
        sweeps.map(|sweep| sweep["looks"][0]["outcome"].as_str().unwrap().to_owned()).collect()
    };

    // Nothing is live: a rule that compares has not decided, and a first version ships on rules about it alone.
    suite(&place, "{{ a }} + 1");
    let first = asks(&["run", "suite.yaml"]).expect(3);
    says(
        &first.stderr,
        &["nothing of `sum` is live on production", "nothing is live on production to compare"],
    );
    says(&first.stdout, &["nothing is live on production: there is no version to compare with"]);
    asks(&["prompt", "promote", "sum@1", "--channel", "production"]).expect(1);
    let written = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let alone = written.replace("    - {metric: pass_rate, max_drop: 0.1}\n", "");
    assert_ne!(alone, written);
    place.write("suite.yaml", alone);
    asks(&["run", "suite.yaml"]).expect(0);
    asks(&["prompt", "promote", "sum@1", "--channel", "production"]).expect(0);
    // From now on the version that is live is the baseline.
    suite(&place, "Say {{ a }} + 1");
    let second = asks(&["run", "suite.yaml"]).expect(0);
    says(&second.stdout, &["PASS  candidate (sum@2)", "max_drop 0.1"]);
    asks(&["prompt", "promote", "sum@2", "--channel", "production"]).expect(0);

    let add = ["schedule", "add", "suite.yaml", "--channel", "production", "--cron", "0 3 * * *"];
    let more = ["--name", "nightly", "--clean-sweeps", "2"];
    let added = asks(&[&add[..], &more].concat()).expect(0);
    says(&added.stdout, &["nightly is active: 0 3 * * * UTC", "sweeps sum on production", "2 clean sweeps"]);
    assert_eq!(found(&sweeps(0)), ["clean"]);

    // Eight answers of forty are wrong: too many for chance, asked again at once, and still wrong.
    provider.set_script(wrong_about(&["3 + 1", "4 + 1"]));
    assert_eq!(found(&sweeps(1)), ["suspicious", "worse"]);
    let incident = asks(&["incident", "list", "--json"]).expect(0).json()[0].clone();
    says(incident["summary"].as_str().unwrap(), &["-20.0 points", "fake/small", "sweep of schedule nightly"]);
    // Everything is wrong: no second sweep is needed, and it is the same incident.
    provider.set_script(Script::answering(Answer::Fixed("no".to_owned())));
    assert_eq!(found(&sweeps(1)), ["worse"]);
    assert_eq!(asks(&["incident", "list", "--json"]).expect(0).json().as_array().unwrap().len(), 1);

    // Nothing was rolled back, and the model is mended.
    provider.set_script(wrong_about(&[]));
    for _ in 0..2 {
        assert_eq!(found(&sweeps(0)), ["clean"]);
    }
    let incident = asks(&["incident", "show", "1", "--json"]).expect(0).json();
    assert_eq!(
        (&incident["state"], &incident["cause"]),
        (&"resolved".into(), &"2 clean sweeps in a row".into())
    );
    assert_eq!(incident["events"].as_array().unwrap().len(), 3, "opened, noted, resolved");
    let shown = asks(&["schedule", "show", "nightly"]).expect(0);
    says(&shown.stdout, &["asked again", "worse", "clean", "of 1825; that it is over 1.", " of 20"]);
    says(&asks(&["schedule", "pause", "nightly"]).expect(0).stdout, &["nightly is paused"]);
    says(&asks(&["schedule", "resume", "nightly"]).expect(0).stdout, &["nightly is active"]);
    says(&asks(&["schedule", "remove", "nightly"]).expect(0).stdout, &["removed the schedule nightly"]);
}

/// `assay schedule add` with these arguments.
fn add<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["schedule", "add", "suite.yaml"][..], more].concat()
}

/// Whatever can be wrong with a schedule: each says what, and what is near.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_schedule_is_named() {
    let place = Workplace::default();
    let check = |arguments: &[&str], code, parts: &[&str]| {
        let ran = place.assay(arguments).expect(code);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        says(&ran.stderr, parts);
    };
    place.write("cases.jsonl", "{\"id\": \"a\", \"x\": \"yes\"}\n");
    let with = |prompts: &str| {
        let gate = "gate: {rules: [{metric: pass_rate, min: 0.1}]}";
        place.write(
            "suite.yaml",
            format!(
                "suite: s\nprompts: [{prompts}]\nmodels: [echo/echo]\ncases: [{{file: cases.jsonl, id: id}}]\n\
                 score: [{{type: equals, value: 'yes'}}]\n{gate}\n"
            ),
        );
    };
    with("{name: p, text: '{{ x }}'}");
    let daily = ["--cron", "0 3 * * *"];
    check(&add(&[&daily[..], &["--channel", "production"]].concat()), 4, &["assay.db"]);
    place.assay(&["run", "suite.yaml"]).expect(0);
    check(
        &add(&[&daily[..], &["--channel", "production"]].concat()),
        2,
        &["nothing was released", "`production`"],
    );
    place.assay(&["prompt", "promote", "p@1", "--channel", "production"]).expect(0);
    check(&add(&[&daily[..], &["--channel", "producton"]].concat()), 2, &["did you mean `production`?"]);
    check(&add(&["--channel", "production", "--cron", "at night"]), 2, &["`at night` is no cron expression"]);
    check(&add(&["--channel", "production", "--cron", "0 3 30 2 *"]), 2, &["is never due"]);
    let zone = ["--channel", "production", "--time-zone", "Europe/Berln"];
    check(&add(&[&daily[..], &zone].concat()), 2, &["did you mean `Europe/Berlin`?"]);
    check(&["schedule", "run-now", "s"], 2, &["there is no schedule `s`", "assay schedule add"]);
    place.assay(&add(&[&daily[..], &["--channel", "production"]].concat())).expect(0);
    check(
        &add(&[&daily[..], &["--channel", "production"]].concat()),
        2,
        &["there is a schedule `s` already"],
    );
    // What is played back never changes.
    let written = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    let recorded = "models: [{provider: recorded, model: old, file: answers.jsonl}]";
    place.write("suite.yaml", written.replace("models: [echo/echo]", recorded));
    place.write("answers.jsonl", "{\"case\": \"a\", \"prompt\": \"p\", \"output\": \"yes\"}\n");
    let played = [&daily[..], &["--channel", "production", "--name", "played"]].concat();
    let warned = place.assay(&add(&played)).expect(0);
    says(
        &warned.stderr,
        &[
            "warning: `recorded/old` plays back recorded answers",
            "come to `unknown`",
            "sweep with a model that is asked anew",
        ],
    );
    let shown = place.assay(&["schedule", "show", "played", "--json"]).expect(0).json();
    says(shown["warnings"][0].as_str().unwrap(), &["`recorded/old` plays back"]);
    check(&["schedule", "pause", "t"], 2, &["there is no schedule `t`", "did you mean `s`?"]);
    // A suite that asks for what is live under a name that is near.
    with("{name: p, channel: producton}, {name: p, text: '{{ x }}!'}");
    check(
        &["run", "suite.yaml"],
        2,
        &["there is no channel `producton`", "suite.yaml:", "did you mean `production`?"],
    );
    // Another prompt has nothing to be swept.
    with("{name: q, text: '{{ x }}'}");
    let other = [&daily[..], &["--channel", "production", "--name", "q"]].concat();
    check(&add(&other), 2, &["no prompt of the suite is live on production"]);
}

/// In a fleet whoever leads measures what is live, and judges what was swept.
#[tokio::test(flavor = "multi_thread")]
async fn the_leader_looks_after_schedules() {
    let provider = FakeProvider::start(wrong_about(&[])).await.unwrap();
    let mut world = World::new().await;
    world.place.provider(provider.base_url(), "").sums(30, "gate: {rules: [{metric: pass_rate, min: 0.9}]}");
    let (coordinator, worker) = (world.coordinator(), world.worker());
    world.ready().await;
    let run = world.submit_sums().await;
    world.finished(run).await;
    coordinator.logged("recorded 1 verdicts on run").await;
    let store = world.store_url().to_owned();
    let promote = ["prompt", "promote", "sum@1", "--channel", "production", "--store", &store];
    world.place.assay(&promote).expect(0);
    let add = ["schedule", "add", "suite.yaml", "--channel", "production", "--cron", "0 3 * * *"];
    says(&world.client(&add).await.expect(0).stdout, &["sums is active"]);
    coordinator.logged("measuring the baseline of sum@1").await;
    let measured = async || world.store.unjudged_runs(9).await.unwrap().is_empty();
    world
        .until("the baseline is measured", async || {
            let open = world.store.open_runs().await.unwrap();
            open.is_empty() && measured().await
        })
        .await;
    provider.set_script(Script::answering(Answer::Fixed("no".to_owned())));
    says(
        &world.client(&["schedule", "run-now", "sums"]).await.expect(0).stdout,
        &["sweeps what is live: run"],
    );
    coordinator.logged("incident 1: sum@1 on production").await;
    let shown = world.client(&["schedule", "show", "sums", "--json"]).await.expect(0).json();
    assert_eq!(shown["sweeps"][0]["looks"][0]["outcome"], "worse", "{shown}");
    world.end(vec![coordinator, worker]).await;
}

/// Who may do what over HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn schedules_want_the_scope_submit() {
    on_sqlite(|store| async move {
        let api = Api::start(&store, "").await;
        let reader = api.token("reader", &[Scope::Read]).await;
        let submitter = api.token("ann", &[Scope::Submit, Scope::Read]).await;
        let place = Workplace::default();
        place.write("cases.jsonl", "{\"id\": \"a\", \"x\": \"yes\"}\n").write(
            "suite.yaml",
            "suite: s\nprompts: [{name: p, text: '{{ x }}'}]\nmodels: [echo/echo]\ncases: [{file: cases.jsonl, id: id}]\nscore: [{type: equals, value: 'yes'}]\n",
        );
        let loaded = loaded(&place);
        let body = json!({"name": "n", "suite": loaded.suite, "cron": "0 3 * * *", "channels": ["production"]});
        api.post("/v1/schedules", &reader, &body).await.expect(403);
        says(&api.post("/v1/schedules", &submitter, &body).await.expect(422).text, &["dataset"]);
        api.upload(&submitter, &loaded).await;
        let refused = api.post("/v1/schedules", &submitter, &body).await.expect(404);
        says(&refused.text, &["unknown-release", "nothing was released to a channel `production`"]);
        api.get("/v1/schedules/n", &reader).await.expect(404);
        assert_eq!(api.get("/v1/schedules", &reader).await.expect(200).json()["items"], json!([]));
        api.post("/v1/schedules/n/run", &reader, &json!({})).await.expect(403);
    })
    .await;
}
