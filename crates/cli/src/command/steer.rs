//! `assay cancel`, `pause`, `resume` and `retry`: a run, with the reason for the record.

use std::io::Write as _;

use assay_coordinator::steer::Action;
use assay_store::StoreUrl;

use crate::args::Steer;
use crate::exit::Exit;
use crate::settings::Settings;
use crate::source::Source;

/// Does it, and says how the run stands.
pub(crate) async fn call(settings: &Settings, action: Action, steer: &Steer) -> Result<Exit, Exit> {
    let Steer { run, reason } = steer;
    let source = Source::open(settings).await?;
    let entry = source.steer(*run, action, reason).await?;
    let mut out = std::io::stdout().lock();
    if settings.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&entry).map_err(std::io::Error::from)?)?;
        return Ok(Exit::Done);
    }
    let (state, done, jobs) = (&entry.run.state, entry.counts.done, entry.run.jobs);
    writeln!(out, "run {run} is {state}: {done} of {jobs} jobs are done")?;
    let goes_on_here = matches!(action, Action::Retry(_) | Action::Resume);
    if goes_on_here && matches!((&source, &settings.store), (Source::Store(_), StoreUrl::Sqlite(_))) {
        writeln!(std::io::stderr(), "the same `assay run SUITE` goes on with it")?;
    }
    Ok(Exit::Done)
}
