//! The shape of a report: what became of a run, for tables, documents and exit codes.

use std::borrow::Cow;

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use assay_common::outcome::ErrorKind;
use assay_common::verdict::{Decision, Verdict};
use assay_store::Run;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::compare::text::PromptChange;
use crate::flakes::Quarantined;
use crate::verdict::VariantReport;

/// What became of a run; serialised it is the contract of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The run itself.
    pub run: RunSummary,
    /// A row for each prompt entry and model.
    pub variants: Vec<VariantReport>,
    /// What the gate says; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What the gate said each time that it was given more, and at the end; empty for a gate that is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What the gate would say without the cases under quarantine; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantined>,
    /// What changed in the prompts against the baseline; for people.
    #[serde(skip)]
    pub changes: Vec<PromptChange>,
    /// Which cases changed sides against the baseline, and how; for people.
    #[serde(skip)]
    pub flips: Vec<NamedFlips>,
    /// Why jobs errored, by kind; for people.
    #[serde(skip)]
    pub errors: Vec<Errors>,
}

/// One judgement of a gate that adds cases and trials while it is inconclusive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Jobs up to then.
    pub jobs: u64,
    /// Cases among them.
    pub cases: u64,
    /// Trials of each case under each variant.
    pub trials: u32,
    /// What it came to.
    pub outcome: Decision,
    /// What it was made of, where it is the last that was whole: the budget or the time ended during what came after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// The jobs that errored in one way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Errors {
    /// The way.
    pub kind: ErrorKind,
    /// How many.
    pub jobs: u64,
    /// The case of the first.
    pub case: String,
    /// What was wrong with it, on one line.
    pub sample: String,
}

/// A candidate against the baseline on one model, in words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedFlips {
    /// The candidate's label.
    pub candidate: String,
    /// The baseline's label.
    pub baseline: String,
    /// The model as tables name it.
    pub model: String,
    /// Cases whose reduced value rose.
    pub improved: u64,
    /// Cases whose reduced value fell.
    pub regressed: u64,
    /// Cases whose reduced value stayed.
    pub unchanged: u64,
    /// The first that fell.
    pub worse: Vec<Excerpt>,
    /// The first that rose; fewer, since they worry nobody.
    pub better: Vec<Excerpt>,
}

/// One case that changed sides, with what was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Excerpt {
    /// The case.
    pub case: String,
    /// Its reduced value under the baseline, in [0, 1].
    pub before: f64,
    /// Its reduced value under the candidate, in [0, 1].
    pub after: f64,
    /// The end of the baseline's answer.
    pub before_output: String,
    /// The end of the candidate's answer.
    pub after_output: String,
}

/// The run in a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its id.
    pub id: RunId,
    /// The suite's name.
    pub suite: String,
    /// The suite revision.
    pub revision: Digest,
    /// running, paused, cancelling, completed or cancelled.
    pub state: Cow<'static, str>,
    /// How many jobs were planned; a gate that draws more when it needs them raises it.
    pub jobs: u64,
    /// RFC 3339, in UTC; null before the first claim.
    pub started_at: Option<String>,
    /// RFC 3339, in UTC; null while it goes on.
    pub finished_at: Option<String>,
    /// Whether the gate decided before every job was done.
    pub stopped_early: bool,
    /// Jobs that were asked, of those planned.
    #[serde(default)]
    pub jobs_used: u64,
    /// Why it was cancelled or stopped early, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RunSummary {
    /// The summary of a row.
    pub fn of(run: &Run) -> Self {
        Self {
            id: run.id,
            suite: run.suite_name.clone(),
            revision: run.revision.clone(),
            state: run.state.word().into(),
            jobs: run.planned,
            started_at: run.started_at.map(civil),
            finished_at: run.finished_at.map(civil),
            stopped_early: run.stopped_early,
            jobs_used: run.passed + run.failed + run.errored,
            reason: run.reason.clone(),
        }
    }
}

/// A moment in RFC 3339, in UTC, to the millisecond.
pub fn civil(moment: Micros) -> String {
    Timestamp::from_microsecond(moment.0).map_or_else(|_| moment.0.to_string(), |time| format!("{time:.3}"))
}
