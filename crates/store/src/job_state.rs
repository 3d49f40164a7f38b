//! Where a job stands, as its row says.

use std::str::FromStr;

/// `pending → running → terminal`; a running job that is given back is pending again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    /// Waits to be claimed.
    Pending,
    /// Held by a member.
    Running,
    /// Ended; its outcome does not change within its generation.
    Terminal,
}

impl FromStr for JobState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "pending" => Self::Pending,
            "running" => Self::Running,
            "terminal" => Self::Terminal,
            _ => return Err(format!("`{word}` is no state of a job")),
        })
    }
}
