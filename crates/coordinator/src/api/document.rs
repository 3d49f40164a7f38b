//! The shapes that go out. The command line reads them back, so that a report from a server is the report of a store.

use std::borrow::Cow;

use assay_common::id::{Digest, RunId};
use assay_common::money::NanoUsd;
use assay_common::verdict::Verdict;
use assay_store::Run;
use serde::{Deserialize, Serialize};

use crate::compare::text::PromptChange;
use crate::estimate::Estimate;
use crate::flakes::Quarantined;
use crate::reasons::Reason;
use crate::release::document::VerdictEntry;
use crate::report::{Attempt, Errors, NamedFlips, Report, RunSummary, civil};
use crate::verdict::{Sight, VariantReport};

/// Some of many things.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// The things.
    pub items: Vec<T>,
    /// What to ask for to get the next page; null on the last one.
    pub next: Option<String>,
}

impl<T> From<Vec<T>> for Page<T> {
    /// All there are, on one page.
    fn from(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
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
    /// What the rules of its gate on drops can be expected to see.
    #[serde(default)]
    pub sights: Vec<Sight>,
    /// What of the coordinator's assay.toml may not be meant so, as far as this suite is concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A run in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunEntry {
    /// The run.
    pub run: RunSummary,
    /// How far it is.
    pub counts: Counts,
    /// What it is known to have cost so far, in US dollars; null where nothing is known to have cost anything.
    pub cost_usd: Option<f64>,
    /// The most it may cost, in US dollars; null where its suite does not say.
    pub budget_usd: Option<f64>,
    /// Of the budget, what is set aside for calls whose cost is not known yet, in US dollars.
    pub reserved_usd: f64,
    /// Its weight against other runs: interactive, normal or sweep.
    pub priority: Cow<'static, str>,
    /// When it was submitted, in RFC 3339, in UTC.
    pub created_at: String,
    /// When it is given up, in RFC 3339, in UTC.
    pub deadline_at: String,
}

/// How far a run is, in jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Asked and settled: passed, failed or errored.
    pub done: u64,
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Errored.
    pub errored: u64,
    /// Not asked and not to be: of a run that is over, all that are not done.
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
    /// The verdicts as they were recorded: what releases stand on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recorded: Vec<VerdictEntry>,
    /// What the gate would say without the cases under quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantined>,
    /// What changed in the prompts against the baseline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<PromptChange>,
    /// Which cases changed sides against the baseline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flips: Vec<NamedFlips>,
    /// Why jobs errored, by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Errors>,
}

impl Counts {
    /// The counts of a row.
    pub fn of(run: &Run) -> Self {
        let Run { passed, failed, errored, .. } = *run;
        let done = passed + failed + errored;
        // Those that were never expanded have no row that could say so.
        let cancelled = if run.state.is_over() { run.planned.saturating_sub(done) } else { run.cancelled };
        Self { done, passed, failed, errored, cancelled }
    }
}

impl RunEntry {
    /// The entry of a row.
    pub fn of(run: &Run) -> Self {
        Self {
            run: RunSummary::of(run),
            counts: Counts::of(run),
            cost_usd: (run.cost.0 > 0).then(|| run.cost.usd()),
            budget_usd: run.budget.map(NanoUsd::usd),
            reserved_usd: run.reserved.usd(),
            priority: run.priority.word().into(),
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
            recorded: Vec::new(),
            quarantine: None,
            changes: Vec::new(),
            flips: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Of a run with its report.
    pub fn reported(run: &Run, report: Report) -> Self {
        let Report { run: _, variants, verdict, attempts, quarantine, changes, flips, errors } = report;
        Self {
            entry: RunEntry::of(run),
            reasons: Vec::new(),
            variants,
            verdict,
            attempts,
            recorded: Vec::new(),
            quarantine,
            changes,
            flips,
            errors,
        }
    }

    /// The report in it.
    pub fn into_report(self) -> Report {
        let Self {
            entry,
            variants,
            verdict,
            attempts,
            quarantine,
            changes,
            flips,
            errors,
            reasons: _,
            recorded: _,
        } = self;
        Report { run: entry.run, variants, verdict, attempts, quarantine, changes, flips, errors }
    }
}
