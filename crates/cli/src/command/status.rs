//! `assay status`: one run with its pass rates and verdict, or the latest runs.

use std::io::Write as _;

use anyhow::anyhow;
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
    if run.is_none() {
        refuse(files)?;
    }
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

/// Files are of one run: a list of runs has none to write.
fn refuse(files: &Files) -> Result<(), Exit> {
    let Files { junit, pages } = files;
    let asked = [
        ("--junit", junit.is_some()),
        ("--markdown", pages.markdown.is_some()),
        ("--step-summary", pages.step_summary),
    ];
    match asked.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => Err(Exit::input(anyhow!(
            "{option} writes the report of one run, and none is named: `assay status RUN {option}`; `assay status` lists their ids"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Pages;

    #[test]
    fn files_are_of_a_run() {
        let check = |junit: bool, markdown: bool, step_summary: bool, expected: Option<&str>| {
            let file = |given: bool| given.then(|| "report".into());
            let files = Files { junit: file(junit), pages: Pages { markdown: file(markdown), step_summary } };
            match (refuse(&files), expected) {
                (Err(Exit::Input(error)), Some(option)) => {
                    let told = error.to_string();
                    assert!(told.starts_with(option) && told.contains("assay status RUN"), "{told}");
                }
                (refused, expected) => assert!(refused.is_ok() && expected.is_none(), "{refused:?}"),
            }
        };
        check(false, false, false, None);
        check(true, false, false, Some("--junit"));
        check(false, true, true, Some("--markdown"));
        check(false, false, true, Some("--step-summary"));
    }
}
