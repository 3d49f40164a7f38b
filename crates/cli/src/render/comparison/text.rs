//! A comparison for a terminal. Only its own colours reach it: what prompts and models say is made visible.

use std::fmt::Write as _;

use assay_common::visible::{visible, visible_line};
use assay_coordinator::compare::{Comparison, FlippedAnswer, MAX_FLIPS, PairReport};
use comfy_table::ContentArrangement;

use super::super::{diff, table};
use super::{cost, rate, rows, sentence, signed, title, unknown, way};

/// Columns that two answers side by side take.
const WIDTH: u16 = 110;

/// The comparison as text.
pub(crate) fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (side, report) in [("before", &comparison.before), ("after", &comparison.after)] {
        let run = &report.run;
        let line = format!("{side:<8}{}: run {} of {}, {}", report.asked, run.id, run.suite, run.state);
        let _ = writeln!(text, "{}", visible_line(&line));
    }
    for warning in &comparison.warnings {
        let _ = writeln!(text, "warning: {}", visible_line(warning));
    }
    text.push('\n');
    for pair in &comparison.pairs {
        text.push_str(&self::pair(pair, comparison.confidence));
    }
    for name in &comparison.unpaired {
        let _ = writeln!(text, "only on one side: {}", visible_line(name));
    }
    text
}

fn pair(pair: &PairReport, confidence: f64) -> String {
    let mut table = table(&["", "BEFORE", "AFTER"], &[1, 2]);
    for row in rows(pair) {
        table.add_row(row);
    }
    let unchanged = pair.paired.cases - pair.improved - pair.regressed;
    let mut text = format!("{}\n\n{}\n\n", visible_line(&title(pair)), table.trim_fmt());
    let _ = writeln!(text, "{}", sentence(&pair.paired, confidence));
    let _ = writeln!(text, "{} worse, {} better, {unchanged} the same", pair.regressed, pair.improved);
    if pair.unpaired_cases > 0 {
        let _ =
            writeln!(text, "{} cases were not scored on both sides and are left out", pair.unpaired_cases);
    }
    if let Some(ratio) = &pair.cost {
        let _ = writeln!(text, "{}", cost(ratio, confidence));
    }
    text.push('\n');
    if !pair.prompt_diff.is_empty() {
        let _ = writeln!(text, "{}", diff::coloured(&pair.prompt_diff));
    }
    text.push_str(&slices(pair));
    for (heading, count, flips) in
        [("worse", pair.regressed, &pair.worse), ("better", pair.improved, &pair.better)]
    {
        for flip in flips {
            text.push_str(&self::flip(heading, flip));
        }
        let more = count.saturating_sub(flips.len() as u64);
        if more > 0 {
            let how = if flips.len() < MAX_FLIPS { "; --flips shows them" } else { "" };
            let _ = writeln!(text, "{heading}: {more} more{how}\n");
        }
    }
    text
}

fn slices(pair: &PairReport) -> String {
    let mut text = String::new();
    if !pair.slices.is_empty() {
        let mut table =
            table(&["SLICE", "CASES", "BEFORE", "AFTER", "POINTS", "INTERVAL", "Q"], &[1, 2, 3, 4, 6]);
        for slice in &pair.slices {
            let difference = &slice.difference;
            let points = |value: Option<f64>| value.map_or_else(unknown, signed);
            let interval = difference.interval;
            table.add_row([
                visible_line(&format!("{}: {}", slice.tag, slice.value)).into_owned(),
                difference.cases.to_string(),
                rate(difference.before),
                rate(difference.after),
                points(difference.difference),
                interval.map_or_else(unknown, |[low, high]| format!("{} – {}", signed(low), signed(high))),
                slice.q.map_or_else(unknown, |q| format!("{q:.3}")),
            ]);
        }
        let _ = writeln!(text, "{}\n", table.trim_fmt());
    }
    for tag in &pair.tags_left_out {
        let _ = writeln!(text, "{}: too many values for a table\n", visible_line(tag));
    }
    text
}

/// One case with both answers side by side.
fn flip(heading: &str, flip: &FlippedAnswer) -> String {
    let mut table = table(&["BEFORE", "AFTER"], &[]);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    let shown =
        |output: &Option<String>| output.as_deref().map_or_else(unknown, |text| visible(text).into_owned());
    table.add_row([shown(&flip.before_output), shown(&flip.after_output)]);
    format!("{heading}: {}  {}\n{}\n\n", visible_line(&flip.case), way(flip), table.trim_fmt())
}
