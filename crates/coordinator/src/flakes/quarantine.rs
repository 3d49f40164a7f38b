//! Quarantine: whom the baseline's history convicts, and what a verdict would be without them.
//!
//! **Invariant:** a run is judged by what was under quarantine when it was created: nothing that a run shows changes how that run
//! is judged.
//! **Invariant:** the verdict that decides counts every case; the one without them stands beside it.

use std::collections::HashSet;
use std::time::Duration;

use assay_common::verdict::Verdict;
use assay_store::{OutcomeRow, Quarantine, StoreError};
use serde::{Deserialize, Serialize};

use super::ledger::{FlakeClass, Ledger, LedgerLine};
use crate::report::{Again, civil};

/// The longest that a case may be under quarantine.
pub const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// The most of a suite's cases on one model that may be under it, as one of so many.
pub const ONE_OF: u64 = 20;

/// The verdict of a run without its cases under quarantine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Quarantined {
    /// The cases.
    pub cases: Vec<QuarantinedCase>,
    /// What the gate would say without them.
    pub verdict: Verdict,
    /// Whether that is another outcome than with them.
    pub changes_outcome: bool,
}

/// A case under quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedCase {
    /// The case.
    pub case: String,
    /// The model, as tables name it.
    pub model: String,
    /// Why.
    pub reason: String,
    /// Who sees to it.
    pub owner: String,
    /// Until when, in RFC 3339, in UTC.
    pub expires_at: String,
}

/// The line of the ledger that convicts a case on a model: the baseline is flaky on it.
pub fn evidence<'l>(ledger: &'l Ledger, case: &str, model: &str) -> Option<&'l LedgerLine> {
    let convicts = |line: &&LedgerLine| {
        line.baseline && line.class == FlakeClass::Flaky && line.case == case && line.model == model
    };
    ledger.lines.iter().find(convicts)
}

/// What the gate says of a run without the cases that were under quarantine when it was created; `None` where there are none,
/// or no gate. Reads the results once more.
pub(crate) async fn without(
    again: Again<'_>,
    verdict: Option<&Verdict>,
) -> Result<Option<Quarantined>, StoreError> {
    let Some(verdict) = verdict else { return Ok(None) };
    let Again { store, suite, run, .. } = again;
    let mut held = store.quarantines(Some(suite.name.clone())).await?;
    held.retain(|quarantine| quarantine.holds_at(run.created_at));
    if held.is_empty() {
        return Ok(None);
    }
    let models: Vec<_> = (0..suite.models.len()).map(|model| suite.model_label(model)).collect();
    let under: HashSet<_> = held.iter().map(|held| (held.case.as_str(), held.model.as_str())).collect();
    let is_under = |row: &OutcomeRow| {
        let model = &models[suite.variant(row.variant).model];
        under.contains(&(row.case_id.as_str(), model.as_str()))
    };
    let without = again.without(is_under).await?;
    Ok(without.map(|without| Quarantined {
        changes_outcome: without.outcome != verdict.outcome,
        verdict: without,
        cases: held.into_iter().map(shown).collect(),
    }))
}

fn shown(held: Quarantine) -> QuarantinedCase {
    let Quarantine { case, model, reason, owner, expires_at, .. } = held;
    QuarantinedCase { case, model, reason, owner, expires_at: civil(expires_at) }
}
