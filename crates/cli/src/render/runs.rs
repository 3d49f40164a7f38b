//! The latest runs, a line each.

use assay_common::visible::visible;
use assay_coordinator::report::civil;
use assay_store::Run;

use super::table;

/// A table of runs.
pub(crate) fn runs(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "no runs yet; start one with `assay run SUITE`\n".to_owned();
    }
    let mut table = table(&["RUN", "SUITE", "STATE", "DONE", "JOBS", "STARTED"], &[3, 4]);
    for run in runs {
        table.add_row([
            run.id.to_string(),
            visible(&run.suite_name).into_owned(),
            run.state.word().to_owned(),
            run.done().to_string(),
            run.planned.to_string(),
            civil(run.started_at.unwrap_or(run.created_at)),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}
