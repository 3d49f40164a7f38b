//! A comparison as Markdown. Answers stand in blocks of code, where nothing is read; all else from outside is escaped.

use std::fmt::Write as _;

use assay_coordinator::compare::{Comparison, FlippedAnswer, PairReport};

use super::super::escape::{beside, cell, fenced};
use super::{cost, rate, rows, sentence, signed, title, unknown, way};

/// The comparison.
pub(crate) fn markdown(comparison: &Comparison) -> String {
    let (before, after) = (&comparison.before, &comparison.after);
    let mut text = format!("## {} → {}\n\n", cell(&before.asked), cell(&after.asked));
    for warning in &comparison.warnings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "> ⚠ {}\n", cell(warning));
    }
    for pair in &comparison.pairs {
        text.push_str(&self::pair(pair, comparison.confidence));
    }
    for name in &comparison.unpaired {
        let _ = writeln!(text, "Only on one side: {}\n", cell(name));
    }
    let _ = writeln!(text, "Runs `{}` and `{}`.", before.run.id, after.run.id);
    text
}

fn pair(pair: &PairReport, confidence: f64) -> String {
    let mut text = format!("### {}\n\n| | before | after |\n|---|--:|--:|\n", cell(&title(pair)));
    for [what, before, after] in rows(pair) {
        let _ = writeln!(text, "| {what} | {before} | {after} |");
    }
    let unchanged = pair.paired.cases - pair.improved - pair.regressed;
    let _ = writeln!(text, "\n**{}**\n", sentence(&pair.paired, confidence));
    let _ = write!(text, "{} worse, {} better, {unchanged} the same", pair.regressed, pair.improved);
    if pair.unpaired_cases > 0 {
        let _ = write!(text, ", {} not scored on both sides", pair.unpaired_cases);
    }
    if let Some(ratio) = &pair.cost {
        let _ = write!(text, "; {}", cost(ratio, confidence));
    }
    text.push_str("\n\n");
    if !pair.prompt_diff.is_empty() {
        let _ = writeln!(text, "{}", fenced("diff", &pair.prompt_diff));
    }
    text.push_str(&slices(pair));
    text.push_str(&flips("worse", pair.regressed, &pair.worse));
    text.push_str(&flips("better", pair.improved, &pair.better));
    text
}

fn slices(pair: &PairReport) -> String {
    if pair.slices.is_empty() {
        return String::new();
    }
    let mut text = "| slice | cases | before | after | points | interval | q |\n".to_owned();
    text.push_str("|---|--:|--:|--:|--:|---|--:|\n");
    for slice in &pair.slices {
        let difference = &slice.difference;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            cell(&format!("{}: {}", slice.tag, slice.value)),
            difference.cases,
            rate(difference.before),
            rate(difference.after),
            difference.difference.map_or_else(unknown, signed),
            difference.interval.map_or_else(unknown, |[low, high]| format!(
                "{} – {}",
                signed(low),
                signed(high)
            )),
            slice.q.map_or_else(unknown, |q| format!("{q:.3}")),
        );
    }
    text.push('\n');
    text
}

fn flips(heading: &str, count: u64, flips: &[FlippedAnswer]) -> String {
    if flips.is_empty() {
        return String::new();
    }
    let mut text = format!("<details><summary>{count} {heading}, {} shown</summary>\n\n", flips.len());
    for flip in flips {
        let shown = |output: &Option<String>| output.clone().unwrap_or_else(unknown);
        let (before, after) = (shown(&flip.before_output), shown(&flip.after_output));
        let _ = writeln!(text, "{} {}\n\n{}", cell(&flip.case), way(flip), beside(&before, &after));
    }
    text.push_str("</details>\n\n");
    text
}
