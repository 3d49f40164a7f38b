//! The client against a small server on loopback that answers with the bytes it is given.

use std::io::Write as _;
use std::sync::Arc;

use assay_common::case::{Case, Vars};
use assay_common::config::{Config, Span};
use assay_common::id::RunId;
use assay_common::job::JobKey;
use assay_common::model::{Model, Sampling};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::keys::Keys;
use crate::provider::Prompt;
use crate::provider::observation::{Class, classify};

const KEY: &str = "sk-canary-0123456789";

/// What the server does with each request after reading it.
#[derive(Clone)]
enum Act {
    /// Writes these bytes and closes.
    Reply(Arc<Vec<u8>>),
    /// Says nothing for ever.
    Hang,
}

fn http(status: &str, headers: &str, body: &[u8]) -> Act {
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    Act::Reply(Arc::new([head.as_bytes(), body].concat()))
}

fn raw(bytes: &str) -> Act {
    Act::Reply(Arc::new(bytes.as_bytes().to_vec()))
}

/// Asks a server that acts so; returns what was observed and the request as the server read it.
async fn ask(act: Act, timeout: Duration) -> (Observation, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 16 * 1024];
        let mut read = 0;
        while !request[..read].ends_with(b"}") {
            read += stream.read(&mut request[read..]).await.unwrap();
        }
        match act {
            Act::Reply(bytes) => {
                // The client may have heard enough before the end.
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
            Act::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
        }
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let observation = ask_at(&format!("http://{address}/v1/"), timeout).await;
    let request = match observation.reply {
        Reply::Broken(_) if server.is_finished() => server.await.unwrap(),
        Reply::Broken(_) => {
            server.abort();
            String::new()
        }
        _ => server.await.unwrap(),
    };
    (observation, request)
}

async fn ask_at(base_url: &str, timeout: Duration) -> Observation {
    crate::install_tls();
    let toml = format!("[providers.p]\nkind = \"openai\"\nbase_url = \"{base_url}\"\napi_key_file = \"KEY\"");
    let mut settings = Config::parse(&toml).unwrap().provider("p").unwrap();
    settings.timeout = Some(Span(timeout));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    let config = Config::parse(&toml.replace("KEY", file.to_str().unwrap())).unwrap();
    let keys = Keys::resolve(&config, ["p"]).unwrap();
    let openai = OpenAi::new(&settings, keys.of("p"), 4, Clock::system(), &Wire::Network).unwrap();
    let model =
        Model { provider: "p".into(), model: "m".into(), sampling: Sampling::default(), recording: None };
    let case = Case { id: "c".into(), cluster: None, tags: Default::default(), vars: Vars::new() };
    let question = Question {
        key: JobKey { run: RunId::new(Default::default()), ordinal: 7, generation: 1 },
        attempt: 3,
        model: &model,
        prompt: &Prompt::Text("Hi".into()),
        case: &case,
        prompt_label: "l",
        trial: 1,
    };
    openai.ask(&question).await
}

async fn check(act: Act, class: Class, detail: &str) -> Observation {
    let (observation, _) = ask(act, Duration::from_secs(10)).await;
    assert_eq!(classify(&observation.reply), class, "{:?}", observation.reply);
    assert!(observation.reply.detail().contains(detail), "{:?}", observation.reply);
    assert!(!format!("{observation:?}").contains("canary"), "{observation:?}");
    observation
}

fn answer_with(text: &str) -> Vec<u8> {
    format!(r#"{{"choices": [{{"message": {{"content": "{text}"}}}}]}}"#).into_bytes()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_call_names_its_job_and_carries_the_key() {
    let (observation, request) = ask(http("200 OK", "", &answer_with("A")), Duration::from_secs(10)).await;
    assert!(matches!(&observation.reply, Reply::Answer(answer) if answer.text == "A"), "{observation:?}");
    let request = request.to_lowercase();
    assert!(request.starts_with("post /v1/chat/completions http/1.1\r\n"), "{request}");
    assert!(request.contains("x-assay-job: 00000000-0000-0000-0000-000000000000/7/1/3\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: bearer {KEY}\r\n")), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
}

#[tokio::test]
async fn each_way_to_fail_has_its_class() {
    let echo = format!(r#"{{"error": {{"message": "no such key {KEY}", "code": "invalid_api_key"}}}}"#);
    check(http("401 Unauthorized", "", echo.as_bytes()), Class::Account("unauthorized"), "no such key [key]")
        .await;
    check(http("400 Bad Request", "", b"{\"error\": \"too long\"}"), Class::Refused, "status 400: too long")
        .await;
    check(http("503 Busy", "", b""), Class::Transient, "status 503").await;
    check(http("307 Moved", "location: http://127.0.0.1:1/\r\n", b""), Class::Refused, "status 307").await;
    let limited = check(http("429 Slow", "retry-after: 7\r\n", b""), Class::RateLimited, "429").await;
    assert_eq!(limited.retry_after, Some(Duration::from_secs(7)));
    let date =
        "date: Sat, 31 Jan 2026 09:30:00 GMT\r\nanthropic-ratelimit-requests-reset: 2026-01-31T09:30:09Z\r\n";
    let metered = check(http("200 OK", date, &answer_with("A")), Class::Answered, "").await;
    assert_eq!(metered.meters.requests.whole_in, Some(Duration::from_secs(9)), "by the server's own clock");
    check(raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\""), Class::Ambiguous, "broke off")
        .await;
    check(raw(""), Class::Ambiguous, "broke off").await;
    check(raw("nonsense\r\n\r\n"), Class::Ambiguous, "broke off").await;
}

#[tokio::test]
async fn what_is_no_answer_keeps_its_bytes() {
    let kept = |observation: Observation| match observation.reply {
        Reply::Malformed { bytes, .. } => bytes,
        other => panic!("{other:?}"),
    };
    let cut = check(http("200 OK", "", b"{\"choices\": ["), Class::Malformed, "EOF").await;
    assert_eq!(kept(cut), b"{\"choices\": [");
    let invalid = check(http("200 OK", "", b"\xff\xfe\x00"), Class::Malformed, "expected").await;
    assert_eq!(kept(invalid), b"\xff\xfe\x00");
    let with_key =
        check(http("200 OK", "", format!("you sent {KEY}").as_bytes()), Class::Malformed, "").await;
    assert_eq!(kept(with_key), b"you sent [key]");
    let garbled = http("200 OK", "content-encoding: gzip\r\n", b"this is no gzip stream at all");
    check(garbled, Class::Malformed, "").await;
}

#[tokio::test]
async fn bodies_are_counted_after_decompression() {
    let whole = gzip(&answer_with("zipped"));
    check(http("200 OK", "content-encoding: gzip\r\n", &whole), Class::Answered, "").await;
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    assert!(bomb.len() < MAX_BODY_BYTES);
    let observation =
        check(http("200 OK", "content-encoding: gzip\r\n", &bomb), Class::Malformed, "longer than").await;
    assert!(
        matches!(observation.reply, Reply::Malformed { bytes, .. } if bytes.len() == KEPT_OF_TOO_LONG_BYTES)
    );
}

#[tokio::test]
async fn silence_ends_and_nobody_there_is_nothing_sent() {
    let (observation, _) = ask(Act::Hang, Duration::from_millis(200)).await;
    assert_eq!(observation.reply, Reply::Broken("no reply in time".into()));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let observation = ask_at(&format!("http://{address}"), Duration::from_secs(10)).await;
    assert_eq!(classify(&observation.reply), Class::Unsent, "{:?}", observation.reply);
}

#[test]
fn a_base_url_is_a_server() {
    let check = |base_url: &str, expected: Option<&str>| {
        assert_eq!(endpoint(base_url).ok().map(String::from).as_deref(), expected);
    };
    check("https://api.example.com/v1", Some("https://api.example.com/v1/chat/completions"));
    check("http://localhost:8080/", Some("http://localhost:8080/chat/completions"));
    check("ftp://example.com", None);
    check("example.com/v1", None);
    check("", None);
}
