//! What is wrong with a suite, and where: a message, a place, the line itself with carets under it, a hint.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use assay_common::visible::{visible, visible_line};

/// The most diagnostics that are told.
const MAX_TOLD: usize = 200;
/// The longest part of a line that is shown, in characters.
const SHOWN_CHARS: usize = 100;

/// Whether a suite can run with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and probably does not do what was meant.
    Warning,
}

/// One thing that is wrong, or looks wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The file it is in.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The text of `line`, cut to what is shown, with the characters to underline.
    excerpt: Option<Excerpt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Excerpt {
    text: String,
    underlined: Range<usize>,
}

/// A stretch of characters in a file: where a value or a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mark {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// In characters, at least 1; what goes past the end of the line is not shown.
    pub(super) width: usize,
}

impl Diagnostic {
    pub(super) fn error(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            path: path.into(),
            line: None,
            column: None,
            hint: None,
            excerpt: None,
        }
    }

    /// The same as a warning.
    pub fn into_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// The place inside the file, with the text of that line where it is at hand.
    pub(super) fn at(mut self, mark: Mark, line: Option<&str>) -> Self {
        (self.line, self.column) = (Some(mark.line), Some(mark.column));
        self.excerpt = line.map(|line| Excerpt::cut(line, mark));
        self
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The diagnostic as a paragraph for a terminal; with `colour`, in ANSI colours.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let path = self.path.display().to_string();
        let path = visible(&path);
        let mut group = level.primary_title(visible_line(&self.message)).elements(None::<Origin<'_>>);
        group = match (&self.excerpt, self.line) {
            (Some(excerpt), Some(line)) => group.element(
                Snippet::source(&excerpt.text)
                    .line_start(line)
                    .path(path.as_ref())
                    .annotation(AnnotationKind::Primary.span(excerpt.underlined.clone())),
            ),
            _ => group.element(Origin::path(path.as_ref())),
        };
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(visible_line(hint)));
        }
        let text = renderer.render(&[group]);
        match (&self.excerpt, self.line, self.column) {
            // The renderer counts the column in what it is given, which may be a window of the line.
            (Some(excerpt), Some(line), Some(column)) if excerpt.column() != column => {
                let counted = format!("{path}:{line}:{}", excerpt.column());
                text.replacen(&counted, &format!("{path}:{line}:{column}"), 1)
            }
            _ => text,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Excerpt {
    /// A window of the line around the mark: from its start where the mark is near it.
    fn cut(line: &str, mark: Mark) -> Self {
        let line = line.trim_end_matches(['\r', '\n']);
        let marked = mark.column - 1..mark.column - 1 + mark.width.clamp(1, SHOWN_CHARS);
        let skipped =
            if marked.end <= SHOWN_CHARS { 0 } else { marked.start.saturating_sub(SHOWN_CHARS / 2) };
        let mut text = String::from(if skipped > 0 { "…" } else { "" });
        let mut underlined = None;
        let mut rest = line.chars().enumerate().skip(skipped);
        for (at, character) in rest.by_ref().take(SHOWN_CHARS) {
            let start = text.len();
            text.push_str(&visible(character.encode_utf8(&mut [0; 4])));
            if marked.contains(&at) {
                underlined = Some(underlined.map_or(start, |range: Range<usize>| range.start)..text.len());
            }
        }
        // A mark behind the end of the line, where something is missing.
        let underlined = underlined.unwrap_or(text.len()..text.len());
        if rest.next().is_some() {
            text.push('…');
        }
        Self { text, underlined }
    }

    /// Where the mark begins in what is shown, in characters, from 1.
    fn column(&self) -> usize {
        self.text[..self.underlined.start].chars().count() + 1
    }
}

/// Everything that is wrong with a suite: errors first, each group by file and place.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Problems(Vec<Diagnostic>);

impl From<Vec<Diagnostic>> for Problems {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self(diagnostics)
    }
}

impl Problems {
    /// Each of them, warnings last.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0
    }

    /// All of them as text for a terminal, with a count at the end.
    pub fn render(&self, colour: bool) -> String {
        let errors = self.0.iter().filter(|problem| problem.severity == Severity::Error).count();
        let plural = if errors == 1 { "" } else { "s" };
        let mut paragraphs: Vec<_> = self.0.iter().map(|problem| problem.render(colour)).collect();
        paragraphs.push(format!("{errors} error{plural}: nothing was run"));
        paragraphs.join("\n\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// What validation has found so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Diagnostic>);

impl Findings {
    /// Adds one; its hint can still be given.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        let at = self.0.len();
        self.0.push(diagnostic);
        &mut self.0[at]
    }

    /// Adds several.
    pub(super) fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.0.extend(diagnostics);
    }

    /// Adds a warning made from an error.
    pub(super) fn warn(&mut self, diagnostic: Diagnostic) {
        self.push(diagnostic.into_warning());
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many there are that keep a suite from running.
    pub(super) fn errors(&self) -> usize {
        self.0.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// Warnings when there is no error, else everything. `first` is the file to begin with.
    pub(super) fn finish(self, first: &Path) -> Result<Vec<Diagnostic>, Problems> {
        if self.has_errors() { Err(self.into_problems(first)) } else { Ok(self.into_problems(first).0) }
    }

    /// Everything, sorted, none twice, and not more than anybody reads.
    pub(super) fn into_problems(self, first: &Path) -> Problems {
        let mut seen = HashSet::new();
        let mut found: Vec<_> = self.0.into_iter().filter(|found| seen.insert(found.clone())).collect();
        // The sort is stable, so what has no place keeps the order in which it was found; "and 3 more" comes last.
        found.sort_by_cached_key(|d| {
            (d.severity, d.path != first, d.path.clone(), d.line.unwrap_or(usize::MAX), d.column)
        });
        if let Some(more @ 1..) = found.len().checked_sub(MAX_TOLD) {
            found.truncate(MAX_TOLD);
            found.push(Diagnostic::error(first, format!("and {more} more problems")));
        }
        Problems(found)
    }
}
