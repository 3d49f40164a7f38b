//! Why something about a release was not done: one enum for the command line and the API.

use assay_store::StoreError;

use super::rules::Refusal;

/// Why something about a release was not done.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// What was named is not there.
    #[error("{what}{}", .hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}")))]
    Unknown {
        /// What is not there.
        what: String,
        /// What might have been meant.
        hint: Option<String>,
    },
    /// What was asked makes no sense.
    #[error("{0}")]
    Input(String),
    /// Things do not stand so that it could be done.
    #[error("{0}")]
    State(String),
    /// The verdicts do not carry it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else was first.
    #[error("{0}")]
    Raced(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
