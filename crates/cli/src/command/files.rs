//! `--junit`, `--markdown` and `--step-summary`: the report in files, beside the one on stdout.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use assay_coordinator::report::Report;

use crate::args::{Files, Pages};
use crate::exit::Exit;
use crate::render;
use crate::source::Source;

/// Where GitHub Actions takes the summary of a step from.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Makes sure, before anything is paid for, that the pages can be written.
pub(crate) fn check(pages: &Pages) -> Result<(), Exit> {
    let summary = step_summary(pages)?;
    for path in [pages.markdown.as_ref(), summary.as_ref()].into_iter().flatten() {
        writable(path)?;
    }
    Ok(())
}

/// Makes sure, before anything is paid for, that all files can be written.
pub(crate) fn check_all(files: &Files) -> Result<(), Exit> {
    files.junit.as_deref().map_or(Ok(()), writable)?;
    check(&files.pages)
}

/// Writes the files that were asked for.
pub(crate) async fn write(files: &Files, source: &Source, report: &Report) -> Result<(), Exit> {
    write_pages(&files.pages, || render::markdown(report))?;
    if let Some(path) = &files.junit {
        let mut junit = render::Junit::new(report);
        source.each_result(report.run.id, false, |line| junit.add(line)).await?;
        std::fs::write(path, junit.finish()?).with_context(|| cannot(path)).map_err(Exit::Unfinished)?;
    }
    Ok(())
}

/// Writes the pages that were asked for; a step may have a summary already, and it stays.
pub(crate) fn write_pages(pages: &Pages, markdown: impl FnOnce() -> String) -> Result<(), Exit> {
    let summary = step_summary(pages)?;
    if pages.markdown.is_none() && summary.is_none() {
        return Ok(());
    }
    let text = markdown();
    if let Some(path) = &pages.markdown {
        std::fs::write(path, &text).with_context(|| cannot(path)).map_err(Exit::Unfinished)?;
    }
    if let Some(path) = &summary {
        let added = OpenOptions::new().create(true).append(true).open(path);
        added
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| cannot(path))
            .map_err(Exit::Unfinished)?;
    }
    Ok(())
}

/// The file of the step's summary, where that was asked for.
fn step_summary(pages: &Pages) -> Result<Option<PathBuf>, Exit> {
    if !pages.step_summary {
        return Ok(None);
    }
    let path = std::env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty()).map(PathBuf::from);
    path.map(Some).ok_or_else(|| {
        Exit::Input(anyhow!("--step-summary: {STEP_SUMMARY} is not set, as it is in a step of GitHub Actions; use --markdown FILE"))
    })
}

fn writable(path: &Path) -> Result<(), Exit> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.with_context(|| cannot(path)).map_err(Exit::Input)?;
    Ok(())
}

fn cannot(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
