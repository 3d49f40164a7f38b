//! What two prompts differ in, line by line.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use assay_common::visible::{visible, visible_line};
use assay_coordinator::compare::text;
use assay_coordinator::release::document::VersionDocument;

/// The difference of two versions as a unified diff, under the names of both.
pub(crate) fn diff(from: &VersionDocument, to: &VersionDocument) -> String {
    let name = |version: &VersionDocument| {
        let entry = &version.entry;
        format!("{}@{} ({})", visible_line(&entry.prompt), entry.version, entry.digest.short())
    };
    format!("--- {}\n+++ {}\n{}", name(from), name(to), coloured(&text::diff(&from.body, &to.body)))
}

/// A diff, green where lines came and red where they went.
pub(super) fn coloured(diff: &str) -> String {
    let mut text = String::new();
    for line in visible(diff).lines() {
        let colour = match line.as_bytes().first() {
            Some(b'+') => Some(AnsiColor::Green),
            Some(b'-') => Some(AnsiColor::Red),
            Some(b'@') => Some(AnsiColor::Cyan),
            _ => None,
        };
        let style = Style::new().fg_color(colour.map(Into::into));
        let _ = writeln!(text, "{style}{line}{style:#}");
    }
    text
}
