//! Who is told: a webhook of assay.toml, signed, once for each event, also where it was down meanwhile.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assay_common::clock::Clock;
use assay_common::config::Config;
use assay_coordinator::notify::{keep_telling, tell_these};
use assay_coordinator::release::Desk;
use assay_store::{Schema, Scope, Store};
use assay_tests::api::Api;
use assay_tests::places::on_sqlite;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::post;
use serde_json::{Value, json};

use super::{Team, says};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PROMOTE: [&str; 5] = ["prompt", "promote", "support@1", "--channel", "production"];

/// Somebody who is told, and what he answers.
#[derive(Default)]
pub(crate) struct Receiver {
    status: AtomicU16,
    told: Mutex<Vec<(HeaderMap, Value)>>,
}

impl Receiver {
    /// Listens on a free port of this machine; returns its URL.
    pub(crate) async fn start(status: u16) -> (Arc<Self>, String) {
        let receiver = Arc::new(Self { status: AtomicU16::new(status), ..Self::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/hook", listener.local_addr().unwrap().port());
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    /// All that came, with its headers.
    pub(crate) fn everything(&self) -> String {
        format!("{:?}", self.told.lock().unwrap())
    }

    pub(super) fn kinds(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().map(|(_, body)| body["type"].as_str().unwrap_or("message").to_owned()).collect()
    }

    /// What people were told.
    pub(super) fn texts(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().map(|(_, body)| body["text"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

async fn take(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: String,
) -> axum::response::Response {
    receiver.told.lock().unwrap().push((headers, serde_json::from_str(&body).unwrap()));
    let status = StatusCode::from_u16(receiver.status.load(Ordering::SeqCst)).unwrap();
    (status, [("location", "http://127.0.0.1:1/elsewhere")]).into_response()
}

fn configured(url: &str, more: &str) -> String {
    format!("[webhooks.ops]\nurl = \"{url}\"\nsecret_env = \"HOOK\"\n{more}\n")
}

fn asks(team: &Team, arguments: &[&str]) -> assay_tests::assay::Ran {
    tokio::task::block_in_place(|| {
        let mut command = team.place.command(arguments);
        command.env("ASSAY_ACTOR", "ann").env("HOOK", SECRET).output().unwrap().into()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_once_and_later_where_it_was_down() {
    let (receiver, url) = Receiver::start(200).await;
    let team = Team::new(&[]);
    team.place.write("assay.toml", configured(&url, "allow_private = true"));
    team.suite(1, None, super::ALONE);
    asks(&team, &["run", "suite.yaml"]).expect(0);
    asks(&team, &PROMOTE).expect(0);
    assert_eq!(receiver.kinds(), ["verdict.pass", "release.promotion"]);
    let (headers, body) = receiver.told.lock().unwrap()[1].clone();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert!(header("webhook-id").starts_with("evt_") && header("webhook-signature").starts_with("v1,"));
    assert!(header("webhook-timestamp").parse::<i64>().unwrap() > 1_700_000_000);
    assert_eq!((&body["data"]["prompt"], &body["data"]["by"]), (&json!("support"), &json!("ann")));

    // Down, then answering elsewhere: nothing of the command is held up, and nothing is lost.
    receiver.status.store(503, Ordering::SeqCst);
    let open = ["incident", "open", "support", "--channel", "production", "--reason", "it is rude"];
    says(&asks(&team, &open).expect(0).stderr, &["cannot tell ops, trying again: it answered 503"]);
    receiver.status.store(302, Ordering::SeqCst);
    says(&asks(&team, &["notify", "retry"]).expect(1).stderr, &["302", "redirects are not followed"]);
    let listed = asks(&team, &["notify", "list", "--json"]).expect(0).json();
    assert_eq!((&listed[0]["state"], &listed[0]["kind"]), (&json!("waiting"), &json!("incident.opened")));
    receiver.status.store(204, Ordering::SeqCst);
    asks(&team, &["notify", "retry", "ops"]).expect(0);
    says(&asks(&team, &["notify", "list"]).expect(0).stdout, &["nothing is on its way"]);
    let told = receiver.told.lock().unwrap().clone();
    let ids: Vec<_> = told[2..].iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "one event, three attempts: {ids:?}");
    asks(&team, &["notify", "test"]).expect(0);
    assert_eq!(receiver.kinds().last().unwrap(), "test");
    says(&asks(&team, &["notify", "test", "opps"]).expect(2).stderr, &["no webhook `opps`", "`ops`"]);
}

fn chat(name: &str, url: &str) -> String {
    format!("[webhooks.{name}]\nurl = \"{url}\"\nformat = \"slack\"\nallow_private = true\n")
}

/// Who asks about one webhook hears of that one alone, and nothing that waits for others is sent.
#[tokio::test(flavor = "multi_thread")]
async fn one_webhook_is_tested_by_itself() {
    let (down, down_url) = Receiver::start(503).await;
    let (good, good_url) = Receiver::start(200).await;
    let team = Team::new(&[]);
    team.judges(1, None, 0);
    team.place.write("assay.toml", chat("down", &down_url) + &chat("good", &good_url));
    asks(&team, &PROMOTE).expect(0);
    // The verdict and the release: refused by one, and kept for it.
    let texts = |receiver: &Receiver| receiver.texts().len();
    assert_eq!((texts(&down), texts(&good)), (2, 2));
    says(&asks(&team, &["notify", "test", "good"]).expect(0).stderr, &["good took 1 message"]);
    says(&asks(&team, &["notify", "retry", "good"]).expect(0).stderr, &["there is nothing to tell good"]);
    assert_eq!((texts(&down), texts(&good)), (2, 3));
    let refused = asks(&team, &["notify", "test", "down"]).expect(1).stderr;
    says(&refused, &["down did not take `test` of ", ": it answered 503"]);
    assert_eq!((texts(&down), texts(&good)), (3, 3), "its backlog is left alone");
    let refused = asks(&team, &["notify", "retry", "down"]).expect(1).stderr;
    says(&refused, &["down did not take `release.promotion` of ", "down did not take `verdict.pass` of "]);
    assert_eq!(texts(&good), 3);
}

/// A test that another process has claimed is not said to have been taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_another_process_sends_is_said_to_be_so() {
    let (receiver, url) = Receiver::start(200).await;
    let config = Config::parse(&chat("ops", &url)).unwrap();
    on_sqlite(|place| async move {
        let store = Store::open(&place, Schema::Migrate).await.unwrap();
        let clock = Clock::system();
        let mut desk = Desk::new(&store, clock.clone(), "ann".to_owned(), "here".to_owned(), [1; 32]);
        let tests = desk.test_webhooks(&config, Some("ops")).await.unwrap();
        assert!(store.claim_delivery(&tests[0], clock.now().plus(Duration::from_secs(30))).await.unwrap());
        let told = tell_these(&store, &config, &clock, |_| None, &tests).await.unwrap();
        assert_eq!((told[0].webhook.as_str(), told[0].taken, told[0].elsewhere), ("ops", 0, 1));
        assert_eq!(receiver.texts(), [""; 0]);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_told_nothing() {
    let (receiver, url) = Receiver::start(200).await;
    let team = Team::new(&[]);
    team.judges(1, None, 0);
    // By its name, by its address, and by one in another dress.
    let port = url.trim_start_matches("http://localhost:").to_owned();
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"] {
        team.place.write("assay.toml", configured(&format!("http://{host}:{port}"), ""));
        let refused = asks(&team, &["notify", "test"]).expect(1);
        says(&refused.stderr, &["is no public address", "allow_private"]);
    }
    assert_eq!(receiver.kinds(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_people_mentions_nobody() {
    let (receiver, url) = Receiver::start(200).await;
    let team = Team::new(&[]);
    team.judges(1, None, 0);
    let slack = format!(
        "[webhooks.chat]\nurl = \"{url}\"\nformat = \"slack\"\nallow_private = true\nevents = [\"incident\"]"
    );
    team.place.write("assay.toml", slack);
    asks(&team, &PROMOTE).expect(0);
    assert_eq!(receiver.kinds(), [""; 0], "it wants incidents alone");
    let open = [
        "incident",
        "open",
        "support",
        "--channel",
        "production",
        "--reason",
        "<!channel> see <http://x|here>",
    ];
    asks(&team, &open).expect(0);
    let (headers, body) = receiver.told.lock().unwrap()[0].clone();
    assert!(!headers.contains_key("webhook-signature"));
    says(body["text"].as_str().unwrap(), &["*incident.opened*", "&lt;!channel&gt;", "&lt;http://x|here&gt;"]);
}

/// A slow webhook: the command ends, what it did stands, and the message is still on its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_webhook_holds_nobody_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let team = Team::new(&[]);
    team.judges(1, None, 0);
    team.place.write("assay.toml", configured(&url, "allow_private = true"));
    // It is never accepted, so never answered.
    let promoted = asks(&team, &PROMOTE).expect(0);
    says(&promoted.stdout, &["live on production"]);
    says(&promoted.stderr, &["no answer within 3 s", "kept and tried again: `assay notify list` shows it"]);
    let listed = asks(&team, &["notify", "list", "--json"]).expect(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert!(listed.as_array().unwrap().iter().all(|one| one["state"] == "waiting"), "{listed}");
    // What was tried says what became of it; what there was no time for was not tried.
    let mut tried: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| (&one["attempts"], &one["problem"])).collect();
    tried.sort_by_key(|(attempts, _)| attempts.as_u64());
    assert_eq!(tried, [(&json!(0), &json!(null)), (&json!(1), &json!("no answer within 3 s"))]);
    drop(listener);
}

/// Where somebody goes on telling, a webhook that does not answer holds nothing up but its own messages.
#[tokio::test(flavor = "multi_thread")]
async fn others_are_told_while_a_slow_one_is_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!("http://{}/", listener.local_addr().unwrap());
    let (receiver, good) = Receiver::start(200).await;
    let config = Config::parse(&(chat("slow", &slow) + &chat("good", &good))).unwrap();
    on_sqlite(|place| async move {
        let store = Store::open(&place, Schema::Migrate).await.unwrap();
        let telling = {
            let (store, config) = (store.clone(), config.clone());
            tokio::spawn(async move { keep_telling(&store, &config, &Clock::system(), |_| None).await })
        };
        for n in 1..=3 {
            let mut desk = Desk::new(&store, Clock::system(), "ann".to_owned(), "here".to_owned(), [n; 32]);
            desk.test_webhooks(&config, None).await.unwrap();
            while receiver.kinds().len() < usize::from(n) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        // The first message to the slow one is still on its way.
        let waiting = loop {
            let waiting = store.deliveries(false, 9).await.unwrap();
            if waiting.iter().all(|one| one.webhook == "slow") {
                break waiting;
            }
            // An answer that has come is written down a moment later.
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(waiting.iter().map(|one| one.attempts).sum::<u32>(), 1, "{waiting:?}");
        assert!(waiting.len() == 3 && waiting.iter().all(|one| one.problem.is_none()), "{waiting:?}");
        telling.abort();
        store.close().await;
    })
    .await;
    drop(listener);
}

/// Through a coordinator, a test is addressed by whoever may release, and seen by whoever may read.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_is_asked_to_tell() {
    on_sqlite(|store| async move {
        let api =
            Api::start(&store, "[webhooks.ops]\nurl = \"http://127.0.0.1:1/\"\nsecret_env = \"X\"").await;
        let reader = api.token("reader", &[Scope::Read]).await;
        let ann = api.token("ann", &[Scope::Release]).await;
        let test = "/v1/notifications/test";
        api.post(test, &reader, &json!({})).await.expect(403);
        api.post(test, &ann, &json!({"webhook": "nobody"})).await.expect(404);
        assert_eq!(api.post(test, &ann, &json!({})).await.expect(202).json(), json!({"webhooks": ["ops"]}));
        let retried = api.post("/v1/notifications/retry", &ann, &json!({})).await.expect(202);
        assert_eq!(retried.json(), json!({"deliveries": 1}));
        let listed = api.get("/v1/notifications", &reader).await.expect(200).json();
        assert_eq!(
            (&listed["items"][0]["webhook"], &listed["items"][0]["kind"]),
            (&json!("ops"), &json!("test"))
        );
        let audit = api.store.audit(None, 9).await.unwrap();
        assert_eq!((audit[0].action.as_str(), audit[0].actor.as_str()), ("notify.retry", "ann"));
    })
    .await;
}
