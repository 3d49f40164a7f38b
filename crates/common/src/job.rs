//! A job: one (case, variant, trial). What is queued, paid for and scored.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::clock::Micros;
use crate::committed::Committed;
use crate::id::RunId;
use crate::money::NanoUsd;
use crate::outcome::Outcome;
use crate::score::{Millionths, NamedScore};
use crate::usage::Usage;

/// A job's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobKey {
    /// The run it belongs to.
    pub run: RunId,
    /// Its place in the run's product.
    pub ordinal: u64,
    /// 0 at first; a redrive starts the next.
    pub generation: u32,
}

/// All that a message carries: there may be work here. Losing, doubling or purging hints can delay a result,
/// never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hint {
    /// The run.
    pub run: RunId,
    /// The ordinal.
    pub ordinal: u64,
}

/// What the store says to a member that wants a job.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is this member's now.
    Granted(Box<Grant>),
    /// There is nothing to do for this hint; acknowledge it. The store will dispatch the job again if need be.
    Declined(Decline, Committed),
}

/// After so many claims that ended with the death of their member a job is suspected, and granted only to a member that holds
/// nothing else.
pub const SUSPECTED_AFTER: u32 = 2;

/// After so many of them, the last two alone, it was the job. One death alone may be chance: workers are killed for many
/// reasons, and of the neighbours of a dead one there are hundreds.
pub const CONVICTED_AFTER: u32 = SUSPECTED_AFTER + 2;

/// Why a claim was declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decline {
    /// Already terminal.
    Done,
    /// Its run takes no more claims: cancelled, out of budget or finished.
    Ended,
    /// Its run is paused.
    Paused,
    /// It waits until later.
    NotYet,
    /// Another member has it.
    Busy,
    /// It was running when its member died, more often than by chance: it is granted alone, to a member that holds
    /// nothing else.
    Suspect,
    /// No such job.
    Unknown,
}

/// A claim on a job: the right to make its next call.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The job.
    pub key: JobKey,
    /// The fencing token: 1 for the first claim of a generation, one more for each later one.
    pub attempt: u32,
    /// Index of its variant.
    pub variant: u32,
    /// Its trial, from 1.
    pub trial: u32,
    /// The calls of earlier claims of this generation that count against its retries.
    pub tries: Tries,
    /// When it was first claimed.
    pub first_claimed: Micros,
    /// What is asked.
    pub case: Case,
    /// What was answered to an earlier claim that did not live to settle it.
    pub response: Option<Box<Response>>,
}

/// Calls made for a job that brought nothing and count against its retries. A 429, a trouble of the account and what was
/// never sent do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// All of them.
    pub counted: u32,
    /// Those that may have been billed: sent, and no reply came. A claim that ended with its member counts as one.
    pub ambiguous: u32,
    /// Those that were answered with something that is no answer.
    pub malformed: u32,
}

/// An answer that was paid for, kept before it is scored: whatever becomes of the process, nobody pays for it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The model's text.
    pub text: String,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<String>,
    /// The provider's count of tokens.
    pub usage: Usage,
    /// How long the call took, in microseconds; `None` when it was not measured.
    pub latency_us: Option<i64>,
    /// What that call cost; `None` where nobody knows.
    #[serde(default)]
    pub cost: Option<NanoUsd>,
    /// Every call made for the job and not yet in the ledger, in order; the last brought this answer.
    pub calls: Vec<Call>,
}

/// How a held job is given back: finished for good, or to be tried again.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// It has its outcome.
    Finished(Box<Finished>),
    /// It waits in the store and is dispatched again when due.
    Parked(Parked),
}

impl Settlement {
    /// The job, if this ends it.
    pub fn ended(&self) -> Option<JobKey> {
        match self {
            Self::Finished(finished) => Some(finished.key),
            Self::Parked(_) => None,
        }
    }

    /// The job settled.
    pub fn key(&self) -> JobKey {
        match self {
            Self::Finished(finished) => finished.key,
            Self::Parked(parked) => parked.key,
        }
    }
}

/// A job with its outcome: one row of results.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The job.
    pub key: JobKey,
    /// The claim it was done under.
    pub attempt: u32,
    /// Index of its variant.
    pub variant: u32,
    /// How it ended; never `Cancelled`.
    pub outcome: Outcome,
    /// Why it ended in an error, for a person.
    pub error: Option<String>,
    /// The weighted score; `None` for an error.
    pub score: Option<Millionths>,
    /// Each scorer's finding.
    pub scores: Vec<NamedScore>,
    /// The full answer, or what came instead of one.
    pub output: Option<Output>,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<String>,
    /// The provider's count of tokens for the call that was scored.
    pub usage: Usage,
    /// How long that call took, in microseconds; `None` when it was not measured.
    pub latency_us: Option<i64>,
    /// What that call cost; `None` where nobody knows.
    pub cost: Option<NanoUsd>,
    /// Every call made for it and not yet in the ledger, in order.
    pub calls: Vec<Call>,
    /// When it was settled.
    pub finished_at: Micros,
}

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Text that any database holds.
    Text(String),
    /// Bytes that are no valid text, or text with NUL.
    Bytes(Vec<u8>),
}

impl Output {
    /// Text where it can be stored as text, else its bytes.
    pub fn of_text(text: String) -> Self {
        if text.contains('\0') { Self::Bytes(text.into_bytes()) } else { Self::Text(text) }
    }

    /// Text where the bytes are valid UTF-8 without NUL, else the bytes.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::of_text(text),
            Err(invalid) => Self::Bytes(invalid.into_bytes()),
        }
    }
}

/// A job that must wait.
#[derive(Clone, Debug)]
pub struct Parked {
    /// The job.
    pub key: JobKey,
    /// The claim it was held under.
    pub attempt: u32,
    /// The earliest moment of its next claim.
    pub not_before: Micros,
    /// The calls made for it so far that count against its retries.
    pub tries: Tries,
    /// Every call made for it and not yet in the ledger, in order.
    pub calls: Vec<Call>,
}

/// One call to a provider: a line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The claim it was made under. With its place among the calls of that claim it is the call's name, under which
    /// it enters the ledger once, however often it is told of.
    pub attempt: u32,
    /// When the request was sent.
    pub started_at: Micros,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// How it was classed, as a word of delivery.md's table (`answered`, `rate_limited`, `transient`, …).
    pub class: Cow<'static, str>,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// The provider's count of tokens.
    pub usage: Usage,
    /// What it cost; `None` where the price or the usage is unknown.
    pub cost: Option<NanoUsd>,
    /// Whether it was surely billed, surely not, or (`None`) nobody knows.
    pub billed: Option<bool>,
    /// Whether a part of the run's budget was set aside for it that is free again, since it is known what it cost.
    #[serde(default, skip_serializing_if = "is_false")]
    pub frees: bool,
}

/// Money set aside for a call before it is made: a part of its run's budget, and of what its account may cost that day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The job.
    pub key: JobKey,
    /// The claim the call is made under.
    pub attempt: u32,
    /// The call's place among the calls of that claim, from 0.
    pub seq: u32,
    /// The most it may cost.
    pub amount: NanoUsd,
    /// The cap of its account, where that has one.
    pub cap: Option<DayCap>,
}

/// The most that the calls of a provider account may cost in a day of UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCap {
    /// The account.
    pub account: Arc<str>,
    /// The most, as assay.toml says it.
    pub most: NanoUsd,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
