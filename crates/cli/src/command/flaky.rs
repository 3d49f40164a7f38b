//! `assay flaky`: cases whose repeats disagree.

use std::io::Write as _;

use anyhow::anyhow;
use assay_coordinator::flakes;

use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;
use crate::source::Source;

/// Prints the ledger.
pub(crate) async fn call(settings: &Settings, suite: Option<String>, runs: u32) -> Result<Exit, Exit> {
    let source = Source::open(settings).await?;
    let none = || match &suite {
        Some(suite) => Exit::Input(anyhow!(
            "no run of a suite called `{suite}` that is over has its results; `assay status` lists runs"
        )),
        None => Exit::Input(anyhow!("no run that is over has its results; start one with `assay run SUITE`")),
    };
    let ledger: flakes::Ledger = source.ledger(suite.clone(), runs).await?.ok_or_else(none)?;
    let mut out = anstream::stdout().lock();
    if settings.json {
        writeln!(out, "{}", render::json(&ledger)?)?;
    } else {
        write!(out, "{}", render::ledger(&ledger))?;
    }
    Ok(Exit::Done)
}
