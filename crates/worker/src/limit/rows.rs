//! The rows of the table of observations, each with everything that follows from it: what becomes of the job, what counts
//! against it, and what its account and its pool learn.

use std::sync::Arc;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::config::Limits;
use assay_common::job::Tries;
use assay_common::outcome::ErrorKind;
use tokio::time::Instant;

use super::breaker::{Admission, Evidence};
use super::gate::{Account, Gate};
use crate::provider::observation::{Answer, ErrorBody, Reply, classify};
use crate::retry::{Circumstances, Step, Tally, decide};

/// What follows from a reply that comes again and again to one job.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// What the job does after each of them.
    steps: Vec<&'static str>,
    /// How many count against it, and of these: perhaps billed for nothing, no answer.
    tries: (u32, u32, u32),
    /// What the pool is then: `open`, `paused`, `in trouble`.
    pool: &'static str,
    /// Whether another model of the account may go on.
    others_go_on: bool,
}

/// As many replies as decide everything.
const REPLIES: usize = 3;

fn word(step: Step) -> &'static str {
    match step {
        Step::Score => "scored",
        Step::Again(_) => "again",
        Step::Park(_) => "parked",
        Step::Fail(ErrorKind::Refused) => "refused",
        Step::Fail(ErrorKind::Malformed) => "malformed",
        Step::Fail(ErrorKind::Provider) => "provider",
        Step::Fail(_) => "another error",
    }
}

fn row(reply: &Reply, retry_after: Option<Duration>) -> Row {
    let account = Arc::new(Account::new("a", &Limits::default(), None));
    let gate = Gate::new(Arc::clone(&account), "a/m".into(), None, None);
    let other = Gate::new(account, "a/n".into(), None, None);
    let mut tally = Tally::resumed(Tries::default());
    let class = classify(reply);
    let mut steps = Vec::new();
    for _ in 0..REPLIES {
        gate.learn(&Evidence { class, sent: Instant::now(), retry_after, detail: "" }, Micros(1));
        let circumstances = Circumstances {
            age: Duration::ZERO,
            give_up_after: Duration::from_secs(900),
            pool_succeeds: true,
            streak: gate.streak(),
            retry_after,
            jitter: 0.5,
        };
        let step = decide(class, &mut tally, &circumstances);
        if let (Step::Park(wait), Some(asked)) = (step, retry_after) {
            assert!(wait >= asked, "a Retry-After holds at any length");
        }
        steps.push(word(step));
        if matches!(step, Step::Score | Step::Fail(_)) {
            break;
        }
    }
    let pool = match gate.admission() {
        Admission::Open => "open",
        Admission::Paused(_) => "paused",
        Admission::Troubled(_) | Admission::Probe => "in trouble",
    };
    let Tries { counted, ambiguous, malformed } = tally.tries;
    Row { steps, tries: (counted, ambiguous, malformed), pool, others_go_on: other.has_room() }
}

fn check(reply: Reply, steps: &[&'static str], tries: (u32, u32, u32), pool: &'static str) {
    let others_go_on = pool != "paused";
    let expected = Row { steps: steps.to_vec(), tries, pool, others_go_on };
    assert_eq!(row(&reply, None), expected, "{reply:?}");
}

fn status(status: u16) -> Reply {
    Reply::Status { status, error: ErrorBody::default() }
}

#[tokio::test(start_paused = true)]
async fn nothing_was_sent() {
    check(Reply::Unsent(String::new()), &["again", "again", "parked"], (0, 0, 0), "open");
}

#[tokio::test(start_paused = true)]
async fn sent_and_no_reply() {
    check(Reply::Broken(String::new()), &["again", "again", "provider"], (3, 3, 0), "open");
}

#[tokio::test(start_paused = true)]
async fn failed_for_now() {
    for code in [408, 409, 425, 500, 502, 503, 504, 529] {
        check(status(code), &["parked"; REPLIES], (3, 0, 0), "open");
        row(&status(code), Some(Duration::from_secs(7_200)));
    }
}

#[tokio::test(start_paused = true)]
async fn over_the_rate() {
    check(status(429), &["again", "again", "parked"], (0, 0, 0), "paused");
}

#[tokio::test(start_paused = true)]
async fn the_account_is_in_trouble() {
    let error = ErrorBody { message: String::new(), codes: vec!["insufficient_quota".to_owned()] };
    let quota = Reply::Status { status: 429, error };
    for reply in [quota, status(401), status(402), status(403)] {
        check(reply.clone(), &["again", "again", "parked"], (0, 0, 0), "in trouble");
        row(&reply, Some(Duration::from_secs(7_200)));
    }
}

#[tokio::test(start_paused = true)]
async fn refused_for_good() {
    for code in [400, 404, 413, 422] {
        check(status(code), &["refused"], (0, 0, 0), "open");
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer() {
    let malformed = Reply::Malformed { status: 200, bytes: vec![0xff], problem: String::new() };
    check(malformed, &["again", "malformed"], (2, 0, 2), "open");
}

#[tokio::test(start_paused = true)]
async fn an_outcome() {
    let refusal = Answer { finish_reason: Some("content_filter".to_owned()), ..Answer::default() };
    check(Reply::Answer(refusal), &["scored"], (0, 0, 0), "open");
}
