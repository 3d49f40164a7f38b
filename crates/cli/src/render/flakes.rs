//! Cases that waver, a line each, and those under quarantine.

use assay_common::visible::visible_line;
use assay_coordinator::flakes::Ledger;
use assay_coordinator::flakes::desk::QuarantineEntry;

use super::{percent, table};

/// A table of the ledger.
pub(crate) fn ledger(ledger: &Ledger) -> String {
    let runs = if ledger.runs == 1 { "1 run".to_owned() } else { format!("{} runs", ledger.runs) };
    let suite = visible_line(&ledger.suite);
    if ledger.lines.is_empty() {
        return format!("{suite}: no case wavers in {runs}\n");
    }
    let header = ["CASE", "PROMPT", "MODEL", "TRIALS", "PASSED", "FLIPS", "RATE", "", ""];
    let mut table = table(&header, &[3, 4, 5, 6]);
    for line in &ledger.lines {
        table.add_row([
            visible_line(&line.case).into_owned(),
            visible_line(&line.label).into_owned(),
            visible_line(&line.model).into_owned(),
            line.trials.to_string(),
            line.passed.to_string(),
            line.flips.to_string(),
            line.flip_rate.map_or_else(|| "–".to_owned(), percent),
            line.class.word().to_owned(),
            if line.quarantined { "quarantined" } else { "" }.to_owned(),
        ]);
    }
    let flaky = ledger.lines.iter().filter(|line| line.class.word() == "flaky").count();
    let suspect = ledger.lines.len() - flaky;
    format!("{suite}: {flaky} flaky, {suspect} suspect in {runs}\n\n{}\n", table.trim_fmt())
}

/// A table of quarantines.
pub(crate) fn quarantines(quarantines: &[QuarantineEntry]) -> String {
    if quarantines.is_empty() {
        return "nothing is under quarantine\n".to_owned();
    }
    let mut table = table(&["SUITE", "CASE", "MODEL", "OWNER", "UNTIL", "REASON"], &[]);
    for held in quarantines {
        let until = match &held.removed_at {
            Some(removed) => format!("removed {removed}"),
            None => held.expires_at.clone(),
        };
        table.add_row([
            visible_line(&held.suite).into_owned(),
            visible_line(&held.case).into_owned(),
            visible_line(&held.model).into_owned(),
            visible_line(&held.owner).into_owned(),
            until,
            visible_line(&held.reason).into_owned(),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}
