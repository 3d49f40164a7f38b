//! `assay cancel`, `pause` and `resume`: a run of a coordinator, with the reason for the record.

use std::io::Write as _;

use assay_common::id::RunId;

use crate::exit::Exit;
use crate::settings::Settings;

/// Does it, and says how the run stands.
pub(crate) async fn call(settings: &Settings, action: &str, run: RunId, reason: &str) -> Result<Exit, Exit> {
    let entry = settings.client()?.steer(run, action, reason).await?;
    let mut out = std::io::stdout().lock();
    if settings.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&entry).map_err(std::io::Error::from)?)?;
    } else {
        let (state, done, jobs) = (&entry.run.state, entry.counts.done, entry.run.jobs);
        writeln!(out, "run {run} is {state}: {done} of {jobs} jobs are done")?;
    }
    Ok(Exit::Done)
}
