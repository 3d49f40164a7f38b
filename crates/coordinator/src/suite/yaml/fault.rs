//! What is wrong with the text of a document, in our words.

use serde_saphyr::Error;
use serde_saphyr::budget::BudgetBreach;

use super::super::diagnostic::Mark;
use super::{MAX_DEPTH, MAX_NODES, MAX_REPEATED, mark};

/// Something wrong with the text.
#[derive(Clone, Debug)]
pub(in super::super) struct Fault {
    pub(in super::super) at: Mark,
    pub(in super::super) message: String,
    pub(in super::super) hint: String,
}

impl Fault {
    pub(super) fn of(error: &Error) -> Self {
        let at = error.location().map_or(Mark { line: 1, column: 1, width: 1 }, mark);
        let too_deep = || (format!("nested more than {MAX_DEPTH} levels deep"), "write it flatter");
        let (message, hint) = match error.without_snippet() {
            Error::MultipleDocuments { .. }
            | Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
                ("a second document begins here".to_owned(), "a file holds one document")
            }
            Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => too_deep(),
            Error::Budget { breach: BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. }, .. } => (
                format!("more than {MAX_NODES} values"),
                "large data belongs into a .jsonl or .csv file, which is read row by row",
            ),
            Error::AliasError { error, .. } => return Self { at, ..Self::of(error) },
            Error::AliasReplayLimitExceeded { .. } => (
                format!("aliases repeat more than {MAX_REPEATED} values"),
                "write out what is repeated, or put it into a file of cases",
            ),
            Error::RecursiveReferencesRequireWeakTypes { .. } => (
                "an alias inside of what it stands for".to_owned(),
                "name something that is complete before it",
            ),
            Error::UnsupportedTag { tag, .. } => (
                format!("the tag `{tag}` means nothing here"),
                "delete it; a text that begins with `!` is quoted",
            ),
            Error::NullIntoString { .. } => ("a key without a name".to_owned(), "write `key: value`"),
            other => {
                let text = other.to_string();
                let message = text.split(" at line ").next().unwrap_or(&text);
                match message {
                    // The scanner's own limit, for brackets.
                    "recursion limit exceeded" => too_deep(),
                    _ => (format!("not YAML: {message}"), "nothing behind this place was read"),
                }
            }
        };
        Self { at, message, hint: hint.to_owned() }
    }

    /// The scanner speaks of a tab where the value before it began: the tab itself is what has to be found.
    pub(super) fn at_tab(self, text: &str) -> Self {
        let indentation =
            |line: &str| line.find(|c: char| c != ' ').filter(|at| line[*at..].starts_with('\t'));
        let tab = text
            .lines()
            .zip(1..)
            .skip(self.at.line - 1)
            .find_map(|(text, line)| Some(Mark { line, column: indentation(text)? + 1, width: 1 }));
        match tab.filter(|_| self.message.contains(" tab")) {
            Some(at) => Self {
                at,
                message: "a tab in the indentation".to_owned(),
                hint: "YAML is indented with spaces".to_owned(),
            },
            None => self,
        }
    }
}
