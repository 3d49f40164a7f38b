//! Secrets: a canary in the place of each, then everything that assay wrote is searched for it.

use std::fs;
use std::path::Path;

use assay_tests::fleet::World;
use assay_tests::rabbitmq::breakable;
use assay_tests::scenes::assert_says;
use fake_provider::{Answer, FakeProvider, Reaction, Script, When};

use crate::releases::notify::Receiver;

/// The key of the provider, which repeats it in what it complains about.
const KEY: &str = "canary-key-8d1f-0c3e-77ab-51d0";
const DATABASE: &str = "canary-database-77ab";
const BROKER: &str = "canary-broker-0c3e";
const COLLECTOR: &str = "canary-collector-51d0";
/// In the path of a webhook, and what another signs with.
const HOOK: &str = "canary-hook-4e19";
const SIGNATURE: &str = "canary-signature-a3b2";

/// The logs of a run that errs in every way and of a process that panics, all tables, all messages, every answer to clients, and
/// what was told to webhooks, one of which takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn row_37_canaries_in_the_place_of_every_secret() {
    let node = breakable().await;
    node.ctl(&["add_user", "canary", BROKER]);
    node.ctl(&["set_permissions", "canary", ".*", ".*", ".*"]);
    let complaint = |status| Reaction::Reply {
        status,
        headers: vec![("x-key".to_owned(), KEY.to_owned())],
        body: format!("{{\"error\": {{\"message\": \"Incorrect API key provided: {KEY}\"}}}}"),
    };
    let script = Script::answering(Answer::Expression)
        .rule(When::prompt("11 +"), complaint(400))
        .rule(When::prompt("12 +").first(1), complaint(500))
        .rule(When::prompt("13 +"), complaint(200))
        .rule(When::prompt("14 +").times(1), complaint(401))
        .rule(When::prompt("15 +").first(1), Reaction::Reset);
    let provider = FakeProvider::start(Script { api_key: Some(KEY.to_owned()), ..script }).await.unwrap();
    let broker = node.url().replace("guest:guest@", &format!("canary:{BROKER}@"));
    let mut world = World::on(broker.clone()).await;
    let store = world.store_url().replace("postgres@", &format!("postgres:{DATABASE}@"));
    let (receiver, taking) = Receiver::start(200).await;
    let refusing = format!("http://127.0.0.1:1/{HOOK}");
    world.place.sums(30, "gate: {rules: [{metric: pass_rate, min: 0.5}]}").write(
        "assay.toml",
        format!(
            "[providers.fake]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key_env = \"CANARY_KEY\"\n\
             [providers.filed]\nkind = \"openai\"\nbase_url = \"{0}\"\napi_key_file = \"key\"\n\
             [webhooks.ops]\nurl = \"{taking}\"\nsecret_env = \"CANARY_SIGNATURE\"\nallow_private = true\n\
             [webhooks.chat]\nurl_env = \"CANARY_HOOK\"\nformat = \"slack\"\nallow_private = true\n",
            provider.base_url()
        ),
    );
    world.place.write("key", KEY);
    let suite = fs::read_to_string(world.place.path().join("suite.yaml")).unwrap();
    world.place.write("suite.yaml", suite.replace("[fake/small]", "[fake/small, filed/small]"));
    let variables = [
        ("CANARY_KEY", KEY),
        ("CANARY_HOOK", &refusing),
        ("CANARY_SIGNATURE", SIGNATURE),
        ("RUST_BACKTRACE", "full"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary-collector-51d0"),
    ];
    let common = ["--store", &store, "--queue", &broker, "--log", "trace", "--listen", "127.0.0.1:0"];
    let worker = world.start_bare(&[&["worker"], &common[..]].concat(), &variables);
    let coordinator = world.coordinator_beside(&[&["coordinator"], &common[..]].concat(), &variables);
    let run = world.submit_sums().await;
    let over = world.finished(run).await;
    assert!(over.errored >= 4 && over.passed >= 50, "{over:?}");
    coordinator.logged("told ops of verdict.").await;
    coordinator.logged("cannot tell chat, trying again").await;
    let id = run.to_string();
    let mut seen = receiver.everything();
    for command in
        [&["status", &id][..], &["status", &id, "--json"], &["results", &id], &["status", "--json"]]
    {
        let ran = world.client(command).await;
        seen += &(ran.stdout + &ran.stderr);
    }
    for process in [&worker, &coordinator] {
        for path in ["/readyz", "/healthz", "/v1/runs"] {
            seen += &process.get(path).await.1;
        }
    }
    let unsent = world.place.assay(&["notify", "list", "--store", &store]).expect(0).stdout;
    assert_says(&unsent, &["chat"]);
    seen += &unsent;
    // What nobody may reach says so without saying how it was asked.
    let wrong = format!("postgres://ann:{DATABASE}@127.0.0.1:1/none");
    seen += &world.place.assay(&["status", "--store", &wrong]).expect(4).stderr;
    // Debug builds alone have points to die at, and panic at the first of them where there is none of that name.
    #[cfg(debug_assertions)]
    {
        let variables = [&variables[..], &[(assay_common::crash::VARIABLE, "nowhere")]].concat();
        let mut panicking = world.start_bare(&[&["worker"], &common[..]].concat(), &variables);
        assert!(!panicking.wait().await.success(), "{}", panicking.log());
        assert_says(&panicking.log(), &["panicked at", "names no point", "stack backtrace"]);
    }
    // Filters of `--log trace` are for our own crates: a driver's would repeat what it sends.
    let (logs, rows, messages) = (world.logs(), world.dump(), contents(&node.data()));
    assert_says(&logs, &["listening on", "called"]);
    assert_says(&rows, &[&id, "Incorrect API key provided: "]);
    assert!(!messages.is_empty());
    let token = world.token().to_owned();
    for canary in [KEY, DATABASE, BROKER, COLLECTOR, HOOK, SIGNATURE, &token] {
        for (place, text) in [("logs", &logs), ("rows", &rows), ("messages", &messages), ("replies", &seen)] {
            let at = text
                .find(canary)
                .map(|at| text[at.saturating_sub(300)..].chars().take(400).collect::<String>());
            assert_eq!(at, None, "{canary} stands in the {place}");
        }
    }
    world.end(vec![worker, coordinator]).await;
    node.ctl(&["delete_user", "canary"]);
}

/// All files beneath a folder, as text.
fn contents(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &contents(&path);
        } else if let Ok(bytes) = fs::read(&path) {
            text += &String::from_utf8_lossy(&bytes);
        }
    }
    text
}
