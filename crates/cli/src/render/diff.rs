//! What two versions of a prompt differ in, line by line.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use assay_common::prompt::PromptBody;
use assay_common::visible::visible;
use assay_coordinator::release::document::VersionDocument;
use similar::{ChangeTag, TextDiff};

/// Lines that are shown around a change.
const CONTEXT: usize = 3;

/// The difference as a unified diff.
pub(crate) fn diff(from: &VersionDocument, to: &VersionDocument) -> String {
    let name = |version: &VersionDocument| {
        let entry = &version.entry;
        format!("{}@{} ({})", visible(&entry.prompt), entry.version, entry.digest.short())
    };
    let (old, new) = (lines(&from.body), lines(&to.body));
    let diff = TextDiff::from_lines(&old, &new);
    let mut text = format!("--- {}\n+++ {}\n", name(from), name(to));
    for group in diff.grouped_ops(CONTEXT) {
        text.push_str("@@\n");
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Equal => (' ', Style::new()),
                ChangeTag::Delete => ('-', Style::new().fg_color(Some(AnsiColor::Red.into()))),
                ChangeTag::Insert => ('+', Style::new().fg_color(Some(AnsiColor::Green.into()))),
            };
            let line = change.value();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{style}{sign}{}{style:#}", visible(line.trim_end_matches('\n')));
        }
    }
    text
}

/// A content as lines; a message of a chat begins with who speaks.
fn lines(body: &PromptBody) -> String {
    match body {
        PromptBody::Text(text) => format!("{text}\n"),
        PromptBody::Chat(messages) => messages
            .iter()
            .map(|message| format!("{}:\n{}\n", message.role.word(), message.content))
            .collect(),
    }
}
