//! Outcomes: how terminal jobs ended, in pages by ordinal. What verdicts are made of.

use std::collections::BTreeMap;

use assay_common::money::NanoUsd;
use assay_common::outcome::Outcome;
use assay_common::score::{Millionths, NamedScore};
use assay_common::usage::Usage;

use crate::error::StoreError;
use crate::row::{json, usage, whole};

/// How a terminal job ended: what verdicts are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomeRow {
    /// Its place in the run's product.
    pub ordinal: u64,
    /// Its generation.
    pub generation: u32,
    /// Index of its variant.
    pub variant: u32,
    /// Its trial, from 1.
    pub trial: u32,
    /// Its case's place in the dataset.
    pub position: u64,
    /// Its case.
    pub case_id: String,
    /// The case's cluster.
    pub cluster: Option<String>,
    /// The case's tags.
    pub tags: BTreeMap<String, String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The weighted score; `None` for an error or a cancelled job.
    pub score: Option<Millionths>,
    /// Each scorer's finding.
    pub scores: Vec<NamedScore>,
    /// The provider's count of tokens for the call that was scored.
    pub usage: Usage,
    /// What that call cost; `None` where nobody knows.
    pub cost: Option<NanoUsd>,
    /// How long that call took, in microseconds.
    pub latency_us: Option<i64>,
}

/// An [`OutcomeRow`] as a row of columns.
#[derive(sqlx::FromRow)]
pub(crate) struct SlimRow {
    ordinal: i64,
    generation: i64,
    variant: i64,
    trial: i64,
    position: i64,
    outcome: String,
    case_id: String,
    cluster: Option<String>,
    tags: String,
    error_kind: Option<String>,
    score: Option<i64>,
    scores: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cost_nano: Option<i64>,
    latency_us: Option<i64>,
}

impl SlimRow {
    pub(crate) fn into_outcome(self) -> Result<OutcomeRow, StoreError> {
        let outcome = Outcome::from_words(&self.outcome, self.error_kind.as_deref());
        let outcome = outcome.ok_or_else(|| {
            StoreError::Unreadable(format!("jobs.outcome is {} {:?}", self.outcome, self.error_kind))
        })?;
        Ok(OutcomeRow {
            ordinal: whole(self.ordinal, "jobs.ordinal")?,
            generation: whole(self.generation, "jobs.generation")?,
            variant: whole(self.variant, "jobs.variant")?,
            trial: whole(self.trial, "jobs.trial")?,
            position: whole(self.position, "jobs.position")?,
            case_id: self.case_id,
            cluster: self.cluster,
            tags: json(&self.tags, "cases.tags")?,
            outcome,
            score: self.score.map(Millionths),
            scores: self.scores.map_or(Ok(Vec::new()), |scores| json(&scores, "results.scores"))?,
            usage: usage(self.input_tokens, self.output_tokens)?,
            cost: self.cost_nano.map(NanoUsd),
            latency_us: self.latency_us,
        })
    }
}
