//! What a comparison goes by, and what a pair of arms comes to.

use serde::{Deserialize, Serialize};

use super::super::stats::Interval;

/// What a comparison goes by.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Of intervals, in (0, 1).
    pub confidence: f64,
    /// Whether a case's value is always 0 or 1, on both sides.
    pub binary: bool,
    /// Whether the unit of statistics is the cluster.
    pub clustered: bool,
    /// How many flipped cases are named each way.
    pub flips: usize,
}

/// What two arms came to on the cases of both.
#[derive(Clone, Debug)]
pub struct Paired {
    /// Over all cases.
    pub difference: Difference,
    /// By tag and value; none where no case has tags.
    pub slices: Vec<SliceDifference>,
    /// Tags with so many values that they name cases.
    pub tags_left_out: Vec<String>,
    /// What answers cost.
    pub cost: Option<CostRatio>,
    /// Cases whose value rose.
    pub improved: u64,
    /// Cases whose value fell.
    pub regressed: u64,
    /// Cases that errored, have no result, or are not there on one of the sides.
    pub unpaired: u64,
    /// The first that rose, in the order of the dataset.
    pub better: Vec<FlippedCase>,
    /// The first that fell, in the order of the dataset.
    pub worse: Vec<FlippedCase>,
}

/// A difference of pass rates on the same cases: after − before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Cases scored under both arms.
    pub cases: u64,
    /// The mean over them before; null without any.
    pub before: Option<f64>,
    /// The mean over them after; null without any.
    pub after: Option<f64>,
    /// after − before; null without any.
    pub difference: Option<f64>,
    /// The two-sided interval of the difference; null where the data have no spread to tell it from.
    pub interval: Option<Interval>,
    /// How often chance alone would make a difference as large, two-sided; null where the data cannot tell.
    pub p: Option<f64>,
    /// The same by the exact test, which is more careful; null where there is none.
    pub p_exact: Option<f64>,
    /// How both were found.
    pub test: Test,
}

/// How an interval and a p-value were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Tango's interval and McNemar's mid-p test, on cases that pass or fail.
    Mcnemar,
    /// Student's t on clusters; a case that is alone is its own.
    StudentT,
}

/// A difference on the cases with one tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceDifference {
    /// The tag.
    pub tag: String,
    /// Its value.
    pub value: String,
    /// What it came to.
    #[serde(flatten)]
    pub difference: Difference,
    /// `p` corrected for having looked at every slice (Benjamini & Hochberg): below 0.1 it deserves a look.
    pub q: Option<f64>,
}

/// What an answer costs after, by what it costs before, on the cases where both are known. Of several trials of a case it is
/// the mean, so that sides which ask a case more often or less can be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostRatio {
    /// How many cases.
    pub cases: u64,
    /// The total over cases after by the total before.
    pub ratio: f64,
    /// Its two-sided interval.
    pub interval: Option<Interval>,
}

/// One case whose value changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlippedCase {
    /// Its place in the dataset of the side after.
    pub position: u64,
    /// Its value before and after, in billionths.
    pub values: [i64; 2],
    /// The job before and the job after to look at: trials that show the change.
    pub ordinals: [Option<u64>; 2],
}
