//! What a suite demands before a prompt version may ship.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::score::Millionths;

/// A suite's `gate:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Confidence of intervals and tests, in (0, 1).
    pub confidence: Millionths,
    /// Decide as soon as the evidence allows.
    pub stop_early: bool,
    /// More errored jobs than this share: inconclusive, whatever the scores say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_error_rate: Option<Millionths>,
    /// Fewer scored cases than this: inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_cases: Option<u64>,
    /// While it is inconclusive, further cases of the dataset are drawn, up to so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cases: Option<u64>,
    /// While it is inconclusive and there are no further cases, further rounds of trials are added, up to so many trials
    /// of each case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_repeats: Option<u32>,
    /// How long a passing verdict may be used for a promotion, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_seconds: Option<u64>,
    /// The channel where the baseline would be live, and nothing is: rules that compare are inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing_live: Option<String>,
    /// Each is judged by itself; the gate passes when all that decide pass.
    pub rules: Vec<Rule>,
}

impl Gate {
    /// Whether an inconclusive run goes on with more cases or trials.
    pub fn tops_up(&self) -> bool {
        self.max_cases.is_some() || self.max_repeats.is_some()
    }

    /// Whether it looks at results more than once, so that only evidence which allows that may decide.
    pub fn looks_again(&self) -> bool {
        self.stop_early || self.tops_up()
    }
}

/// One demand of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What people call it; by default made of metric, bound and slice.
    pub name: String,
    /// What is measured.
    pub metric: Metric,
    /// The cases it looks at: every tag named has this value. All cases when empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slice: BTreeMap<String, String>,
    /// What it demands.
    pub bound: Bound,
    /// How much it weighs.
    pub tier: Tier,
    /// What its number is an estimate of.
    pub estimand: Estimand,
}

/// What a rule measures.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean over scored cases of the reduced value.
    PassRate,
    /// Mean over scored trials of the weighted score.
    MeanScore,
    /// Mean over scored trials of the scores named so.
    Named(String),
    /// A quantile of measured latency in milliseconds; the number is a percentage in 1..=99.
    Latency(u8),
    /// Mean cost of a case in US dollars.
    CostPerCase,
}

impl Metric {
    /// Metrics with a fixed name, for hints. Every other name is that of a scorer's `metric`.
    pub const FIXED: [&'static str; 6] = [
        "pass_rate",
        "mean_score",
        "latency_p50_ms",
        "latency_p95_ms",
        "latency_p99_ms",
        "cost_per_case_usd",
    ];

    /// Reads a rule's `metric:`. Any other name is that of a scorer's metric.
    pub fn parse(text: &str) -> Self {
        match text {
            "pass_rate" => Self::PassRate,
            "mean_score" => Self::MeanScore,
            "cost_per_case_usd" => Self::CostPerCase,
            _ => text
                .strip_prefix("latency_p")
                .and_then(|rest| rest.strip_suffix("_ms"))
                .and_then(|percent| percent.parse().ok())
                .filter(|percent| (1..=99).contains(percent))
                .map_or_else(|| Self::Named(text.to_owned()), Self::Latency),
        }
    }

    /// Whether more of it is better.
    pub fn higher_is_better(&self) -> bool {
        matches!(self, Self::PassRate | Self::MeanScore | Self::Named(_))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PassRate => f.write_str("pass_rate"),
            Self::MeanScore => f.write_str("mean_score"),
            Self::Named(name) => f.write_str(name),
            Self::Latency(percent) => write!(f, "latency_p{percent}_ms"),
            Self::CostPerCase => f.write_str("cost_per_case_usd"),
        }
    }
}

/// An amount in billionths of its metric's unit (a rate, milliseconds, dollars).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub i64);

impl Amount {
    /// The nearest billionth; `None` when not finite or beyond ±9·10⁹.
    pub fn from_f64(value: f64) -> Option<Self> {
        let scaled = (value * 1e9).round();
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked by the condition")]
        (scaled.abs() < 9e18).then_some(Self(scaled as i64))
    }

    /// As a floating-point number.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// What a rule demands of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// At least this.
    Min(Amount),
    /// At most this.
    Max(Amount),
    /// At most this much below the baseline, paired by case.
    MaxDrop(Amount),
    /// At most this share above the baseline.
    MaxIncrease(Amount),
}

impl Bound {
    /// Whether it needs a baseline.
    pub fn compares(&self) -> bool {
        matches!(self, Self::MaxDrop(_) | Self::MaxIncrease(_))
    }

    /// The key a suite writes it under.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Min(_) => "min",
            Self::Max(_) => "max",
            Self::MaxDrop(_) => "max_drop",
            Self::MaxIncrease(_) => "max_increase",
        }
    }

    /// The number it holds.
    pub fn amount(&self) -> Amount {
        match self {
            Self::Min(amount) | Self::Max(amount) | Self::MaxDrop(amount) | Self::MaxIncrease(amount) => {
                *amount
            }
        }
    }
}

/// How much a rule weighs in the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Must pass.
    #[default]
    Critical,
    /// Must not fail; may be inconclusive.
    Supporting,
    /// Shown, never decides.
    Advisory,
}

/// What a rule's number is an estimate of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimand {
    /// This suite's own rate.
    Suite,
    /// The expected value over the process that made the cases and the model's own randomness.
    Population,
}
