//! `assay status`: one run with its pass rates and verdict, or the latest runs.

use std::io::Write as _;

use assay_common::id::RunId;

use super::files;
use crate::args::Files;
use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;
use crate::source::Source;

/// Runs shown when none is named.
const LATEST: u32 = 20;

/// Prints the run, or the latest runs.
pub(crate) async fn call(settings: &Settings, run: Option<RunId>, files: &Files) -> Result<Exit, Exit> {
    let source = Source::open(settings).await?;
    let mut out = anstream::stdout().lock();
    let Some(id) = run else {
        let runs = source.runs(LATEST).await?;
        if settings.json {
            writeln!(out, "{}", render::json(&runs)?)?;
        } else {
            write!(out, "{}", render::runs(&runs))?;
        }
        return Ok(Exit::Done);
    };
    let document = source.run(id).await?;
    if settings.json {
        writeln!(out, "{}", render::json(&document)?)?;
    } else {
        write!(out, "{}", render::standing(&document))?;
    }
    files::write(files, &source, &document.into_report()).await?;
    Ok(Exit::Done)
}
