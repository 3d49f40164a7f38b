//! A refusal as its reader gets it: a problem detail (RFC 9457), with what to do about it.

use serde::{Deserialize, Serialize};

use crate::suite::Objection;

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which kind of problem, as a URI that never changes: `urn:assay:problem:…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// What to do, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Everything that is wrong with a suite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Objection>,
}
