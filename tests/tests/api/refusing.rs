//! Bad input: a problem detail with its status, and nothing stored.

use assay_store::{Scope, StoreUrl};
use assay_tests::api::{Answer, Api, lines_of, loaded};
use assay_tests::assay::Workplace;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::CONFIG;

const BOTH: [Scope; 2] = [Scope::Read, Scope::Submit];

/// Whatever is wrong with a request, its answer is a problem detail with a status, a type and words.
pub(super) async fn every_refusal_is_a_problem_with_its_status(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ci", &BOTH).await;
    let run = "/v1/runs/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let check = async |request: reqwest::RequestBuilder, status: u16, part: &str| {
        let answer = Answer::of(request).await.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text);
        assert_eq!(answer.header("x-request-id").len(), 36);
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].as_str().unwrap().starts_with("urn:assay:problem:"), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{part}: {problem}");
        answer
    };
    let get = |path: &str| api.request(Method::GET, path, &token);
    let post = |path: &str| api.request(Method::POST, path, &token);
    check(get("/v2/runs"), 404, "no such route").await;
    check(get("/"), 404, "no such route").await;
    let wrong = check(api.request(Method::DELETE, run, &token), 405, "method").await;
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    check(get(run), 404, "0190a1b2").await;
    check(get(&format!("{run}/results")), 404, "0190a1b2").await;
    check(get("/v1/runs/7"), 400, "\"7\" is not the id of a run").await;
    check(get(&format!("/v1/runs/{}", "9".repeat(5_000))), 400, "is not the id of a run").await;
    check(get("/v1/runs/%00%ff"), 400, "is not the id of a run").await;
    // PostgreSQL knows no such text at all, SQLite no such prompt.
    let nul = get("/v1/prompts/a%00b/versions").send().await.unwrap().status();
    assert!(nul.is_client_error(), "{nul}");
    check(get("/v1/datasets/ABC"), 400, "64 lower-case hex").await;
    check(get("/v1/runs?limit=many"), 400, "query").await;
    check(get("/v1/runs?before=yesterday"), 400, "query").await;
    check(get("/v1/runs?color=red"), 400, "query").await;
    check(get(&format!("/v1/datasets/{}", "0".repeat(64))), 404, "nothing is stored").await;
    check(post(&format!("{run}/cancel")).json(&json!({"reason": "r"})), 404, "0190a1b2").await;
    check(post(&format!("{run}/cancel")).json(&json!({"reason": " "})), 400, "says why").await;
    check(post(&format!("{run}/cancel")).json(&json!({"why": "r"})), 400, "why").await;
    check(post(&format!("{run}/cancel")).body("{}"), 415, "application/json").await;
    check(post(&format!("{run}/cancel")).json(&json!({"reason": "r".repeat(100_000)})), 413, "65536 bytes")
        .await;
    check(post("/v1/runs").json(&json!({})), 400, "Idempotency-Key").await;
    let keyed = || post("/v1/runs").header("Idempotency-Key", "k");
    check(keyed().header("Content-Type", "application/json").body("{\"suite\": {"), 400, "line 1 column 11")
        .await;
    check(keyed().json(&json!({"suite": {"name": "s"}})), 400, "missing field").await;
    check(keyed().json(&json!({"priority": "urgent"})), 400, "unknown variant `urgent`").await;
    check(keyed().header("Content-Type", "text/yaml").body("suite: s"), 415, "application/json").await;
    check(post("/v1/runs").header("Idempotency-Key", "k".repeat(201)).json(&json!({})), 400, "200").await;
    let doubled = "{\"priority\": \"sweep\", \"priority\": \"normal\"}";
    check(keyed().header("Content-Type", "application/json").body(doubled), 400, "`priority` is given twice")
        .await;
    check(keyed().json(&json!([{}, null, {}])), 400, "missing field").await;
    check(
        keyed().header("Idempotency-Key", "l").json(&json!({})),
        400,
        "idempotency-key is there more than once",
    )
    .await;
    check(get("/v1/runs").bearer_auth("another"), 400, "authorization is there more than once").await;
    let upload = || api.request(Method::PUT, &format!("/v1/datasets/{}", "0".repeat(64)), &token);
    check(upload().json(&json!({})), 415, "application/x-ndjson").await;
    // Refused by what its headers say, before any of it is sent.
    let head = format!(
        "PUT /v1/datasets/{} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: 99999999999\r\n\r\n",
        "0".repeat(64)
    );
    let mut stream = TcpStream::connect(api.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64 << 10];
    let read = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(api.store.runs(None, 1).await.unwrap(), []);
    // Away, as far as the API can tell.
    api.store.close().await;
    let away = check(get("/v1/runs"), 503, "the store does not answer").await;
    assert_eq!(away.header("retry-after"), "5");
}

/// A good token does not help a page that has its own name lead here, nor one of another site; and there is no CORS.
pub(super) async fn pages_of_other_sites_are_refused(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ci", &BOTH).await;
    let check = async |method: Method, header: (&str, &str), status: u16, kind: &str| {
        let request = api.request(method, "/v1/runs", &token).header(header.0, header.1);
        let answer = Answer::of(request).await.expect(status);
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")));
        assert_eq!(answer.header("x-request-id").len(), 36);
        if status >= 400 {
            assert_eq!(answer.json()["type"], format!("urn:assay:problem:{kind}"));
        }
    };
    check(Method::GET, ("host", "evil.example"), 421, "unknown-host").await;
    check(Method::POST, ("host", "evil.example:8080"), 421, "unknown-host").await;
    check(Method::OPTIONS, ("origin", "https://evil.example"), 403, "cross-origin").await;
    check(Method::POST, ("origin", "https://evil.example"), 403, "cross-origin").await;
    check(Method::POST, ("origin", "null"), 403, "cross-origin").await;
    check(Method::GET, ("sec-fetch-site", "cross-site"), 403, "cross-origin").await;
    check(Method::GET, ("host", "localhost:8080"), 200, "").await;
    check(Method::GET, ("origin", &api.base), 200, "").await;
    // A form, which a browser sends without asking first, holds no JSON.
    let form = api.request(Method::POST, "/v1/runs", &token).header("Idempotency-Key", "k");
    let form = form.header("Content-Type", "application/x-www-form-urlencoded").body("suite=s");
    Answer::of(form).await.expect(415);
}

/// A line that is wrong is told by its number, for cases and for recorded answers.
pub(super) async fn wrong_lines_are_told_by_number(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ci", &BOTH).await;
    let check = async |kind: &str, lines: &'static [u8], part: &str| {
        let path = format!("/v1/{kind}/{}", "0".repeat(64));
        let problem = api.put(&path, &token, lines).await.expect(422).json();
        assert!(problem["detail"].as_str().unwrap().starts_with(part), "{part}: {problem}");
    };
    let cases = async |lines: &'static [u8], part: &str| check("datasets", lines, part).await;
    cases(b"{\"id\":\"a\",\"vars\":{}}\n\n{oops\n", "line 3: the row does not parse").await;
    cases(
        b"{\"id\":\"a\",\"vars\":{}}\n{\"id\":\"a\",\"vars\":{\"x\":1}}",
        "line 2: the case id is that of line 1",
    )
    .await;
    cases(b"{\"id\":\"a\"}", "line 1: not a case: missing field `vars`").await;
    cases(b"{\"id\":\"a\",\"vars\":{},\"cost\":1}", "line 1: not a case: unknown field `cost`").await;
    cases(b"{\"id\":\"\",\"vars\":{}}", "line 1: the case's id is empty").await;
    cases(b"{\"id\":\"a\\u0000\",\"vars\":{}}", "line 1: a name holds the character NUL").await;
    cases(b"{\"id\":\"a\",\"vars\":{\"x\":\"\\u0000\"}}", "line 1: `x` holds the character NUL").await;
    cases(b"{\"id\":\"a\",\"vars\":{}}\n\xff\xfe\n", "line 2: the row is not UTF-8").await;
    cases(b"[1, 2]", "line 1: ").await;
    cases(
        b"{\"id\":\"a\",\"vars\":{\"x\":1,\"x\":2}}",
        "line 1: the row does not parse: the field `x` is given twice",
    )
    .await;
    cases(b"", "there is no line").await;
    let answers = async |lines: &'static [u8], part: &str| check("recordings", lines, part).await;
    answers(b"{\"case\":\"a\"}", "line 1: a recorded answer lacks `output`").await;
    answers(b"{\"case\":\"a\",\"output\":\"1\",\"trial\":0}", "line 1: `trial` is not a whole number from 1")
        .await;
    answers(
        b"{\"case\":\"a\",\"output\":\"1\"}\n{\"case\":\"a\",\"output\":\"2\"}",
        "line 2: the same case, prompt and trial",
    )
    .await;
}

/// A suite that no loader made is checked as if its author were hostile: every objection at once, each with its place.
pub(super) async fn a_suite_from_elsewhere_is_not_believed(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ci", &BOTH).await;
    let files = Workplace::default();
    files.sums(2, "gate: {rules: [{metric: pass_rate, min: 0.5}]}");
    let loaded = loaded(&files);
    api.upload(&token, &loaded).await;
    let check = async |change: &dyn Fn(&mut Value), place: &str, part: &str| {
        let mut suite = json!(loaded.suite);
        change(&mut suite);
        let problem = api.submit(&token, "k", &suite).await.expect(422).json();
        let told = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .any(|error| error["place"] == place && error["message"].as_str().unwrap().contains(part));
        assert!(told, "{place}: {part}: {problem}");
    };
    check(&|suite| suite["gaet"] = suite["gate"].take(), "suite", "unknown field `gaet`").await;
    check(&|suite| suite["gate"]["rules"][0]["mni"] = json!(1), "suite.gate.rules[0]", "unknown field `mni`")
        .await;
    check(&|suite| suite["scorers"][0]["extrcat"] = json!("last-line"), "suite.scorers[0]", "`extrcat`")
        .await;
    check(&|suite| suite["dataset"]["rows"] = json!(2), "suite.dataset", "unknown field `rows`").await;
    check(&|suite| suite["models"][0]["provider"] = json!("fkae"), "models[0]", "unknown provider `fkae`")
        .await;
    check(&|suite| suite["models"][0]["provider"] = json!("recorded"), "models[0]", "plays back").await;
    check(&|suite| suite["models"][0]["sampling"] = json!({"temperature": 9_000_000}), "models[0]", "range")
        .await;
    check(&|suite| suite["models"] = json!([]), "models", "no model").await;
    check(&|suite| suite["prompts"] = json!([]), "prompts", "no prompt").await;
    check(&|suite| suite["prompts"][0]["body"] = json!({"text": "x"}), "prompts[0]", "digest").await;
    check(&|suite| suite["prompts"][0]["body"] = json!({"text": "{{ x"}), "prompts[0]", "not a template")
        .await;
    check(&|suite| suite["prompts"][0]["body"] = json!({"text": "x\u{0}"}), "prompts[0]", "NUL").await;
    check(&|suite| suite["prompts"][0]["label"] = json!("a\nb"), "prompts[0]", "one line").await;
    check(&|suite| suite["name"] = json!("\u{0}"), "name", "one line").await;
    check(&|suite| suite["description"] = json!("\u{0}"), "description", "NUL").await;
    check(
        &|suite| suite["scorers"] = json!([{"type": "regex", "value": "(", "weight": 1}]),
        "scorers[0]",
        "regular",
    )
    .await;
    check(
        &|suite| {
            suite["scorers"] = json!([
                {"type": "is-json", "value": {"$ref": "file:///etc/passwd"}, "weight": 1}
            ]);
        },
        "scorers[0]",
        "nothing is fetched",
    )
    .await;
    check(&|suite| suite["scorers"][0]["weight"] = json!(-1), "scorers[0]", "weight").await;
    check(&|suite| suite["repeats"] = json!(0), "repeats", "1 to 1000").await;
    check(&|suite| suite["dataset"]["cases"] = json!(u64::MAX), "dataset", "more than").await;
    check(&|suite| suite["dataset"]["cases"] = json!(1), "dataset", "has 2 cases").await;
    check(&|suite| suite["budget"] = json!(5), "models[0]", "a budget needs prices").await;
    check(&|suite| suite["deadline_seconds"] = json!(u64::MAX), "deadline_seconds", "ten years").await;
    check(&|suite| suite["gate"]["confidence"] = json!(1_000_000), "gate.confidence", "below 1").await;
    check(&|suite| suite["gate"]["rules"][0]["bound"] = json!({"max_drop": 1}), "gate.rules[0]", "baseline")
        .await;
    check(&|suite| suite["gate"]["rules"][0]["metric"] = json!({"named": "x"}), "gate.rules[0]", "no scorer")
        .await;
    assert_eq!(api.store.runs(None, 1).await.unwrap(), []);
    api.submit(&token, "k", &json!(loaded.suite)).await.expect(201);
}

/// Names that mean something to a browser, a shell or a database are data: they come back as they went in.
pub(super) async fn hostile_names_stay_data(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("'; DROP TABLE runs; --<script>", &BOTH).await;
    let name = "<img src=x onerror=alert(1)>'\";--%s${IFS}`id`";
    let files = Workplace::default();
    files
        .sums(0, "")
        .write("cases.jsonl", format!("{}\n", json!({"id": name, "a": name, "sum": "</script>"})))
        .write(
            "suite.yaml",
            std::fs::read_to_string(files.path().join("suite.yaml"))
                .unwrap()
                .replace("suite: sums", &format!("suite: {}", json!(name)))
                .replace("name: sum", &format!("name: {}", json!(name))),
        );
    let loaded = loaded(&files);
    let outgoing = loaded.outgoing();
    let digest = outgoing[0].digest.clone();
    api.put(&format!("/v1/datasets/{digest}"), &token, lines_of(&outgoing[0]).await).await.expect(201);
    let run = api.submit(&token, name, &json!(loaded.suite)).await.expect(201).json()["run"].clone();
    let shown = api.get(&format!("/v1/runs/{}", run.as_str().unwrap()), &token).await.expect(200);
    assert_eq!(shown.header("content-type"), "application/json");
    assert_eq!(
        (shown.header("x-content-type-options"), shown.header("cache-control")),
        ("nosniff", "no-store")
    );
    assert_eq!(shown.json()["run"]["suite"], name);
    assert_eq!(api.store.units(digest, 0, 10).await.unwrap(), [name]);
    assert_eq!(api.get("/v1/runs", &token).await.expect(200).json()["items"][0]["run"]["suite"], name);
}

/// Uploads that hardly come keep others waiting for a moment, after which those are told to come back.
pub(super) async fn slow_uploads_hang_nobody(place: StoreUrl) {
    let api = Api::start(&place, CONFIG).await;
    let token = api.token("ci", &BOTH).await;
    let path = format!("/v1/datasets/{}", "0".repeat(64));
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(api.base.trim_start_matches("http://")).await.unwrap();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/x-ndjson\r\nContent-Length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let put = async || api.put(&path, &token, "{\"id\": \"1\", \"vars\": {}}\n").await;
    // Until all four have their turns, another has one as well, and brings something with another digest.
    let mut answer = put().await;
    while answer.status == 422 {
        answer = put().await;
    }
    let answer = answer.expect(503);
    assert_eq!(answer.json()["type"], "urn:assay:problem:busy");
    assert_eq!(answer.header("retry-after"), "5");
    drop(slow);
    let mut answer = put().await;
    while answer.status == 503 {
        answer = put().await;
    }
    answer.expect(422);
}
