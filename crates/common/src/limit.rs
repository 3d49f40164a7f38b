//! The words of a provider's limits: what one counts, and over what. What assay.toml says of them is in
//! [`crate::config`]; who may use how much of one is the store's to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Requests begun, a minute.
    Requests,
    /// Tokens of prompts and answers together, a minute.
    Tokens,
    /// Tokens of prompts, a minute.
    InputTokens,
    /// Tokens of answers, a minute.
    OutputTokens,
    /// Requests begun and not yet answered, at once.
    InFlight,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Requests, Self::Tokens, Self::InputTokens, Self::OutputTokens, Self::InFlight];

    /// Its name in columns, in replies and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::InFlight => "in_flight",
        }
    }

    /// Whether it is counted over a window of time, rather than at once.
    pub fn is_rate(self) -> bool {
        self != Self::InFlight
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|dimension| dimension.word() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::word).join(", ");
            format!("`{text}` is no dimension of a limit; there are {known}")
        })
    }
}

/// How a provider counts what is used of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// In any stretch of the window's length.
    #[default]
    Sliding,
    /// From one full minute (or whatever its length is) to the next.
    Fixed,
    /// As a bucket that holds a window's worth and is filled evenly.
    Bucket,
}

impl Window {
    /// Its name in columns and in assay.toml.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sliding => "sliding",
            Self::Fixed => "fixed",
            Self::Bucket => "bucket",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_is_read_as_it_is_written() {
        for dimension in Dimension::ALL {
            assert_eq!(dimension.to_string().parse(), Ok(dimension));
        }
        assert!("request".parse::<Dimension>().unwrap_err().contains("requests, tokens"));
    }
}
