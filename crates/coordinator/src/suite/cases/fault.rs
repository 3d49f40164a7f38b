//! What is wrong with rows of a file, and the second look at the file that shows each of them in its line.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::diagnostic::{Diagnostic, Mark};
use super::super::folder::Found;
use super::super::hint::counted;
use super::super::source::Source;
use super::super::yaml;
use super::metered::Metered;
use super::rows::Format;

/// How many problems of one file are told one by one.
const MAX_TOLD: usize = 20;

/// What is wrong with a row.
#[derive(Clone, Debug)]
pub(in super::super) struct Fault {
    /// From 1.
    line: usize,
    spot: Spot,
    message: String,
    hint: String,
}

/// What to point at in the line of a fault.
#[derive(Clone, Debug)]
pub(in super::super) enum Spot {
    /// All of it.
    Row,
    /// These bytes of the line.
    Bytes(Range<usize>),
    /// This stretch.
    Mark(Mark),
    /// The value of this field; the row, where the field is not in this line.
    Field(String),
    /// The name of this field.
    Key(String),
    /// The column of a CSV file with this index; its end, where it has fewer.
    Column(usize),
}

impl Fault {
    pub(in super::super) fn new(
        line: usize,
        spot: Spot,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { line, spot, message: message.into(), hint: hint.into() }
    }

    /// A fault of a whole row.
    pub(in super::super) fn on(line: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(line, Spot::Row, message, hint)
    }

    /// A fault of one field.
    pub(in super::super) fn of(
        line: usize,
        field: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(line, Spot::Field(field.to_owned()), message, hint)
    }

    /// Its line, and what is wrong with what to do about it, for where there is no file to show.
    pub(in super::super) fn into_words(self) -> (usize, String) {
        let Self { line, message, hint, .. } = self;
        (line, if hint.is_empty() { message } else { format!("{message}: {hint}") })
    }

    /// The row is not UTF-8.
    pub(super) fn not_text(line: usize) -> Self {
        Self::on(line, "the row is not UTF-8", "save the file as UTF-8")
    }

    /// The file cannot be read any further.
    pub(super) fn unread(line: usize, error: &std::io::Error) -> Self {
        Self::on(line, error.to_string(), "nothing behind this row was read")
    }
}

impl From<yaml::Fault> for Fault {
    fn from(fault: yaml::Fault) -> Self {
        Self::new(fault.at.line, Spot::Mark(fault.at), fault.message, fault.hint)
    }
}

/// The faults of one file, not more of them than anybody reads.
#[derive(Debug, Default)]
pub(in super::super) struct Faults {
    told: Vec<Fault>,
    more: u64,
}

impl Faults {
    pub(in super::super) fn push(&mut self, fault: Fault) {
        match self.told.len() {
            MAX_TOLD => self.more += 1,
            _ => self.told.push(fault),
        }
    }

    /// Each at the one place of a source that is no file of its own.
    pub(super) fn diagnostics_at(self, source: &Source, at: Mark) -> Vec<Diagnostic> {
        self.told.into_iter().map(|fault| source.error(at, fault.message).hint(fault.hint)).collect()
    }

    /// Each in its line, which is read once more.
    pub(in super::super) fn diagnostics(self, found: &Found, format: Format) -> Vec<Diagnostic> {
        let lines = Lines::read(found, self.told.iter().map(|fault| fault.line));
        let shown = self.told.into_iter().map(|fault| {
            let (line, mark) = lines.show(&fault, format);
            Diagnostic::error(&found.shown, fault.message).at(mark, Some(&line)).hint(fault.hint)
        });
        let mut shown: Vec<_> = shown.collect();
        if self.more > 0 {
            let more = counted(self.more, "more problem");
            shown.push(Diagnostic::error(&found.shown, format!("and {more} in this file")));
        }
        shown
    }
}

/// Some lines of a file.
struct Lines(BTreeMap<usize, Vec<u8>>);

impl Lines {
    /// The first line, which may name columns, and `wanted`. What cannot be read is shown empty.
    fn read(found: &Found, wanted: impl Iterator<Item = usize>) -> Self {
        let mut lines: BTreeMap<usize, Vec<u8>> =
            wanted.chain([1]).map(|number| (number, Vec::new())).collect();
        let last = lines.keys().next_back().copied().unwrap_or(0);
        let file = found.open().ok().and_then(|file| Metered::new(file).ok());
        if let Some((mut reader, _)) = file {
            let mut line = Vec::new();
            for number in 1..=last {
                // A line that is too long has been read as far as it goes.
                let read = reader.read_line(&mut line);
                if let Some(kept) = lines.get_mut(&number) {
                    kept.clone_from(&line);
                }
                if !matches!(read, Ok(true)) {
                    break;
                }
            }
        }
        Self(lines)
    }

    fn show(&self, fault: &Fault, format: Format) -> (String, Mark) {
        let bytes = self.0.get(&fault.line).map_or(&[][..], Vec::as_slice);
        let line = String::from_utf8_lossy(bytes).into_owned();
        let column = |number: usize| (format == Format::Csv).then(|| csv_field(&line, number)).flatten();
        let range = match (str::from_utf8(bytes), &fault.spot) {
            (Err(error), _) => Some(error.valid_up_to()..error.valid_up_to() + 1),
            (_, Spot::Mark(mark)) => return (line, *mark),
            (_, Spot::Row) => None,
            (_, Spot::Bytes(bytes)) => Some(bytes.clone()),
            (_, Spot::Field(name)) if format == Format::Csv => self.column(name).and_then(column),
            (_, Spot::Field(name)) => entry_of(&line, name).map(|(_, value)| value),
            (_, Spot::Key(name)) => entry_of(&line, name).map(|(key, _)| key),
            (_, Spot::Column(number)) => column(*number).or(Some(line.len()..line.len())),
        };
        let start = line.len() - line.trim_start().len();
        let range = range.unwrap_or(start..line.trim_end().len().max(start));
        let chars = |range: Range<usize>| line.char_indices().filter(|(at, _)| range.contains(at)).count();
        let mark = Mark { line: fault.line, column: chars(0..range.start) + 1, width: chars(range).max(1) };
        (line, mark)
    }

    /// The index of a column of a CSV file.
    fn column(&self, name: &str) -> Option<usize> {
        let header = String::from_utf8_lossy(self.0.get(&1)?);
        (0..).map_while(|at| csv_field(&header, at)).position(|range| header[range].trim_matches('"') == name)
    }
}

/// Where the field with this index stands in a line of CSV.
fn csv_field(line: &str, index: usize) -> Option<Range<usize>> {
    let mut quoted = false;
    let mut ends = line.match_indices(['"', ',']).filter_map(|(at, character)| {
        quoted ^= character == "\"";
        (character == "," && !quoted).then_some(at)
    });
    let start = match index.checked_sub(1) {
        Some(before) => ends.nth(before)? + 1,
        None => 0,
    };
    Some(start..ends.next().unwrap_or(line.len()))
}

/// Where the outermost key `name` and its value stand in a line of JSON or YAML.
fn entry_of(line: &str, name: &str) -> Option<(Range<usize>, Range<usize>)> {
    let mut found = None;
    let (mut at, mut depth, mut outermost) = (0, 0, i32::MAX);
    while let Some(first) = line[at..].chars().next() {
        let end = at + token(&line[at..]);
        depth += i32::from(matches!(first, '{' | '[')) - i32::from(matches!(first, '}' | ']'));
        let value = line[end..].trim_start().strip_prefix(':').map(str::trim_start);
        if let Some(value) = value.filter(|_| line[at..end].trim_matches(['"', '\'']) == name)
            && depth < outermost
        {
            let start = line.len() - value.len();
            outermost = depth;
            found = Some((at..end, start..start + scalar(value)));
        }
        at = end;
    }
    found
}

/// The length of a text in quotation marks, a word, or a lone character.
fn token(text: &str) -> usize {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else { return 0 };
    if matches!(first, '"' | '\'') {
        let mut escaped = false;
        let close = characters.find(|(_, character)| {
            let closes = *character == first && !escaped;
            escaped = *character == '\\' && !escaped && first == '"';
            closes
        });
        return close.map_or(text.len(), |(at, quote)| at + quote.len_utf8());
    }
    let is_word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
    match text.find(|character| !is_word(character)) {
        Some(0) => first.len_utf8(),
        end => end.unwrap_or(text.len()),
    }
}

/// The length of a value: up to what ends it in its list or map.
fn scalar(text: &str) -> usize {
    match text.chars().next() {
        Some('"' | '\'') => token(text),
        Some('{' | '[') => 1,
        _ => text.find([',', '}', ']']).map_or(text, |end| &text[..end]).trim_end().len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_value_of_the_outermost_key() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(entry_of(line, "id").map(|(_, value)| &line[value]), expected, "{line}");
        };
        check(r#"{"id": 1, "x": 2}"#, Some("1"));
        check(r#"{"x": {"id": 2}, "id" : "a, \"b\""}"#, Some(r#""a, \"b\"""#));
        check(r#"{"x": "\"id\": 3", "y": "id"}"#, None);
        check(r#"{"id": [1, 2]}"#, Some("["));
        check("- {id: 1.5, x: a}", Some("1.5"));
        check("- id: a b  ", Some("a b"));
        check("  width: 3", None);
        check("- {id: }", Some(""));
        check("{\"id\": \"é", Some("\"é"));
    }

    #[test]
    fn finds_the_columns_of_csv() {
        let check = |line: &str, index, expected: Option<&str>| {
            assert_eq!(csv_field(line, index).map(|range| &line[range]), expected, "{index} of {line}");
        };
        check("a,b", 0, Some("a"));
        check("a,b", 1, Some("b"));
        check("a,b", 2, None);
        check("\"a, \"\"b\"\"\",c", 1, Some("c"));
        check("a,,c", 1, Some(""));
        check("", 0, Some(""));
    }
}
