//! What a client meets on the wire: each reaction as bytes, and what the bill says of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::io::Read as _;
use std::time::Duration;

use fake_provider::{Answer, Dialect, FakeProvider, Latency, Limits, Price, Reaction, Script, When};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What came back before the connection ended.
struct Got {
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn content(&self) -> Value {
        self.json()["choices"][0]["message"]["content"].clone()
    }
}

/// Sends a request with these header lines and body, and reads until the connection ends.
async fn send(provider: &FakeProvider, line: &str, headers: &str, body: &str) -> std::io::Result<Got> {
    let mut stream = TcpStream::connect(provider.address()).await?;
    let request = format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let body = bytes.split_off(split);
    Ok(Got { head: String::from_utf8(bytes).unwrap(), body })
}

async fn ask(provider: &FakeProvider, prompt: &str) -> std::io::Result<Got> {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": prompt}]}).to_string();
    send(provider, "POST /v1/chat/completions", "x-assay-job: run/3/0/1\r\n", &body).await
}

/// One call to a provider that reacts so to every call.
async fn struck(reaction: Reaction) -> std::io::Result<Got> {
    let provider = FakeProvider::start(Script::default().rule(When::always(), reaction)).await?;
    timeout(Duration::from_secs(30), ask(&provider, "hello")).await.unwrap()
}

#[tokio::test]
async fn a_good_answer_and_its_line_on_the_bill() {
    let price = Price { input_per_mtok: 400_000_000, output_per_mtok: 1 };
    let script = Script { price, ..Script::answering(Answer::Fixed("fo\"ur".to_owned())) };
    let provider = FakeProvider::start(script).await.unwrap();
    let got = ask(&provider, "twelve bytes").await.unwrap();
    assert_eq!((got.status(), got.content()), (200, json!("fo\"ur")));
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    assert_eq!(got.json()["usage"], usage);

    let bill = provider.bill();
    let entry = &bill.entries[0];
    assert_eq!((entry.job.as_deref(), entry.status), (Some("run/3/0/1"), Some(200)));
    assert_eq!(entry.cost_nano_usd, 3 * 400 + 1, "each side is rounded up");
    assert_eq!(bill.calls_per_job(), [(("run".to_owned(), 3, 0), 1)].into());
    let totals = send(&provider, "GET /bill", "", "").await.unwrap().json();
    assert_eq!(totals["calls"], 1);
    assert_eq!(totals["cost_nano_usd"], entry.cost_nano_usd);
    let line = send(&provider, "GET /bill/calls", "", "").await.unwrap().json();
    assert_eq!(line["job"], "run/3/0/1");
}

#[tokio::test]
async fn errors_come_with_their_status_code_and_delay() {
    for code in [400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503, 529] {
        let got = struck(Reaction::status(code)).await.unwrap();
        assert_eq!(got.status(), code);
        assert!(got.json()["error"]["code"].is_string(), "{code}");
        assert_eq!(got.header("retry-after"), None);
    }
    assert_eq!(struck(Reaction::retry_after(7)).await.unwrap().header("retry-after"), Some("7"));
    let quota = struck(Reaction::insufficient_quota()).await.unwrap();
    assert_eq!((quota.status(), &quota.json()["error"]["code"]), (429, &json!("insufficient_quota")));
    let headers = vec![("location".to_owned(), "http://elsewhere/".to_owned())];
    let elsewhere = struck(Reaction::Reply { status: 302, headers, body: "<p>".to_owned() }).await.unwrap();
    assert_eq!((elsewhere.status(), elsewhere.header("location")), (302, Some("http://elsewhere/")));
}

#[tokio::test]
async fn connections_end_as_scripted() {
    let closed = struck(Reaction::Close).await.unwrap();
    assert_eq!((closed.head.as_str(), closed.body.len()), ("", 0));
    let reset = struck(Reaction::Reset).await.map(|got| got.head).unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    let cut = struck(Reaction::Cut).await.unwrap();
    let announced: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert_eq!((cut.status(), cut.body.len()), (200, announced / 2));
}

#[tokio::test]
async fn a_call_without_an_answer_is_billed_and_leaves_when_its_client_does() {
    for reaction in [Reaction::Hang, Reaction::Stall] {
        let provider =
            FakeProvider::start(Script::default().rule(When::always(), reaction.clone())).await.unwrap();
        assert!(timeout(Duration::from_millis(200), ask(&provider, "hello")).await.is_err());
        let totals = provider.bill().totals();
        assert_eq!((totals.calls, totals.in_flight_peak, totals.output_tokens), (1, 1, 2), "{reaction:?}");
        while provider.bill().in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn bodies_are_as_bad_as_scripted() {
    let body = |reaction| async move { struck(reaction).await.unwrap() };
    assert!(serde_json::from_slice::<Value>(&body(Reaction::TruncatedJson).await.body).is_err());
    assert!(String::from_utf8(body(Reaction::InvalidUtf8).await.body).is_err());
    assert_eq!(body(Reaction::Nul).await.content(), "a\0b");
    assert!(serde_json::from_slice::<Value>(&body(Reaction::LoneSurrogate).await.body).is_err());
    assert!(body(Reaction::Huge(100_000)).await.body.len() > 100_000);
    let refusal = body(Reaction::Refusal("no".to_owned())).await;
    assert_eq!(
        (refusal.content(), &refusal.json()["choices"][0]["message"]["refusal"]),
        (Value::Null, &json!("no"))
    );
    let finish = body(Reaction::Finish("length".to_owned())).await;
    assert_eq!(finish.json()["choices"][0]["finish_reason"], "length");
    assert_eq!(body(Reaction::MissingUsage).await.json().get("usage"), None);
    assert_eq!(body(Reaction::AbsurdUsage).await.json()["usage"]["prompt_tokens"], -1);

    let bomb = body(Reaction::GzipBomb(1_000_000)).await;
    assert_eq!(bomb.header("content-encoding"), Some("gzip"));
    assert!(bomb.body.len() < 10_000);
    let mut unzipped = Vec::new();
    flate2::read::GzDecoder::new(&bomb.body[..]).read_to_end(&mut unzipped).unwrap();
    assert!(unzipped.len() > 1_000_000);
}

#[tokio::test]
async fn a_required_key_and_a_readable_request_come_first() {
    let script = Script { api_key: Some("secret".to_owned()), ..Script::default() };
    let provider = FakeProvider::start(script).await.unwrap();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let status = |headers: &'static str, body: String| {
        let provider = &provider;
        async move { send(provider, "POST /v1/chat/completions", headers, &body).await.unwrap().status() }
    };
    assert_eq!(status("", body.clone()).await, 401);
    assert_eq!(status("authorization: Bearer wrong\r\n", body.clone()).await, 401);
    assert_eq!(status("authorization: Bearer secret\r\n", body).await, 200);
    assert_eq!(status("authorization: Bearer secret\r\n", "{}".to_owned()).await, 400);
    let totals = provider.bill().totals();
    assert_eq!((totals.calls, totals.untagged), (4, 4));
    assert_eq!(totals.by_status["401"], 2);
}

#[tokio::test]
async fn another_script_takes_over_and_the_bill_goes_on() {
    let provider = FakeProvider::start(Script::answering(Answer::Expression)).await.unwrap();
    assert_eq!(ask(&provider, "What is 6 * 7?").await.unwrap().content(), "42");
    let script = json!({
        "answer": {"map": {"entries": [["sky", "blue"]], "otherwise": "unknown"}},
        "latency": {"fixed_ms": 60},
    });
    let swapped = send(&provider, "POST /control", "", &script.to_string()).await.unwrap();
    assert_eq!(swapped.status(), 204);
    let before = tokio::time::Instant::now();
    assert_eq!(ask(&provider, "the sky?").await.unwrap().content(), "blue");
    // The provider allows for timers that fire late, so that a call takes 60 ms on average: never less than by that.
    assert!(before.elapsed() >= Duration::from_millis(58));
    assert_eq!(send(&provider, "POST /control", "", "{\"x\": 1}").await.unwrap().status(), 400);
    provider.set_script(Script { latency: Latency::FixedMs(0), ..Script::default() });
    assert_eq!(ask(&provider, "echo").await.unwrap().content(), "echo");
    assert_eq!(provider.bill().entries.len(), 3);
}

#[tokio::test]
async fn who_exceeds_the_limits_is_refused_and_told_when_to_come_back() {
    let limits = Limits { in_flight: Some(1), ..Limits::requests(2) };
    let provider = FakeProvider::start(Script::default().limits(limits.clone())).await.unwrap();
    let first = ask(&provider, "hello").await.unwrap();
    assert_eq!((first.status(), first.header("x-ratelimit-remaining-requests")), (200, Some("1")));
    assert_eq!(ask(&provider, "hello").await.unwrap().status(), 200);
    let third = ask(&provider, "hello").await.unwrap();
    assert_eq!((third.status(), &third.json()["error"]["code"]), (429, &json!("rate_limit_exceeded")));
    assert_eq!(third.header("x-ratelimit-remaining-requests"), Some("0"));
    let retry_after: u64 = third.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry_after), "{retry_after}");

    let quiet = Limits { retry_after: false, headers: Some(Dialect::Anthropic), ..limits };
    provider.set_script(Script::default().limits(quiet));
    let fourth = ask(&provider, "hello").await.unwrap();
    assert_eq!((fourth.status(), fourth.header("retry-after")), (429, None));
    assert_eq!(fourth.header("anthropic-ratelimit-requests-remaining"), Some("0"));
    assert!(fourth.header("anthropic-ratelimit-requests-reset").unwrap().ends_with('Z'));

    let limits = &send(&provider, "GET /bill", "", "").await.unwrap().json()["limits"];
    assert_eq!((&limits["refused"], &limits["window_ms"]), (&json!(2), &json!(60_000)));
    let requests = json!({"limit": 2, "windows": [2], "peak": 2, "refused": 2});
    assert_eq!(limits["used"]["requests"], requests);
    assert_eq!(provider.kept().unwrap().used["in_flight"].peak, 1);
}

#[tokio::test]
async fn who_leaves_frees_his_place() {
    let script = Script::default()
        .limits(Limits { in_flight: Some(1), ..Limits::default() })
        .rule(When::prompt("wait"), Reaction::Hang);
    let provider = FakeProvider::start(script).await.unwrap();
    assert!(timeout(Duration::from_millis(200), ask(&provider, "wait")).await.is_err());
    while ask(&provider, "hello").await.unwrap().status() != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
