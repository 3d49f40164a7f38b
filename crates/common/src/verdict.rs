//! A gate's verdict: three values, with the evidence for each rule. These types are the contract of `--json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gate::Tier;

/// What a gate, a version or a rule comes to. Ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The evidence says it holds.
    Pass,
    /// The evidence does not say.
    Inconclusive,
    /// The evidence says it does not hold.
    Fail,
}

impl Decision {
    /// The word in tables and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }
}

/// The verdict on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The worst over versions.
    pub outcome: Decision,
    /// One for each candidate.
    pub versions: Vec<VersionVerdict>,
}

/// The verdict on one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionVerdict {
    /// The prompt's name.
    pub prompt: String,
    /// The entry's label.
    pub label: String,
    /// The version's number in this store.
    pub version: Option<i64>,
    /// The conjunction over models and rules.
    pub outcome: Decision,
    /// One for each rule and model.
    pub rules: Vec<RuleVerdict>,
}

impl VersionVerdict {
    /// What holds up a version that no rule does: nothing that decides has passed it.
    pub fn lack(&self) -> Option<&'static str> {
        let mut deciding = self.rules.iter().filter(|rule| rule.tier != Tier::Advisory);
        let is_told = |rule: &RuleVerdict| rule.tier == Tier::Critical || rule.outcome == Decision::Pass;
        let lacks = self.outcome == Decision::Inconclusive && !deciding.any(is_told);
        lacks.then_some("no critical or supporting rule has passed it")
    }
}

/// The verdict of one rule on one candidate and model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleVerdict {
    /// The rule's name.
    pub name: String,
    /// The metric's name.
    pub metric: String,
    /// `provider/model`.
    pub model: String,
    /// The cases it looked at, by tag; null when it looked at all.
    pub slice: Option<BTreeMap<String, String>>,
    /// critical, supporting or advisory.
    pub tier: Tier,
    /// What it came to.
    pub outcome: Decision,
    /// The measured number, in the metric's unit; a difference or a ratio for comparisons.
    pub observed: Option<f64>,
    /// The number it was held against.
    pub threshold: f64,
    /// The interval around `observed`, where there is one.
    pub interval: Option<[f64; 2]>,
    /// How many units (cases, or clusters) were looked at.
    pub n: u64,
    /// Why, for a person.
    pub reason: String,
    /// The model as tables name it: with what sets it apart where the suite asks it in several ways.
    pub model_label: String,
    /// About how many more units like these would decide; null where it is decided, or nobody can say.
    #[serde(default)]
    pub needed: Option<u64>,
    /// The least drop that a run like this one rules out four times in five when nothing changed; null for rules without a
    /// test of a drop.
    #[serde(default)]
    pub detectable: Option<f64>,
}
