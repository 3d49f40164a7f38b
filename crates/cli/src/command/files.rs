//! `--junit` and `--markdown`: the report in files, beside the one on stdout.

use std::path::Path;

use anyhow::Context as _;
use assay_coordinator::report::Report;

use crate::args::Files;
use crate::exit::Exit;
use crate::render;
use crate::source::Source;

/// Makes sure, before anything is paid for, that the files can be written.
pub(crate) fn check(files: &Files) -> Result<(), Exit> {
    for path in [&files.junit, &files.markdown].into_iter().flatten() {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot write {}", path.display()))
            .map_err(Exit::Input)?;
    }
    Ok(())
}

/// Writes the files that were asked for.
pub(crate) async fn write(files: &Files, source: &Source, report: &Report) -> Result<(), Exit> {
    if let Some(path) = &files.markdown {
        put(path, &render::markdown(report))?;
    }
    if let Some(path) = &files.junit {
        let mut junit = render::Junit::new(report);
        source.each_result(report.run.id, false, |line| junit.add(line)).await?;
        put(path, &junit.finish()?)?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), Exit> {
    std::fs::write(path, text)
        .with_context(|| format!("cannot write {}", path.display()))
        .map_err(Exit::Unfinished)
}
