//! Retention: of runs that ended long ago the report stays, and what it was made of goes.

use assay_common::clock::Micros;
use assay_store::{AuditEntry, Run, Store, StoreError};
use serde::Serialize;

use crate::api::document::RunDocument;
use crate::judge::recorded;
use crate::report::assemble;

/// What was removed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Runs that have their report alone now.
    pub runs: u64,
    /// Their jobs, with results and calls.
    pub jobs: u64,
    /// Datasets that no run with results refers to.
    pub datasets: u64,
    /// Their cases.
    pub cases: u64,
    /// Events that were told, or given up; not counted beforehand.
    pub events: u64,
}

/// Removes what runs that ended before a moment were made of. `entry` makes the row of the audit for each of them.
///
/// # Errors
/// The store's, and those of `entry`. What is left goes with the next call.
pub async fn prune<E: From<StoreError>>(
    store: &Store,
    before: Micros,
    mut entry: impl FnMut(&Run) -> Result<AuditEntry, E>,
) -> Result<Pruned, E> {
    let mut pruned = Pruned::default();
    for id in store.old_runs(before).await? {
        let Some(run) = store.run(id).await? else { continue };
        if run.pruned_at.is_none() {
            let entry = entry(&run)?;
            let report = report_of(store, &run).await?;
            if !store.mark_pruned(&run, report, entry).await? {
                continue;
            }
        }
        store.prune_run(id).await?;
        pruned.runs += 1;
        pruned.jobs += run.cursor;
        tracing::info!(run.id = %id, run.jobs = run.cursor, "removed the results of run {id}");
    }
    for (dataset, cases) in store.unused_datasets(before).await? {
        if store.prune_dataset(dataset).await? {
            pruned.datasets += 1;
            pruned.cases += cases;
        }
    }
    pruned.events = store.prune_events(before).await?;
    Ok(pruned)
}

/// What [`prune`] would remove now. Datasets that only these runs refer to are not counted: they are found once the runs
/// are done.
pub async fn prunable(store: &Store, before: Micros) -> Result<Pruned, StoreError> {
    let mut prunable = Pruned::default();
    for id in store.old_runs(before).await? {
        let Some(run) = store.run(id).await? else { continue };
        prunable.runs += 1;
        prunable.jobs += run.cursor;
    }
    for (_, cases) in store.unused_datasets(before).await? {
        prunable.datasets += 1;
        prunable.cases += cases;
    }
    Ok(prunable)
}

/// The report that is kept of a run whose results were removed; `None` of every other run.
pub async fn kept_report(store: &Store, run: &Run) -> Result<Option<RunDocument>, StoreError> {
    if run.pruned_at.is_none() {
        return Ok(None);
    }
    let missing = || StoreError::Unreadable(format!("the report of run {} is missing", run.id));
    let content = store.kept_report(run.id).await?.ok_or_else(missing)?;
    let mut document: RunDocument = serde_json::from_str(&content)
        .map_err(|error| StoreError::Unreadable(format!("reports.content: {error}")))?;
    document.recorded = recorded(store, run.id).await?;
    Ok(Some(document))
}

async fn report_of(store: &Store, run: &Run) -> Result<String, StoreError> {
    let missing = || StoreError::Unreadable(format!("the suite of run {} is missing", run.id));
    let suite = store.suite(run.revision.clone()).await?.ok_or_else(missing)?;
    let document = RunDocument::reported(run, assemble(store, &suite, run).await?);
    serde_json::to_string(&document).map_err(|error| StoreError::Unreadable(error.to_string()))
}
