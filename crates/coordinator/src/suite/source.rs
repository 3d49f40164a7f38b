//! A text file of a suite, held while it is validated so that diagnostics can show its lines.

use std::ops::Range;
use std::path::PathBuf;

use super::diagnostic::{Diagnostic, Mark};
use super::yaml::Fault;

/// A file's text without its byte order mark, and the name people know the file by.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// Byte offset of each line.
    lines: Vec<usize>,
}

impl Source {
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { path, text, lines }
    }

    /// An error at `mark`, with the line it stands on.
    pub(super) fn error(&self, mark: Mark, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(&self.path, message).at(mark, self.line(mark.line))
    }

    /// What the YAML reader found.
    pub(super) fn fault(&self, fault: Fault) -> Diagnostic {
        self.error(fault.at, fault.message).hint(fault.hint)
    }

    fn line(&self, number: usize) -> Option<&str> {
        let start = *self.lines.get(number.checked_sub(1)?)?;
        let end = self.lines.get(number).copied().unwrap_or(self.text.len());
        self.text.get(start..end)
    }

    /// The mark of a stretch of bytes.
    pub(super) fn mark(&self, bytes: Range<usize>) -> Mark {
        let line = self.lines.partition_point(|start| *start <= bytes.start);
        let chars = |range: Range<usize>| self.text.get(range).map_or(1, |text| text.chars().count());
        let column = chars(self.lines[line.saturating_sub(1)]..bytes.start) + 1;
        Mark { line: line.max(1), column, width: chars(bytes).max(1) }
    }

    /// A whole line, for places that are known no better.
    pub(super) fn whole_line(&self, number: usize) -> Mark {
        let text = self.line(number).unwrap_or_default();
        let indent = text.chars().take_while(|c| c.is_whitespace()).count();
        Mark { line: number, column: indent + 1, width: text.trim().chars().count().max(1) }
    }

    /// Where a template inside `within` first speaks of the variable `name`.
    pub(super) fn find_variable(&self, within: Range<usize>, name: &str) -> Option<Mark> {
        let base = within.start;
        let text = self.text.get(within)?;
        let mut from = 0;
        while let Some(open) = find_open(text, from) {
            let close = ["}}", "%}"].iter().filter_map(|mark| text[open..].find(mark)).min();
            let end = close.map_or(text.len(), |close| open + close);
            if let Some(at) = find_word(&text[open..end], name) {
                let start = base + open + at;
                return Some(self.mark(start..start + name.len()));
            }
            from = end;
        }
        None
    }
}

fn find_open(text: &str, from: usize) -> Option<usize> {
    ["{{", "{%"].iter().filter_map(|mark| text[from..].find(mark)).min().map(|at| from + at + 2)
}

/// The first place of `name` as a whole word that is no attribute.
fn find_word(text: &str, name: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(|c| is_word(c) || matches!(c, '.' | '"' | '\'')) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_variable_inside_tags_alone() {
        let source = Source::new("p".into(), "name é\n{{ a.name }} {% if name %}{{ names }}".into());
        let found = source.find_variable(0..source.text.len(), "name").unwrap();
        assert_eq!((found.line, found.column, found.width), (2, 20, 4));
        assert_eq!(source.find_variable(0..source.text.len(), "a").map(|mark| mark.column), Some(4));
        assert_eq!(source.find_variable(0..source.text.len(), "é"), None);
    }
}
