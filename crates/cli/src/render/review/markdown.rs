//! A review as Markdown, for a wiki or an issue.

use std::fmt::Write as _;

use assay_coordinator::review::Review;

use super::sections::{sections, title};
use crate::render::escape::cell;

/// The review as Markdown. Whatever a name or a reason holds is text.
pub(crate) fn markdown(review: &Review) -> String {
    let mut text = format!("# {}\n", title(review));
    for section in sections(review) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n## {}\n", section.title);
        for line in &section.said {
            let _ = write!(text, "\n{}\n", cell(line));
        }
        if section.rows.is_empty() {
            continue;
        }
        let rule = (0..section.header.len())
            .map(|column| if section.right.contains(&column) { "---:" } else { "---" })
            .collect::<Vec<_>>();
        let _ = write!(text, "\n| {} |\n| {} |\n", section.header.join(" | "), rule.join(" | "));
        for row in &section.rows {
            let cells: Vec<_> = row.iter().map(|text| cell(text)).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    text
}
