//! Why something about a release was not done: one enum for the command line and the API.
//!
//! **Invariant:** each is told on one line, whatever the names it holds are made of; only a refusal has a line for each rule.

use assay_common::visible::visible_line;
use assay_store::StoreError;

use super::rules::Refusal;

/// Why something about a release was not done.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// What was named is not there.
    #[error("{}{}", visible_line(.what), .hint.as_ref().map_or_else(String::new, |hint| format!("; {}", visible_line(hint))))]
    Unknown {
        /// What is not there.
        what: String,
        /// What might have been meant.
        hint: Option<String>,
    },
    /// What was asked makes no sense.
    #[error("{}", visible_line(.0))]
    Input(String),
    /// Things do not stand so that it could be done.
    #[error("{}", visible_line(.0))]
    State(String),
    /// The verdicts do not carry it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else was first.
    #[error("{}", visible_line(.0))]
    Raced(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
