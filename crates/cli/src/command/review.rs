//! `assay review`, `assay risk` and `assay range`: what a period came to, what was taken on, and what is acceptable.

use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use assay_coordinator::review::Span;
use assay_coordinator::review::risks::RiskAsked;

use super::prompt::{parse, put};
use crate::args::{RangeCommand, ReviewArgs, RiskCommand};
use crate::exit::Exit;
use crate::releases::Releases;
use crate::render::review as render;
use crate::settings::Settings;

/// Prints a review, and writes it as a page where that is asked for.
pub(crate) async fn call(settings: &Settings, args: &ReviewArgs) -> Result<Exit, Exit> {
    if settings.json && (args.csv || args.markdown) {
        let form = if args.csv { "--csv" } else { "--markdown" };
        return Err(Exit::Input(anyhow!(
            "--json and {form} are two forms of one answer: ask for one of them"
        )));
    }
    let span = if args.week { Span::Week } else { Span::Month };
    let at = args.at.as_deref().map(parse).transpose()?;
    let review = Releases::open(settings).await?.review(span, at).await?;
    if let Some(path) = &args.html {
        let written = std::fs::write(path, render::html(&review));
        written.with_context(|| format!("cannot write {}", path.display())).map_err(Exit::Input)?;
    }
    if args.csv {
        std::io::stdout().write_all(render::csv(&review)?.as_bytes())?;
        return Ok(Exit::Done);
    }
    put(settings, &review, if args.markdown { render::markdown } else { render::review })
}

/// Writes a risk down, lists or closes them.
pub(crate) async fn risk(settings: &Settings, command: RiskCommand) -> Result<Exit, Exit> {
    let releases = Releases::open(settings).await?;
    match command {
        RiskCommand::Add { title, owner, deadline, prompt } => {
            let asked = RiskAsked { title, prompt, owner, deadline };
            put(settings, &releases.add_risk(asked).await?, render::risk)
        }
        RiskCommand::List { all } => put(settings, &releases.risks(all).await?, |found| render::risks(found)),
        RiskCommand::Close { number, outcome } => {
            put(settings, &releases.close_risk(number, &outcome).await?, render::risk)
        }
    }
}

/// Sets, lists or takes ranges back.
pub(crate) async fn range(settings: &Settings, command: RangeCommand) -> Result<Exit, Exit> {
    let releases = Releases::open(settings).await?;
    match command {
        RangeCommand::Set { signal, min, max, window, reason, whose } => {
            let reason = reason.as_deref();
            let range = releases.set_range(signal, whose.subject(), [min, max], window.0, reason).await?;
            put(settings, &range, render::range)
        }
        RangeCommand::List => {
            let ranges = releases.ranges().await?;
            put(settings, &ranges, |found| render::ranges(found))?;
            let is_outside = ranges.iter().any(|range| range.outside == Some(true));
            Ok(if is_outside { Exit::Failed } else { Exit::Done })
        }
        RangeCommand::Remove { signal, reason, whose } => {
            releases.remove_range(signal, whose.subject(), reason.as_deref()).await?;
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(std::io::stderr(), "the range is taken back");
            Ok(Exit::Done)
        }
    }
}
