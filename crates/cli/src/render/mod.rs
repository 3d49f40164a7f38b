//! What people see. Colour and movement only on a terminal; `anstream` strips colour elsewhere.

pub(crate) mod comparison;
mod diff;
mod escape;
mod estimate;
mod flakes;
mod junit;
mod limits;
mod markdown;
mod page;
mod progress;
mod releases;
mod report;
pub(crate) mod review;
mod runs;
mod schedules;
mod tokens;

use std::fmt::Display;
use std::io::Write as _;

use assay_common::gate::Tier;
use assay_common::verdict::RuleVerdict;
use assay_common::visible::{visible, visible_json};
use assay_coordinator::flakes::QuarantinedCase;
use assay_coordinator::report::{Attempt, RunSummary};
use serde::Serialize;

pub(crate) use diff::diff;
pub(crate) use estimate::estimate;
pub(crate) use flakes::{ledger, quarantines};
pub(crate) use junit::Junit;
pub(crate) use limits::limits;
pub(crate) use markdown::markdown;
pub(crate) use progress::Progress;
pub(crate) use releases::{history, incident, incidents, prompts, release, version, versions};
pub(crate) use report::report;
pub(crate) use runs::{runs, standing};
pub(crate) use schedules::{fired, schedule, schedules, sweeps};
pub(crate) use tokens::tokens;

/// Says warnings on stderr.
pub(crate) fn warn<W: Display>(warnings: &[W]) {
    let mut err = anstream::stderr().lock();
    for warning in warnings {
        // Nobody is left to warn when stderr is gone.
        let _ = writeln!(err, "{}", visible(warning.to_string().trim_end()));
    }
}

/// A document on stdout, where a terminal may be.
pub(crate) fn json(document: &impl Serialize) -> std::io::Result<String> {
    Ok(visible_json(&serde_json::to_string_pretty(document)?).into_owned())
}

/// A table in the house form: no frame, a rule below the header, numbers to the right where `right` says so.
fn table(header: &[&str], right: &[usize]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.to_vec());
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    table
}

/// The tier of a rule that may not decide, to stand behind its name; nothing for one that does.
fn tier(rule: &RuleVerdict) -> &'static str {
    match rule.tier {
        Tier::Critical => "",
        Tier::Supporting => " (supporting)",
        Tier::Advisory => " (advisory)",
    }
}

/// A case under quarantine, why, and until when.
fn held(held: &QuarantinedCase) -> String {
    let QuarantinedCase { case, model, reason, owner, expires_at } = held;
    format!("{case} on {model}: {reason} ({owner}, until {expires_at})")
}

/// How many jobs there were, and how many of them were needed.
fn jobs(run: &RunSummary) -> String {
    match run.stopped_early {
        true => format!("{} of {} jobs", run.jobs_used, run.jobs),
        false => format!("{} jobs", run.jobs),
    }
}

/// What a gate said each time that it was given more, on one line.
fn attempts(attempts: &[Attempt]) -> String {
    let one = |attempt: &Attempt| {
        let trials =
            if attempt.trials > 1 { format!(" × {} trials", attempt.trials) } else { String::new() };
        format!("{} cases{trials}: {}", attempt.cases, attempt.outcome.word())
    };
    format!("Attempts: {}", attempts.iter().map(one).collect::<Vec<_>>().join("; "))
}

/// What the last attempt that was whole is called, where what came after it is not.
fn last_whole(attempt: &Attempt) -> String {
    format!("What was whole, after {} cases", attempt.cases)
}

/// A rate in per cent, to a tenth.
fn percent(rate: f64) -> String {
    format!("{:.1} %", rate * 100.0)
}
