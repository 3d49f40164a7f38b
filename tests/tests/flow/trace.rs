//! One trace from submission to record, read back from a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use assay_tests::assay::{Ran, Workplace};
use assay_tests::fleet::World;
use assay_tests::otlp::{Collector, Span};
use fake_provider::{Answer, FakeProvider, Reaction, Script, When};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const KEY: &str = "sk-a-key-that-nobody-may-see";
const IN_PROMPTS: &str = "marker-of-prompts";
const IN_ANSWERS: &str = "marker-of-answers";
const JOBS: usize = 12;

/// A suite of so many questions to the provider `fake`, which needs a key; what is asked and answered bears marks.
fn suite(place: &Workplace, provider: &FakeProvider) {
    let rows: String = (0..JOBS).map(|n| format!("{{\"id\": \"c{n}\", \"n\": {n}}}\n")).collect();
    place
        .write("cases.jsonl", rows)
        .write(
            "assay.toml",
            format!(
                "[providers.fake]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key_env = \"FAKE_API_KEY\"\n",
                provider.base_url()
            ),
        )
        .write(
            "suite.yaml",
            format!(
                "suite: traced\n\
                 prompts:\n  - {{name: ask, text: '{IN_PROMPTS} {{{{ n }}}}'}}\n\
                 models:\n  - {{provider: fake, model: small, temperature: 0.5, max_tokens: 64}}\n\
                 cases:\n  - {{file: cases.jsonl, id: id}}\n\
                 score:\n  - {{type: contains, value: '{IN_ANSWERS}', metric: marked}}\n  - {{type: not-contains, value: x}}\n"
            ),
        );
}

fn script() -> Script {
    Script { api_key: Some(KEY.to_owned()), ..Script::answering(Answer::Fixed(IN_ANSWERS.to_owned())) }
}

async fn ran(mut command: Command) -> Ran {
    spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
}

/// `assay run` on SQLite in this folder, under these variables.
async fn run(place: &Workplace, variables: &[(&str, &str)]) -> Ran {
    let mut command = place.command(&["run", "suite.yaml", "--json", "--patience", "1s"]);
    command.env("FAKE_API_KEY", KEY).envs(variables.iter().copied());
    ran(command).await
}

/// Spans by name: calls are named after their model.
fn by_name(spans: &[Span]) -> BTreeMap<&str, Vec<&Span>> {
    let mut named: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        named.entry(&span.name).or_default().push(span);
    }
    named
}

/// The names of the parents of all spans of a name.
fn parents(spans: &[Span], name: &str) -> BTreeSet<String> {
    let parent = |span: &Span| {
        let parent = spans.iter().find(|other| other.id == span.parent);
        parent.map_or_else(
            || if span.parent.is_empty() { "none" } else { "missing" }.to_owned(),
            |of| of.name.clone(),
        )
    };
    spans.iter().filter(|span| span.name == name).map(parent).collect()
}

/// What holds of the part of a trace that workers make, wherever they are.
#[track_caller]
fn assert_jobs_are_whole(spans: &[Span]) {
    let named = by_name(spans);
    for (name, parent) in [
        ("dispatch", "run"),
        ("claim", "dispatch"),
        ("job", "dispatch"),
        ("chat small", "job"),
        ("keep", "job"),
        ("score", "job"),
        ("record", "dispatch"),
    ] {
        assert_eq!(parents(spans, name), BTreeSet::from([parent.to_owned()]), "{name}");
    }
    let ordinals: BTreeSet<_> =
        named["job"].iter().map(|job| job.get("job.ordinal").as_i64().unwrap()).collect();
    assert_eq!(ordinals, (0..JOBS as i64).collect());
    let jobs: BTreeSet<_> = named["job"].iter().map(|job| job.id.clone()).collect();
    for name in ["claim", "record"] {
        let linked: BTreeSet<_> = named[name].iter().flat_map(|span| span.links.clone()).collect();
        assert!(linked.is_superset(&jobs), "each job is linked from a {name}");
    }
    let calls: BTreeSet<_> = named["chat small"].iter().map(|call| call.id.clone()).collect();
    for score in &named["score"] {
        assert!(calls.contains(&score.links[0]), "a score is linked to its call");
    }
    for job in &named["job"] {
        let last =
            named["record"].iter().filter(|record| record.links.contains(&job.id)).map(|record| record.ended);
        assert!(job.ended >= last.max().unwrap() - 1_000_000_000, "a job lasts until it is recorded");
    }
    let finished = named["job"].iter().filter(|job| job.get("job.outcome") == "passed").count();
    assert_eq!(finished, JOBS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_trace() {
    let provider = FakeProvider::start(script().rule(When::call(3), Reaction::status(503))).await.unwrap();
    let collector = Collector::start().await;
    let place = Workplace::default();
    suite(&place, &provider);
    run(&place, &[(ENDPOINT, &collector.endpoint)]).await.expect(0);
    let spans = collector.spans();
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 1);
    assert!(spans.iter().all(|span| span.service == "assay"));
    let named = by_name(&spans);
    assert_eq!(
        named.keys().copied().collect::<Vec<_>>(),
        ["chat small", "claim", "dispatch", "job", "keep", "record", "run", "score", "submit"]
    );
    assert_eq!(parents(&spans, "submit"), BTreeSet::from(["none".to_owned()]));
    assert_eq!(parents(&spans, "run"), BTreeSet::from(["submit".to_owned()]));
    assert_eq!((named["submit"].len(), named["run"].len()), (1, 1));
    assert_eq!(named["run"][0].get("run.state"), "completed");
    assert_jobs_are_whole(&spans);
    // One call failed; its job was parked, came back, and was a second job span.
    assert_eq!((named["chat small"].len(), named["job"].len()), (JOBS + 1, JOBS + 1));
    assert_eq!(named["job"].iter().filter(|job| job.get("job.outcome") == "parked").count(), 1);

    let (failed, answered): (Vec<&Span>, Vec<&Span>) =
        named["chat small"].iter().partition(|call| call.failed);
    let address = provider.address();
    for call in &named["chat small"] {
        assert_eq!(call.kind, SpanKind::Client);
        let expected = [
            ("gen_ai.operation.name", json!("chat")),
            ("gen_ai.provider.name", json!("fake")),
            ("gen_ai.request.model", json!("small")),
            ("gen_ai.request.temperature", json!(0.5)),
            ("gen_ai.request.max_tokens", json!(64)),
            ("gen_ai.request.top_p", json!(null)),
            ("server.address", json!(address.ip().to_string())),
            ("server.port", json!(address.port())),
        ];
        for (name, value) in expected {
            assert_eq!(call.get(name), value, "{name}");
        }
    }
    for call in answered {
        assert_eq!(call.get("gen_ai.response.finish_reasons"), json!(["stop"]));
        assert!(call.get("gen_ai.usage.input_tokens").as_i64().unwrap() > 0);
        assert!(call.get("gen_ai.usage.output_tokens").as_i64().unwrap() > 0);
        assert_eq!(call.get("error.type"), json!(null));
    }
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].get("error.type"), "503");
    assert_eq!(failed[0].get("http.response.status_code"), 503);

    assert_eq!(named["score"].len(), JOBS);
    for score in &named["score"] {
        let told: Vec<_> =
            score.events.iter().map(|(name, of)| (&**name, &of["gen_ai.evaluation.name"])).collect();
        let (first, second) = (json!("marked"), json!("not-contains"));
        assert_eq!(told, [("gen_ai.evaluation.result", &first), ("gen_ai.evaluation.result", &second)]);
        let (_, first) = &score.events[0];
        assert_eq!(first["gen_ai.evaluation.score.value"], 1.0);
        assert_eq!(first["gen_ai.evaluation.score.label"], "pass");
        assert!(!first.contains_key("gen_ai.evaluation.explanation"));
    }
    for secret in [KEY, IN_PROMPTS, IN_ANSWERS] {
        assert!(!collector.mentions(secret), "{secret}");
    }
}

/// What a scorer says of an answer quotes it, so it is exported on request alone.
#[tokio::test(flavor = "multi_thread")]
async fn explanations_are_exported_on_request() {
    let provider = FakeProvider::start(script()).await.unwrap();
    let collector = Collector::start().await;
    let place = Workplace::default();
    suite(&place, &provider);
    let traces = format!("{}/v1/traces", collector.endpoint);
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*traces),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=nightly"),
    ];
    run(&place, &variables).await.expect(0);
    let spans = collector.spans();
    let score = spans.iter().find(|span| span.name == "score").unwrap();
    let explanation = &score.events[0].1["gen_ai.evaluation.explanation"];
    assert_eq!(explanation, &format!("contains \"{IN_ANSWERS}\""));
    assert_eq!(score.service, "nightly");
    assert!(!collector.mentions(KEY));
}

/// A run that cannot go on, and one that is not to be sampled.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_exported_and_what_is_not_sampled_is_not() {
    let provider = FakeProvider::start(script().rule(When::always(), Reaction::status(401))).await.unwrap();
    let collector = Collector::start().await;
    let place = Workplace::default();
    suite(&place, &provider);
    run(&place, &[(ENDPOINT, &collector.endpoint)]).await.expect(4);
    let spans = collector.spans();
    let named = by_name(&spans);
    assert!(named["chat small"].iter().all(|call| call.failed && call.get("error.type") == "401"));
    assert_eq!(named["run"].len(), 1);
    let before = spans.len();
    // The same run goes on in its trace, which is sampled; a new one is not.
    let off = ("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    provider.set_script(script());
    run(&place, &[(ENDPOINT, &collector.endpoint), off]).await.expect(0);
    let spans = collector.spans();
    assert!(spans.len() > before && spans.iter().all(|span| span.trace == spans[0].trace));
    assert_eq!(by_name(&spans)["run"].len(), 2);
    let before = spans.len();
    run(&place, &[(ENDPOINT, &collector.endpoint), off]).await.expect(0);
    assert_eq!(collector.spans().len(), before);
}

/// A collector that is away, or takes and never answers, changes no result, and is told of once.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_changes_nothing() {
    let provider = FakeProvider::start(script()).await.unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let variants = |ran: &Ran| {
        let mut variants = ran.json()["variants"].clone();
        variants[0].as_object_mut().unwrap().remove("latency_ms");
        variants
    };
    let here = Workplace::default();
    suite(&here, &provider);
    let without = run(&here, &[]).await.expect(0);
    assert_eq!(without.stderr, "");
    let check = async |variables: &[(&str, &str)], warned: &str| {
        let place = Workplace::default();
        suite(&place, &provider);
        let with = run(&place, variables).await.expect(0);
        assert_eq!(variants(&with), variants(&without));
        assert_eq!(with.stderr.lines().filter(|line| line.contains(warned)).count(), 1, "{}", with.stderr);
        assert_eq!(with.stderr.lines().count(), 1, "{}", with.stderr);
    };
    let often = ("OTEL_BSP_SCHEDULE_DELAY", "1");
    check(&[(ENDPOINT, "http://127.0.0.1:1"), often], "takes no spans").await;
    check(&[(ENDPOINT, &silent)], "spans were not exported").await;
    check(&[(ENDPOINT, "no url at all")], "spans are not exported").await;
    let place = Workplace::default();
    suite(&place, &provider);
    let off = run(&place, &[(ENDPOINT, "http://127.0.0.1:1"), ("OTEL_SDK_DISABLED", "true")]).await.expect(0);
    assert_eq!(off.stderr, "");
}

/// Through a coordinator's API, RabbitMQ and PostgreSQL: one trace, in which each process has its part.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_makes_one_trace() {
    let provider = FakeProvider::start(script()).await.unwrap();
    let collector = Collector::start().await;
    let mut world = World::new().await;
    suite(&world.place, &provider);
    let named =
        |service| [(ENDPOINT, &*collector.endpoint), ("OTEL_SERVICE_NAME", service), ("FAKE_API_KEY", KEY)];
    let coordinator = world.coordinator_with(&named("coordinator"));
    let workers = [world.worker_with(&named("worker")), world.worker_with(&named("worker"))];
    world.ready().await;
    let store = world.store_url().to_owned();
    let token = world.place.assay(&["token", "create", "ci", "--scopes", "submit,read", "--store", &store]);
    let token = token.expect(0).stdout.trim().to_owned();
    let mut submit = world.place.command(&["submit", "suite.yaml", "--wait"]);
    submit.envs(named("client")).env("ASSAY_TOKEN", &token);
    submit.env("ASSAY_SERVER", format!("http://{}", coordinator.address().await));
    ran(submit).await.expect(0);
    let [first, second] = workers;
    world.end(vec![coordinator, first, second]).await;

    let spans = collector.spans();
    let submit = spans.iter().find(|span| span.name == "submit").unwrap();
    assert!(submit.parent.is_empty());
    // What polls, and what the probes of others ask, are traces of their own.
    let trace: Vec<Span> = spans.iter().filter(|span| span.trace == submit.trace).cloned().collect();
    let of = |name: &str| trace.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    assert_eq!(parents(&trace, "request"), BTreeSet::from(["submit".to_owned()]));
    let created: Vec<_> =
        of("request").into_iter().filter(|span| span.get("http.route") == "/v1/runs").collect();
    assert_eq!(created.len(), 1);
    assert_eq!(
        (created[0].kind, created[0].get("http.response.status_code")),
        (SpanKind::Server, json!(201))
    );
    assert_eq!(of("run").len(), 1);
    assert_eq!(of("run")[0].parent, created[0].id);
    assert_jobs_are_whole(&trace);
    let services = |name: &str| of(name).iter().map(|span| span.service.clone()).collect::<BTreeSet<_>>();
    for (name, service) in [
        ("submit", "client"),
        ("request", "coordinator"),
        ("run", "coordinator"),
        ("dispatch", "coordinator"),
    ]
    .into_iter()
    .chain(["claim", "job", "chat small", "score", "record"].map(|name| (name, "worker")))
    {
        assert_eq!(services(name), BTreeSet::from([service.to_owned()]), "{name}");
    }
    // Nothing of a job is outside of its trace.
    assert_eq!(spans.iter().filter(|span| span.name == "job").count(), of("job").len());
    for secret in [KEY, &token, IN_PROMPTS, IN_ANSWERS] {
        assert!(!collector.mentions(secret), "{secret}");
    }
}
