//! What a run came to case by case, for each version and model in it.

use std::collections::BTreeMap;

use assay_common::id::Digest;
use assay_common::suite::{Suite, Variant};
use assay_store::CaseTrials;

use crate::verdict::drift::Shares;

/// The clusters of a dataset, by position.
pub(super) type Units = BTreeMap<u64, String>;

/// What a version came to on a model; `None`: it was not asked.
pub(super) fn shares_of(
    suite: &Suite,
    found: &BTreeMap<u32, Shares>,
    prompt: &str,
    digest: &Digest,
    model: usize,
) -> Option<Shares> {
    let prompt = suite.prompts.iter().position(|entry| entry.name == prompt && entry.digest == *digest)?;
    let variant = u32::try_from(suite.variant_index(Variant { prompt, model })).ok()?;
    Some(found.get(&variant).cloned().unwrap_or_default())
}

/// Judged trials by variant and position.
pub(super) fn shares(trials: Vec<CaseTrials>) -> BTreeMap<u32, Shares> {
    let mut shares: BTreeMap<u32, Shares> = BTreeMap::new();
    for case in trials {
        shares.entry(case.variant).or_default().insert(case.position, (case.passed, case.trials));
    }
    shares
}
