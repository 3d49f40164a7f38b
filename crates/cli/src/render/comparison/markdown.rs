//! A comparison as Markdown. Answers stand in blocks of code, where nothing is read; all else from outside is escaped.

use std::fmt::Write as _;

use assay_coordinator::compare::{Comparison, FlippedAnswer, PairReport};
use assay_coordinator::verdict::paired::SliceDifference;

use super::super::escape::{beside, cell, fenced};
use super::super::page::{Page, Part};
use super::{cost, rate, rows, sentence, signed, title, unknown, way};

/// The comparison.
pub(crate) fn markdown(comparison: &Comparison) -> String {
    let (before, after) = (&comparison.before, &comparison.after);
    let mut page = Page::default();
    let heading = format!("## {} → {}\n\n", cell(&before.asked), cell(&after.asked));
    page.add(Part::whole(0, "the heading", heading));
    for warning in &comparison.warnings {
        page.add(Part::whole(0, "the warnings", format!("> ⚠ {}\n\n", cell(warning))));
    }
    for pair in &comparison.pairs {
        self::pair(&mut page, pair, comparison.confidence);
    }
    for name in &comparison.unpaired {
        page.add(Part::whole(2, "what is on one side", format!("Only on one side: {}\n\n", cell(name))));
    }
    let runs = format!("Runs `{}` and `{}`.\n", before.run.id, after.run.id);
    page.add(Part::whole(0, "the runs", runs));
    page.finish("`assay compare` shows everything.")
}

fn pair(page: &mut Page, pair: &PairReport, confidence: f64) {
    let mut text = format!("### {}\n\n| | before | after |\n|---|--:|--:|\n", cell(&title(pair)));
    for [what, before, after] in rows(pair) {
        // Writing to a String cannot fail.
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
    page.add(Part::whole(1, "the differences", text));
    if !pair.prompt_diff.is_empty() {
        let diff = format!("{}\n", fenced("diff", &pair.prompt_diff));
        page.add(Part::whole(5, "what changed in the prompts", diff));
    }
    page.add(slices(pair));
    page.add(flips(3, "worse", pair.regressed, &pair.worse));
    page.add(flips(4, "better", pair.improved, &pair.better));
}

fn slices(pair: &PairReport) -> Part {
    let row = |slice: &SliceDifference| {
        let difference = &slice.difference;
        format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
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
        )
    };
    Part {
        name: "the slices",
        rank: 2,
        open: "| slice | cases | before | after | points | interval | q |\n|---|--:|--:|--:|--:|---|--:|\n"
            .to_owned(),
        items: pair.slices.iter().map(row).collect(),
        close: "\n".to_owned(),
    }
}

fn flips(rank: u8, heading: &str, count: u64, flips: &[FlippedAnswer]) -> Part {
    let item = |flip: &FlippedAnswer| {
        let shown = |output: &Option<String>| output.clone().unwrap_or_else(unknown);
        let (before, after) = (shown(&flip.before_output), shown(&flip.after_output));
        format!("{} {}\n\n{}\n", cell(&flip.case), way(flip), beside(&before, &after))
    };
    Part {
        name: "the cases that changed sides",
        rank,
        open: format!("<details><summary>{count} {heading}, {} shown</summary>\n\n", flips.len()),
        items: flips.iter().map(item).collect(),
        close: "</details>\n\n".to_owned(),
    }
}
