//! `assay prune`: retention by hand or from a timer. What old runs came to stays, what that was made of goes.

use std::io::Write as _;
use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_coordinator::prune::{prunable, prune};
use assay_store::{FileLock, Run, Schema, Store};
use serde_json::json;

use crate::audit::entry;
use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;

/// Removes, or says what would be removed.
pub(crate) async fn call(settings: &Settings, older_than: Duration, dry_run: bool) -> Result<Exit, Exit> {
    let age = i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX);
    let before = Micros(Clock::system().now().0.saturating_sub(age));
    let store = Store::open(&settings.store, Schema::Require).await?;
    // Whoever runs on a file has it to himself; looking disturbs nobody.
    let _lock = if dry_run { None } else { FileLock::take(&settings.store)? };
    let pruned = if dry_run {
        prunable(&store, before).await?
    } else {
        let because = |run: &Run| entry("run.prune", &run.id.to_string(), json!({"jobs": run.cursor}));
        prune(&store, before, because).await?
    };
    let mut out = std::io::stdout().lock();
    if settings.json {
        writeln!(out, "{}", render::json(&pruned)?)?;
    } else {
        let (removed, more) =
            if dry_run { ("would remove", ", and datasets of these runs alone") } else { ("removed", "") };
        writeln!(
            out,
            "{removed} the results, calls and jobs of {} runs ({} jobs) and {} datasets ({} cases){more}; reports and prompt \
             versions stay",
            pruned.runs, pruned.jobs, pruned.datasets, pruned.cases
        )?;
    }
    Ok(Exit::Done)
}
