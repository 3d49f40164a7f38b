//! Cases: rows of a dataset.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A case's variables, in the order of its file.
pub type Vars = serde_json::Map<String, serde_json::Value>;

/// One row of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique in its dataset.
    pub id: String,
    /// Cases that share a source share this; alone by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What slices are cut by: tag name → value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What prompts and expectations refer to.
    pub vars: Vars,
}

impl Case {
    /// The unit of statistics and of the committed order it belongs to: its cluster, else itself.
    pub fn unit(&self) -> &str {
        self.cluster.as_deref().unwrap_or(&self.id)
    }
}

/// What a recorded answer is looked up by, and what it holds: one line of a `recorded` model's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The case answered.
    pub case: String,
    /// The label of the prompt it holds for; all prompts when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The trial it holds for, from 1; all trials when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<u32>,
    /// The answer.
    pub output: String,
    /// What it consumed when it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<crate::usage::Usage>,
    /// How long it took when it was recorded, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}
