//! The shape of a review. Moments are RFC 3339, in UTC; lengths of time are in seconds; what is unknown is null.

use assay_common::id::RunId;
use assay_store::ReleaseKind;
use serde::{Deserialize, Serialize};

use super::period::Span;
use super::ranges::RangeEntry;
use super::risks::RiskEntry;
use super::signals::Signals;
use crate::release::document::IncidentDocument;

/// What a week or a month came to, as it stood at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Review {
    /// Which week or month.
    pub period: PeriodEntry,
    /// The signals over it.
    pub signals: Signals,
    /// The signals over the one before.
    pub before: Signals,
    /// What teams take for acceptable, and how that stood at the end.
    pub ranges: Vec<RangeEntry>,
    /// What was released, in its order.
    pub releases: Vec<ReleaseLine>,
    /// What gates said.
    pub verdicts: VerdictMix,
    /// Every prompt of which something was tried.
    pub prompts: Vec<PromptTrend>,
    /// Incidents that were open at some moment of it.
    pub incidents: Vec<IncidentDocument>,
    /// How many of them were opened in it.
    pub incidents_opened: u64,
    /// How many of them were closed in it.
    pub incidents_closed: u64,
    /// Cases whose repeats disagreed within runs, the worst first.
    pub wavering: Vec<WaveringCase>,
    /// What it cost.
    pub spend: Spend,
    /// Risks that were open at its end, the most pressing first.
    pub risks: Vec<RiskEntry>,
}

/// A week or a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodEntry {
    /// week or month.
    pub span: Span,
    /// Its first moment.
    pub from: String,
    /// The first moment after it.
    pub to: String,
    /// The moment it is told of: its end, or where it goes on the moment at which it was asked for.
    pub as_of: String,
}

/// A version put on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseLine {
    /// When.
    pub at: String,
    /// The prompt.
    pub prompt: String,
    /// The version's number.
    pub version: i64,
    /// The channel.
    pub channel: String,
    /// How it came to be live.
    pub kind: ReleaseKind,
    /// Who.
    pub by: String,
    /// Why, where it was said.
    pub reason: Option<String>,
}

/// How many verdicts of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictMix {
    /// pass.
    pub pass: u64,
    /// fail.
    pub fail: u64,
    /// inconclusive.
    pub inconclusive: u64,
}

/// A prompt over a period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptTrend {
    /// The prompt.
    pub prompt: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Its signals.
    pub signals: Signals,
    /// What gates said of it.
    pub verdicts: VerdictMix,
    /// Its pass rates, in the order of the ends of the runs.
    pub points: Vec<TrendPoint>,
}

/// The pass rate of a version on a model in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendPoint {
    /// When the run ended.
    pub at: String,
    /// The run.
    pub run: RunId,
    /// The suite.
    pub suite: String,
    /// The version's number.
    pub version: Option<i64>,
    /// The model, as tables name it.
    pub model: String,
    /// Scored cases.
    pub cases: u64,
    /// Mean over scored cases.
    pub pass_rate: f64,
    /// The interval of the pass rate.
    pub interval: [f64; 2],
}

/// A case whose repeats disagreed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaveringCase {
    /// The case.
    pub case: String,
    /// The prompt.
    pub prompt: String,
    /// The version's number.
    pub version: Option<i64>,
    /// The model, as tables name it.
    pub model: String,
    /// In how many runs they did.
    pub runs: u64,
    /// Repeats in those runs.
    pub trials: u64,
    /// How many passed.
    pub passed: u64,
    /// The chance that two repeats disagree.
    pub flip_rate: f64,
}

/// What runs cost that ended in a period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spend {
    /// US dollars, as far as prices are known.
    pub usd: f64,
    /// Runs.
    pub runs: u64,
    /// Jobs that were answered.
    pub jobs: i64,
    /// Jobs that errored.
    pub errored: i64,
    /// The same for each suite, the dearest first.
    pub suites: Vec<SuiteSpend>,
}

/// What a suite's runs cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteSpend {
    /// The suite.
    pub suite: String,
    /// US dollars, as far as prices are known.
    pub usd: f64,
    /// Runs.
    pub runs: u64,
    /// Jobs that were answered.
    pub jobs: i64,
}
