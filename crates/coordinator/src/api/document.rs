//! The shapes that go out. The command line reads them back, so that a report from a server is the report of a store.

use assay_common::id::{Digest, RunId};
use assay_common::verdict::Verdict;
use assay_store::Run;
use serde::{Deserialize, Serialize};

use crate::report::{Attempt, Errors, NamedFlips, Report, RunSummary, civil};
use crate::verdict::VariantReport;

/// Some of many things.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// The things.
    pub items: Vec<T>,
    /// What to ask for to get the next page; null on the last one.
    pub next: Option<String>,
}

/// What a submission came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Accepted {
    /// The run.
    pub run: RunId,
    /// The suite revision it executes.
    pub revision: Digest,
    /// Whether this submission made the run; `false`: one before it, under the same key, did.
    pub created: bool,
    /// How many jobs it has.
    pub jobs: u64,
    /// What it may take.
    pub estimate: Estimate,
}

/// What a run may take, as far as that can be told before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Calls without a retry.
    pub calls: u64,
    /// Tokens of all requests, from some rendered cases at four bytes a token.
    pub input_tokens: Option<u64>,
    /// Tokens of all answers where each is as long as it may be; null where a model has no `max_tokens`.
    pub output_tokens: Option<u64>,
    /// What both cost, in US dollars; null where a price or a number above is unknown.
    pub cost_usd: Option<f64>,
}

/// A run in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunEntry {
    /// The run.
    pub run: RunSummary,
    /// How far it is.
    pub counts: Counts,
    /// What it is known to have cost so far, in US dollars.
    pub cost_usd: f64,
    /// When it was submitted, in RFC 3339, in UTC.
    pub created_at: String,
    /// When it is given up, in RFC 3339, in UTC.
    pub deadline_at: String,
}

/// How far a run is, in jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// With an outcome.
    pub done: u64,
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Errored.
    pub errored: u64,
    /// Cancelled before they were asked.
    pub cancelled: u64,
}

/// A run, and of one that is over its report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunDocument {
    /// The run, and how far it is.
    #[serde(flatten)]
    pub entry: RunEntry,
    /// Why nothing moves, where it does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// A row for each prompt entry and model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<VariantReport>,
    /// What the gate says; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What the gate said each time that it was given more, and at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Which cases changed sides against the baseline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flips: Vec<NamedFlips>,
    /// Why jobs errored, by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Errors>,
}

/// Why nothing of a run moves, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// In one word.
    pub kind: ReasonKind,
    /// For a person.
    pub detail: String,
    /// What to do, where anything is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why nothing of a run moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// Somebody paused it.
    Paused,
    /// It is being cancelled.
    Cancelling,
    /// A provider account needs attention.
    Account,
    /// No worker is alive.
    NoWorker,
    /// Every open job waits for its next try.
    Waiting,
    /// Its deadline has passed.
    Deadline,
}

impl ReasonKind {
    /// Whether somebody has to do something before the run moves.
    pub fn needs_attention(self) -> bool {
        matches!(self, Self::Account | Self::NoWorker)
    }
}

impl Counts {
    /// The counts of a row.
    pub fn of(run: &Run) -> Self {
        let Run { passed, failed, errored, cancelled, .. } = *run;
        Self { done: run.done(), passed, failed, errored, cancelled }
    }
}

impl RunEntry {
    /// The entry of a row.
    pub fn of(run: &Run) -> Self {
        Self {
            run: RunSummary::of(run),
            counts: Counts::of(run),
            cost_usd: run.cost.usd(),
            created_at: civil(run.created_at),
            deadline_at: civil(run.deadline_at),
        }
    }
}

impl RunDocument {
    /// Of a run that goes on.
    pub fn open(run: &Run, reasons: Vec<Reason>) -> Self {
        Self {
            entry: RunEntry::of(run),
            reasons,
            variants: Vec::new(),
            verdict: None,
            attempts: Vec::new(),
            flips: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Of a run with its report.
    pub fn reported(run: &Run, report: Report) -> Self {
        let Report { run: _, variants, verdict, attempts, sights: _, flips, errors } = report;
        Self { entry: RunEntry::of(run), reasons: Vec::new(), variants, verdict, attempts, flips, errors }
    }

    /// The report in it.
    pub fn into_report(self) -> Report {
        let Self { entry, variants, verdict, attempts, flips, errors, reasons: _ } = self;
        Report { run: entry.run, variants, verdict, attempts, sights: Vec::new(), flips, errors }
    }
}
