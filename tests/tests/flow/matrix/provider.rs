//! A provider that is over its limit, refuses the account, hangs, lies, and floods.

use std::time::Duration;

use assay_common::outcome::Outcome;
use assay_tests::assay::{Ran, Workplace};
use assay_tests::fleet::{World, peak_memory_mib};
use assay_tests::oracle::{assert_books, latest, store_of};
use assay_tests::scenes::assert_says;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fake_provider::{Answer, FakeProvider, Reaction, Script, When};
use serde_json::Value;
use tokio::time::sleep;

fn script() -> Script {
    Script::answering(Answer::Expression)
}

/// One pause for the account, whichever of its models met the limit: in it nobody asks but those whose question was on its way. A 429 is no attempt, however many
/// there are.
#[tokio::test(flavor = "multi_thread")]
async fn row_23_a_storm_of_429() {
    const JOBS: u32 = 40;
    const IN_FLIGHT: u64 = 4;
    const STORMS: u64 = 3;
    /// Every one of these is answered with a 429 and `Retry-After: 1`.
    const REFUSED: u64 = IN_FLIGHT * STORMS;
    let late = script()
        .latency(Duration::from_millis(20))
        .rule(When::always().times(REFUSED), Reaction::retry_after(1));
    let provider = FakeProvider::start(late).await.unwrap();
    let place = Workplace::default();
    let limits = format!("in_flight = {IN_FLIGHT}\nrequests_per_minute = 6000");
    place.provider(provider.base_url(), &limits).sums(JOBS / 2, "");
    let suite = std::fs::read_to_string(place.path().join("suite.yaml")).unwrap();
    place.write("suite.yaml", suite.replace("fake/small", "fake/small, fake/large"));
    let report = place.assay(&["run", "suite.yaml", "--json"]).expect(0).json();
    for variant in report["variants"].as_array().unwrap() {
        assert_eq!(variant["passed"], JOBS / 2);
    }
    let bill = provider.bill();
    let refused: Vec<_> =
        bill.entries.iter().filter(|entry| entry.status == Some(429)).map(|entry| entry.at_us).collect();
    assert_eq!(refused.len() as u64, REFUSED);
    // Whatever they were answered.
    let asked: Vec<_> = bill.entries.iter().map(|entry| entry.at_us).collect();
    for first in refused {
        let pause = first..first + 1_000_000;
        let beside = asked.iter().filter(|at_us| pause.contains(at_us)).count() as u64;
        assert!(beside <= 1 + IN_FLIGHT, "{beside} calls in the pause from {first} on: {asked:?}");
    }
    let store = store_of(&place).await;
    let run = latest(&store).await;
    assert_books(&store, run, &[bill], 0).await;
    let results = store.results(run, None, 1_000).await.unwrap();
    assert!(results.iter().all(|result| result.attempts == 1), "a 429 counted as an attempt");
}

/// The pool stands still after a few calls, the status says why and what to do, no job errors. Once there is quota again the
/// fleet goes on by itself; with a key that holds, a worker that has it.
#[tokio::test(flavor = "multi_thread")]
async fn row_24_an_account_without_a_valid_key() {
    const JOBS: u32 = 100;
    let wants_another = Script { api_key: Some("the right one".to_owned()), ..script() };
    let wants_quota = script().rule(When::always(), Reaction::insufficient_quota());
    for refusing in [wants_another, wants_quota] {
        let wants_another = refusing.api_key.is_some();
        let provider = FakeProvider::start(refusing).await.unwrap();
        let mut world = World::new().await;
        let key = "the wrong one";
        world.place.write("key", key).provider(provider.base_url(), "in_flight = 3").sums(JOBS, "");
        let toml = std::fs::read_to_string(world.place.path().join("assay.toml")).unwrap();
        world.place.write(
            "assay.toml",
            toml.replace("[providers.fake]", "[providers.fake]\napi_key_file = \"key\""),
        );
        let coordinator = world.coordinator();
        let mut worker = world.worker();
        let run = world.submit_sums().await;
        world
            .until("somebody is told", async || !world.store.account_problems().await.unwrap().is_empty())
            .await;
        let status = world.client(&["status", &run.to_string()]).await.expect(0).stdout;
        assert_says(&status, &["fake/small needs attention since 2", "help: "]);
        let at_first = world.run(run).await;
        assert_eq!((at_first.errored, at_first.done()), (0, 0), "{status}");
        let calls = provider.bill().totals().calls;
        assert!(calls <= 6, "{calls} calls against a closed door");
        if wants_another {
            world.place.write("key", "the right one");
            worker.terminate();
            assert!(worker.wait().await.success(), "{}", worker.log());
            worker = world.worker();
        } else {
            provider.set_script(script());
        }
        assert_eq!(world.finished(run).await.passed, u64::from(JOBS));
        world.assert_books(run, &provider, 0).await;
        world.end(vec![coordinator, worker]).await;
    }
}

/// Each frees its slot (an answer that drips by the time-out of its call, though something keeps coming), is what it is and no more, is stored without loss, and takes nobody else down. What came as an answer
/// and is none is there again to the byte.
#[tokio::test(flavor = "multi_thread")]
async fn row_26_a_provider_that_hangs_lies_and_floods() {
    const JOBS: u32 = 40;
    /// An answer whose JSON ends in the middle.
    const CUT_SHORT: &str = "{\"choices\": [{\"message\": {\"content\": \"2";
    let cut_short = Reaction::Reply {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: CUT_SHORT.to_owned(),
    };
    let script = script()
        .rule(When::prompt("20 +"), Reaction::Hang)
        .rule(When::prompt("21 +"), Reaction::Stall)
        .rule(When::prompt("22 +"), Reaction::Close)
        .rule(When::prompt("23 +"), cut_short)
        .rule(When::prompt("24 +"), Reaction::Huge(1 << 30))
        .rule(When::prompt("25 +"), Reaction::GzipBomb(64 << 20))
        .rule(When::prompt("26 +"), Reaction::InvalidUtf8)
        .rule(When::prompt("27 +"), Reaction::Cut)
        .rule(When::prompt("28 +"), Reaction::Drip)
        .rule(When::prompt("30 +"), Reaction::Nul)
        .rule(When::prompt("31 +"), Reaction::LoneSurrogate)
        .rule(When::prompt("32 +"), Reaction::AbsurdUsage)
        .rule(When::prompt("33 +"), Reaction::MissingUsage);
    let provider = FakeProvider::start(script).await.unwrap();
    let place = Workplace::default();
    place.sums(JOBS, "").write(
        "assay.toml",
        format!(
            "[providers.fake]\nkind = \"openai\"\nbase_url = \"{}\"\ntimeout = \"1s\"\nlimits = {{ in_flight = 4 }}\n",
            provider.base_url()
        ),
    );
    let mut run = place.start(&["run", "suite.yaml", "--json"]);
    let mut peak_mib = 0;
    while run.try_wait().unwrap().is_none() {
        peak_mib = peak_mib.max(peak_memory_mib(run.id()).unwrap_or_default());
        sleep(Duration::from_millis(20)).await;
    }
    let ran = Ran::from(run.wait_with_output().unwrap()).expect(3);
    assert!(!ran.stderr.contains("panic"), "{}", ran.stderr);
    assert!((1..400).contains(&peak_mib), "{peak_mib} MiB for answers of a gibibyte");
    let lines = place.assay(&["results"]).expect(0).stdout;
    let results: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), JOBS as usize);
    for result in &results {
        let (case, kind) = (result["case"].as_str().unwrap(), &result["error_kind"]);
        match case {
            "c20" | "c21" | "c22" | "c27" | "c28" => assert_eq!(kind, "provider", "{result}"),
            "c23" | "c24" | "c25" | "c26" | "c31" => assert_eq!(kind, "malformed", "{result}"),
            _ => assert!(kind.is_null(), "{result}"),
        }
    }
    let of = |case: &str| results.iter().find(|result| result["case"] == case).unwrap();
    assert_eq!((&of("c23")["output"], &of("c23")["output_base64"]), (&CUT_SHORT.into(), &Value::Null));
    assert_eq!(of("c30")["output"], "a\0b");
    assert_eq!(of("c30")["output_base64"], Value::Null, "text says all of it");
    let body = BASE64_STANDARD.decode(of("c26")["output_base64"].as_str().unwrap()).unwrap();
    assert!(body.windows(4).any(|bytes| bytes == b"\"\xff\xfe\""), "{:?}", String::from_utf8_lossy(&body));
    assert!(of("c26")["output"].as_str().unwrap().contains("\"\u{fffd}\u{fffd}\""), "{}", of("c26"));
    assert!(of("c31")["output"].as_str().unwrap().contains(r#""a\ud800b""#), "{}", of("c31"));
    let store = store_of(&place).await;
    let run = latest(&store).await;
    for result in store.results(run, None, 1_000).await.unwrap() {
        let kept = result.output.is_some();
        let malformed = result.row.outcome == Outcome::Errored(assay_common::outcome::ErrorKind::Malformed);
        assert!(kept || !malformed, "{result:?}");
    }
    let bill = provider.bill();
    let most = bill.totals().most_calls_of_a_job;
    assert!(most <= 3, "{most} calls of one job");
    let lasting = place.assay(&["status", "--json"]).expect(0).json();
    assert_eq!(lasting[0]["run"]["state"], "completed");
}
