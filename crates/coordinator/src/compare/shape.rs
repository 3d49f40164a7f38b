//! The shape of a comparison; serialised it is what `assay compare --json` prints and the API answers.

use serde::{Deserialize, Serialize};

use crate::report::RunSummary;
use crate::verdict::VariantReport;
use crate::verdict::paired::{CostRatio, Difference, SliceDifference};

/// Two sides, and every pair of their variants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// What is compared with.
    pub before: SideReport,
    /// What is compared.
    pub after: SideReport,
    /// Of every interval, in (0, 1).
    pub confidence: f64,
    /// What makes the sides hard to compare, for people.
    pub warnings: Vec<String>,
    /// A variant of each side.
    pub pairs: Vec<PairReport>,
    /// Variants that have no fellow on the other side.
    pub unpaired: Vec<String>,
}

/// One side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SideReport {
    /// What was asked for.
    pub asked: String,
    /// The run that its results come from.
    pub run: RunSummary,
}

/// A variant of each side on the same cases.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PairReport {
    /// The variant before, over all its cases.
    pub before: VariantReport,
    /// The variant after, over all its cases.
    pub after: VariantReport,
    /// What changed in the prompt, as a unified diff; empty where nothing did.
    pub prompt_diff: String,
    /// On the cases of both.
    pub paired: Difference,
    /// Cases whose value rose.
    pub improved: u64,
    /// Cases whose value fell.
    pub regressed: u64,
    /// Cases that errored, have no result, or are not there on one of the sides.
    pub unpaired_cases: u64,
    /// What answers cost; null where no cost is known on both sides.
    pub cost: Option<CostRatio>,
    /// By tag and value.
    pub slices: Vec<SliceDifference>,
    /// Tags with so many values that they name cases.
    pub tags_left_out: Vec<String>,
    /// The first that fell.
    pub worse: Vec<FlippedAnswer>,
    /// The first that rose.
    pub better: Vec<FlippedAnswer>,
}

/// A case whose value changed, with what was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlippedAnswer {
    /// The case.
    pub case: String,
    /// Its value before, in [0, 1].
    pub before: f64,
    /// Its value after, in [0, 1].
    pub after: f64,
    /// The end of an answer before; null where there is none.
    pub before_output: Option<String>,
    /// The end of an answer after; null where there is none.
    pub after_output: Option<String>,
    /// Whether repeats of the case disagree more often than mishaps explain, on either side: then one flip says little.
    pub flaky: bool,
}
