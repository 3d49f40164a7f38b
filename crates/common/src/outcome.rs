//! How a job ended. An error is never a wrong answer.

use serde::{Deserialize, Serialize};

/// The end of a job. It never changes within a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered, and the answer satisfied the scorers.
    Passed,
    /// Answered, and the answer did not.
    Failed,
    /// No answer could be judged.
    Errored(ErrorKind),
    /// Never asked: the run was cancelled, out of budget or past its deadline.
    Cancelled,
}

impl Outcome {
    /// The word in tables, rows and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Errored(_) => "errored",
            Self::Cancelled => "cancelled",
        }
    }

    /// The kind of an error, as it is written in rows.
    pub fn error_kind(self) -> Option<ErrorKind> {
        match self {
            Self::Errored(kind) => Some(kind),
            _ => None,
        }
    }

    /// Reads back what [`Outcome::word`] and [`ErrorKind::word`] wrote.
    pub fn from_words(word: &str, kind: Option<&str>) -> Option<Self> {
        Some(match word {
            "passed" => Self::Passed,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            "errored" => Self::Errored(ErrorKind::from_word(kind?)?),
            _ => return None,
        })
    }
}

/// Why no answer could be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The provider refused the request for good (400, 404, 413, 422).
    Refused,
    /// The provider kept failing on this request (5xx, time-outs, cut connections).
    Provider,
    /// The provider answered 200 with something that is no answer.
    Malformed,
    /// No recorded answer fits this case, prompt and trial.
    NoRecording,
    /// The prompt or an expectation could not be rendered for this case.
    Template,
    /// A scorer could not judge: out of its time, its memory or its depth.
    Scorer,
    /// Not done within `give_up_after` of its first claim.
    GaveUp,
    /// The job ended the process that ran it, more than once.
    Poison,
    /// The request needs more tokens than its account allows in one window: no wait would make room for it.
    TooLarge,
}

impl ErrorKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Refused,
        Self::Provider,
        Self::Malformed,
        Self::NoRecording,
        Self::Template,
        Self::Scorer,
        Self::GaveUp,
        Self::Poison,
        Self::TooLarge,
    ];

    /// The word in rows, documents and `--kind`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Provider => "provider",
            Self::Malformed => "malformed",
            Self::NoRecording => "no_recording",
            Self::Template => "template",
            Self::Scorer => "scorer",
            Self::GaveUp => "gave_up",
            Self::Poison => "poison",
            Self::TooLarge => "too_large",
        }
    }

    /// Reads back what [`ErrorKind::word`] wrote.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}
