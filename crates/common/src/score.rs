//! What a scorer says of one output.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number in whole millionths: scores, weights, rates and thresholds are sums of these, so they are exact
/// and equal whatever the order and the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millionths(pub i64);

impl Millionths {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(1_000_000);

    /// The nearest millionth; `None` when not finite or beyond ±9·10¹².
    pub fn from_f64(value: f64) -> Option<Self> {
        let scaled = (value * 1e6).round();
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked by the condition")]
        (scaled.abs() < 9e18).then_some(Self(scaled as i64))
    }

    /// 1 when `yes`, else 0.
    pub fn from_bool(yes: bool) -> Self {
        if yes { Self::ONE } else { Self::ZERO }
    }

    /// As a floating-point number, for statistics and documents.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl fmt::Display for Millionths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

/// One scorer's finding on one output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// In [0, 1].
    pub value: Millionths,
    /// Whether this scorer is satisfied.
    pub pass: bool,
    /// Why, for a person.
    pub reason: String,
}

impl Score {
    /// A score of 1 or 0.
    pub fn binary(pass: bool, reason: impl Into<String>) -> Self {
        Self { value: Millionths::from_bool(pass), pass, reason: reason.into() }
    }
}

/// A score as it is kept with a result: which scorer, under which metric, with which weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedScore {
    /// The scorer's type as the suite writes it, `not-` included.
    #[serde(rename = "type")]
    pub scorer: String,
    /// The metric it counts under, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Its weight.
    pub weight: Millionths,
    /// Its finding.
    #[serde(flatten)]
    pub score: Score,
}
