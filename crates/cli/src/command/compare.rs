//! `assay compare`: what changed between two runs, or two versions of a prompt.

use std::io::Write as _;

use assay_coordinator::compare::{CompareError, Request};

use super::files;
use crate::args::CompareArgs;
use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;
use crate::source::Source;

/// Prints the comparison.
pub(crate) async fn call(settings: &Settings, args: &CompareArgs) -> Result<Exit, Exit> {
    files::check(&args.pages)?;
    let source = Source::open(settings).await?;
    let request = Request { before: args.before.clone(), after: args.after.clone(), flips: args.flips };
    let comparison = source.compare(&request).await?;
    let mut out = anstream::stdout().lock();
    if settings.json {
        writeln!(out, "{}", render::json(&comparison)?)?;
    } else {
        write!(out, "{}", render::comparison::text(&comparison))?;
    }
    files::write_pages(&args.pages, || render::comparison::markdown(&comparison))?;
    Ok(Exit::Done)
}

impl From<CompareError> for Exit {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Store(error) => Self::unfinished(error),
            error => Self::input(error),
        }
    }
}
