//! `assay status`: one run with its pass rates and verdict, or the latest runs.

use std::io::Write as _;

use anyhow::anyhow;
use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_coordinator::report::{RunSummary, assemble};
use assay_store::{Run, Schema, Store};

use super::files;
use crate::args::Files;
use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;

/// Runs shown when none is named.
const LATEST: u32 = 20;

/// Prints the run, or the latest runs.
pub(crate) async fn call(settings: &Settings, run: Option<RunId>, files: &Files) -> Result<Exit, Exit> {
    let store = Store::open(&settings.store, Schema::Require).await?;
    let mut out = anstream::stdout().lock();
    let Some(id) = run else {
        let runs = store.runs(None, LATEST).await?;
        if settings.json {
            let summaries: Vec<_> = runs.iter().map(RunSummary::of).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&summaries).map_err(std::io::Error::from)?)?;
        } else {
            write!(out, "{}", render::runs(&runs))?;
        }
        return Ok(Exit::Done);
    };
    let run = find(&store, Some(id)).await?;
    let suite = suite_of(&store, &run).await?;
    let report = assemble(&store, &suite, &run).await?;
    files::write(files, &store, &suite, &report).await?;
    if settings.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?)?;
    } else {
        write!(out, "{}", render::report(&report))?;
        for (account, problem) in store.account_problems().await? {
            writeln!(out, "{account} needs attention: {}: {}", problem.kind, problem.detail)?;
        }
    }
    Ok(Exit::Done)
}

/// The named run, else the latest; a run that is not there is wrong input.
pub(crate) async fn find(store: &Store, run: Option<RunId>) -> Result<Run, Exit> {
    let found = match run {
        Some(id) => store.run(id).await?,
        None => store.runs(None, 1).await?.pop(),
    };
    found.ok_or_else(|| {
        Exit::Input(match run {
            Some(id) => anyhow!("the store has no run {id}; `assay status` lists the latest"),
            None => anyhow!("the store has no runs yet; start one with `assay run SUITE`"),
        })
    })
}

/// The frozen suite of a run.
pub(crate) async fn suite_of(store: &Store, run: &Run) -> Result<Suite, Exit> {
    let suite = store.suite(run.revision.clone()).await?;
    suite.ok_or_else(|| Exit::unfinished(anyhow!("the store lacks suite revision {}", run.revision)))
}
