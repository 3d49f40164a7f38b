//! A review, for people and for spreadsheets. What it says is put into sections once; each face shows the same.
//!
//! - `sections`: what is said, as plain text; [`markdown`], [`html`] and the terminal, here: three faces of it
//! - [`csv`]: every pass rate, for a spreadsheet; `standing`: risks, ranges and deliveries by themselves

mod csv;
mod html;
mod markdown;
mod sections;
mod standing;

use std::fmt::Write as _;

use assay_common::visible::visible_line;
use assay_coordinator::review::Review;

pub(crate) use self::csv::csv;
pub(crate) use self::html::html;
pub(crate) use self::markdown::markdown;
use self::sections::{Section, sections, title};
pub(crate) use self::standing::{deliveries, range, ranges, risk, risks};
use super::table;

/// The review on a terminal.
pub(crate) fn review(review: &Review) -> String {
    let mut text = format!("{}\n", title(review));
    for section in sections(review) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{}\n{}", section.title.to_uppercase(), plain(&section));
    }
    text
}

/// A section without its title.
fn plain(section: &Section) -> String {
    let mut text = String::new();
    for line in &section.said {
        let _ = writeln!(text, "{}", visible_line(line));
    }
    if !section.rows.is_empty() {
        let mut table = table(section.header, section.right);
        for row in &section.rows {
            table.add_row(row.iter().map(|cell| visible_line(cell).into_owned()));
        }
        let _ = writeln!(text, "{}", table.trim_fmt());
    }
    text
}
