//! `assay quarantine`: cases known to waver.

use std::io::Write as _;

use assay_coordinator::flakes::desk::{QuarantineAsked, QuarantineNamed};

use crate::args::QuarantineCommand;
use crate::exit::Exit;
use crate::releases::Releases;
use crate::render;
use crate::settings::Settings;

/// Adds, lists or removes.
pub(crate) async fn call(settings: &Settings, command: QuarantineCommand) -> Result<Exit, Exit> {
    let releases = Releases::open(settings).await?;
    // Nobody is left to tell when stderr is gone.
    match command {
        QuarantineCommand::Add { case, model, suite, owner, reason, expires } => {
            let expires_s = expires.0.as_secs();
            let asked = QuarantineAsked { case, model, suite, owner, reason, expires_s };
            let held = releases.add_quarantine(asked).await?;
            let _ = writeln!(
                std::io::stderr(),
                "`{}` is under quarantine on {} until {}: {} of {} repeats of the baseline passed",
                held.case,
                held.model,
                held.expires_at,
                held.passed,
                held.trials
            );
        }
        QuarantineCommand::Remove { case, model, suite } => {
            let held = releases.remove_quarantine(QuarantineNamed { case, model, suite }).await?;
            let _ = writeln!(std::io::stderr(), "the case `{}` counts again in runs to come", held.case);
        }
        QuarantineCommand::List { suite, all } => {
            let held = releases.quarantines(suite, all).await?;
            let mut out = anstream::stdout().lock();
            if settings.json {
                writeln!(out, "{}", render::json(&held)?)?;
            } else {
                write!(out, "{}", render::quarantines(&held))?;
            }
        }
    }
    Ok(Exit::Done)
}
