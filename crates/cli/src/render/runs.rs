//! Where runs stand: the latest, a line each; one, with its report or how far it is, and why it does not move.

use std::fmt::Write as _;

use assay_common::visible::visible_line;

use assay_coordinator::api::document::{RunDocument, RunEntry};
use assay_coordinator::run::remedy;

use super::{report, table};

/// A table of runs.
pub(crate) fn runs(runs: &[RunEntry]) -> String {
    if runs.is_empty() {
        return "no runs yet; start one with `assay run SUITE`\n".to_owned();
    }
    let mut table = table(&["RUN", "SUITE", "STATE", "DONE", "JOBS", "STARTED"], &[3, 4]);
    for RunEntry { run, counts, created_at, .. } in runs {
        table.add_row([
            run.id.to_string(),
            visible_line(&run.suite).into_owned(),
            run.state.to_string(),
            counts.done.to_string(),
            run.jobs.to_string(),
            run.started_at.as_ref().unwrap_or(created_at).clone(),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// One run.
pub(crate) fn standing(document: &RunDocument) -> String {
    let mut text = if document.variants.is_empty() {
        let (run, counts) = (&document.entry.run, &document.entry.counts);
        format!(
            "{}: {}, {} of {} jobs are done: passed {}, failed {}, errored {}\n",
            visible_line(&run.suite),
            run.state,
            counts.done,
            run.jobs,
            counts.passed,
            counts.failed,
            counts.errored
        )
    } else {
        report(&document.clone().into_report())
    };
    if let Some(help) = document.entry.run.reason.as_deref().and_then(remedy) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  help: {help}");
    }
    for verdict in &document.recorded {
        let version = match verdict.version {
            Some(number) => format!("{}@{number}", verdict.prompt),
            None => verdict.prompt.clone(),
        };
        let against = verdict
            .baseline
            .as_ref()
            .map_or_else(String::new, |digest| format!(" against {}", digest.short()));
        let _ = writeln!(
            text,
            "Recorded: {} ({}){against}: {}, until {}",
            visible_line(&version),
            verdict.digest.short(),
            verdict.outcome.word(),
            verdict.expires_at
        );
    }
    for reason in &document.reasons {
        let _ = writeln!(text, "{}", visible_line(&reason.detail));
        if let Some(hint) = &reason.hint {
            let _ = writeln!(text, "  help: {}", visible_line(hint));
        }
    }
    text
}
