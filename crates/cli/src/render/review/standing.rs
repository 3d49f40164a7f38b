//! Risks, ranges and deliveries by themselves, as their own commands print them.

use assay_common::visible::visible_line;
use assay_coordinator::notify::desk::DeliveryEntry;
use assay_coordinator::review::ranges::{RangeEntry, bounds, named};
use assay_coordinator::review::risks::RiskEntry;

use super::plain;
use super::sections::{self, NOTHING, value};
use crate::render::table;

/// A table of risks.
pub(crate) fn risks(risks: &[RiskEntry]) -> String {
    plain(&sections::risks(risks))
}

/// A risk, in a sentence.
pub(crate) fn risk(risk: &RiskEntry) -> String {
    let RiskEntry { number, title, owner, deadline, .. } = risk;
    let said = match &risk.outcome {
        Some(outcome) => format!("risk {number} is closed: {title}: {outcome}"),
        None => format!("risk {number} is open: {title}; {owner} answers for it until {deadline}"),
    };
    format!("{}\n", visible_line(&said))
}

/// A table of ranges.
pub(crate) fn ranges(ranges: &[RangeEntry]) -> String {
    plain(&sections::ranges(ranges))
}

/// A range, in a sentence.
pub(crate) fn range(range: &RangeEntry) -> String {
    let state = match range.outside {
        Some(true) => ", outside",
        Some(false) => ", inside",
        None => "",
    };
    let said = format!(
        "{} of {}: acceptable is {} over {} days; it is {}{state}",
        range.signal.word(),
        named(&range.subject),
        bounds(range.low, range.high),
        range.days,
        value(range.signal, range.value)
    );
    format!("{}\n", visible_line(&said))
}

/// A table of deliveries.
pub(crate) fn deliveries(deliveries: &[DeliveryEntry]) -> String {
    if deliveries.is_empty() {
        return "nothing is on its way\n".to_owned();
    }
    let mut table =
        table(&["WHEN", "EVENT", "WEBHOOK", "STATE", "ATTEMPTS", "NEXT", "WHAT", "PROBLEM"], &[4]);
    for delivery in deliveries {
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_else(|| NOTHING.to_owned());
        let cells = [
            delivery.at.clone(),
            delivery.kind.clone(),
            delivery.webhook.clone(),
            delivery.state.clone(),
            delivery.attempts.to_string(),
            or_nothing(&delivery.next_at),
            delivery.summary.clone(),
            or_nothing(&delivery.problem),
        ];
        table.add_row(cells.iter().map(|cell| visible_line(cell).into_owned()));
    }
    format!("{}\n", table.trim_fmt())
}
