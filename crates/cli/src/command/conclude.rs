//! The end of a run: its report on stdout, and the exit code that its verdict means.

use std::io::Write as _;

use anyhow::anyhow;
use assay_coordinator::api::document::RunDocument;
use assay_coordinator::report::Report;
use assay_coordinator::run::PAST_DEADLINE;
use assay_store::RunState;

use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;

/// Prints a run that is over: the document of `assay status`, or text.
pub(crate) fn print(settings: &Settings, document: &RunDocument) -> Result<(), Exit> {
    let mut out = anstream::stdout().lock();
    if settings.json {
        writeln!(out, "{}", render::json(document)?)?;
    } else {
        write!(out, "{}", render::report(&document.clone().into_report()))?;
    }
    Ok(())
}

/// A deadline is not the suite's fault; otherwise the verdict alone decides, and without a gate every job must
/// have been judged.
pub(crate) fn exit_of(report: &Report) -> Exit {
    let run = &report.run;
    if run.state == RunState::Cancelled.word() && run.reason.as_deref() == Some(PAST_DEADLINE) {
        return Exit::Unfinished(anyhow!(
            "run {0} was cancelled: {PAST_DEADLINE}; what it has is kept (`assay results {0}`); raise `deadline` in the \
             suite for a run that takes longer",
            run.id
        ));
    }
    let judged: u64 = report.variants.iter().map(|variant| variant.passed + variant.failed).sum();
    match &report.verdict {
        Some(verdict) => verdict.outcome.into(),
        None if judged < run.jobs => Exit::Inconclusive,
        None => Exit::Done,
    }
}
