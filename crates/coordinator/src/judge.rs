//! When a run is over, what its gate says becomes rows: the evidence that releases stand on. `assay run` records what it has
//! just reported; in a fleet whoever leads catches up with what is over.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::gate::{Gate, Tier};
use assay_common::id::{Digest, RunId};
use assay_common::suite::Suite;
use assay_store::{CaseTrials, Run, Store, StoreError, Sums, VariantSum, Verdict, Wavering};
use serde::Serialize;

use crate::release::document::VerdictEntry;
use crate::report::{Report, assemble};
use crate::verdict::stats::trials::flip_rate;

/// How long a verdict carries a promotion where its gate does not say.
const DEFAULT_EXPIRY: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Runs that are looked up at a time.
const PAGE: u32 = 20;
/// Wavering cases that are kept of a run.
const WAVERING: usize = 20;

/// Records the verdicts of a report on a run that is over, and what it adds up to. `false`: it was judged before.
pub async fn record(
    store: &Store,
    suite: &Suite,
    run: &Run,
    report: &Report,
    now: Micros,
) -> Result<bool, StoreError> {
    put(store, run, rows(suite, run, report, now), sums(store, suite, run, report).await?).await
}

async fn put(store: &Store, run: &Run, verdicts: Vec<Verdict>, sums: Sums) -> Result<bool, StoreError> {
    // One that is open again has no end to judge.
    let Some(ended) = run.finished_at else { return Ok(false) };
    let count = verdicts.len();
    let recorded = store.record_verdicts(run.id, ended, verdicts, sums).await?;
    if recorded && count > 0 {
        tracing::info!(run.id = %run.id, verdicts = count, "recorded {count} verdicts on run {}", run.id);
    }
    Ok(recorded)
}

/// The verdicts that were recorded of a run.
pub async fn recorded(store: &Store, run: RunId) -> Result<Vec<VerdictEntry>, StoreError> {
    Ok(store.verdicts_of_run(run).await?.iter().map(VerdictEntry::of).collect())
}

/// Judges every run that is over and was not judged; returns how many.
pub async fn catch_up(store: &Store, now: Micros) -> Result<usize, StoreError> {
    let mut judged = 0;
    loop {
        let runs = store.unjudged_runs(PAGE).await?;
        if runs.is_empty() {
            return Ok(judged);
        }
        for run in &runs {
            let (verdicts, sums) = match judged_rows(store, run, now).await {
                // One that nobody can read must not keep the others from being judged.
                Err(StoreError::Unreadable(why)) => {
                    tracing::error!(run.id = %run.id, error = why, "cannot judge run {}, it has no verdict: {why}", run.id);
                    (Vec::new(), Sums::default())
                }
                judged => judged?,
            };
            judged += usize::from(put(store, run, verdicts, sums).await?);
        }
    }
}

/// What the gate of a run says now, and what its results come to.
async fn judged_rows(store: &Store, run: &Run, now: Micros) -> Result<(Vec<Verdict>, Sums), StoreError> {
    let suite = store.suite(run.revision.clone()).await?;
    let suite = suite.ok_or_else(|| {
        StoreError::Unreadable(format!("the store lacks its suite revision {}", run.revision))
    })?;
    let report = assemble(store, &suite, run).await?;
    Ok((rows(&suite, run, &report, now), sums(store, &suite, run, &report).await?))
}

/// What the results of a run come to.
async fn sums(store: &Store, suite: &Suite, run: &Run, report: &Report) -> Result<Sums, StoreError> {
    let variants = report.variants.iter().map(|variant| VariantSum {
        prompt: variant.prompt.clone(),
        version: variant.version,
        digest: variant.digest.clone(),
        model: variant.model_label.clone(),
        cases: variant.cases,
        pass_rate: variant.pass_rate,
        interval: variant.interval,
    });
    let variants: Vec<_> = variants.collect();
    // With one trial of each case there is nothing to disagree.
    let is_repeated = run.planned > suite.dataset.cases * variants.len() as u64;
    let wavering = if is_repeated { wavering(store, suite, run, &variants).await? } else { Vec::new() };
    Ok(Sums { variants, wavering })
}

/// The cases of a run whose repeats disagree most.
async fn wavering(
    store: &Store,
    suite: &Suite,
    run: &Run,
    variants: &[VariantSum],
) -> Result<Vec<Wavering>, StoreError> {
    let mut found = store.trials(run.id).await?;
    found.retain(|case| case.passed > 0 && case.passed < case.trials);
    let rate = |case: &CaseTrials| flip_rate(case.passed, case.trials).unwrap_or(0.0);
    found.sort_by(|a, b| {
        rate(b).total_cmp(&rate(a)).then_with(|| (a.position, a.variant).cmp(&(b.position, b.variant)))
    });
    found.truncate(WAVERING);
    let positions = found.iter().map(|case| case.position).collect();
    let ids: HashMap<_, _> =
        store.case_ids(suite.dataset.digest.clone(), positions).await?.into_iter().collect();
    let named = |case: &CaseTrials| {
        let variant = variants.get(case.variant as usize)?;
        Some(Wavering {
            case: ids.get(&case.position).cloned()?,
            prompt: variant.prompt.clone(),
            version: variant.version,
            model: variant.model.clone(),
            trials: case.trials,
            passed: case.passed,
        })
    };
    Ok(found.iter().filter_map(named).collect())
}

/// One row for each version that was judged; where two entries are one version, the worse.
fn rows(suite: &Suite, run: &Run, report: &Report, now: Micros) -> Vec<Verdict> {
    let (Some(gate), Some(verdict)) = (&suite.gate, &report.verdict) else { return Vec::new() };
    let baseline = suite.baseline().filter(|_| suite.prompts.len() > 1);
    let judge = digest_of(&(&suite.scorers, &suite.threshold, &suite.reduce));
    let expiry = gate.expires_seconds.map_or(DEFAULT_EXPIRY, Duration::from_secs);
    let mut rows: BTreeMap<(String, Digest), Verdict> = BTreeMap::new();
    for evidence in &verdict.versions {
        let Some(entry) = suite.prompts.iter().find(|entry| entry.label == evidence.label) else { continue };
        let row = Verdict {
            run: run.id,
            prompt: entry.name.clone(),
            version: entry.digest.clone(),
            baseline: baseline.map(|index| suite.prompts[index].digest.clone()),
            suite: suite.name.clone(),
            revision: run.revision.clone(),
            gate: digest_of(gate),
            judge: judge.clone(),
            absolute: has_absolute_rule(gate),
            state: evidence.outcome,
            evidence: evidence.clone(),
            created_at: now,
            // What was measured ages from then on, whenever it is written down.
            expires_at: run.finished_at.unwrap_or(now).plus(expiry),
            reopened: false,
        };
        let key = (row.prompt.clone(), row.version.clone());
        match rows.get(&key) {
            Some(known) if known.state >= row.state => {}
            _ => _ = rows.insert(key, row),
        }
    }
    rows.into_values().collect()
}

fn has_absolute_rule(gate: &Gate) -> bool {
    gate.rules.iter().any(|rule| !rule.bound.compares() && rule.tier != Tier::Advisory)
}

/// The digest of a part of a suite, as JSON.
fn digest_of(part: &impl Serialize) -> Digest {
    // The same bytes as in the suite's own digest: string keys and finite numbers only, by type.
    Digest::of(&serde_json::to_vec(part).unwrap_or_default())
}
