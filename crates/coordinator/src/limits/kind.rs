//! Which limit of an account is meant: one of its dimensions, or its money.

use std::fmt;
use std::str::FromStr;

use assay_common::limit::Dimension;
use serde::{Deserialize, Serialize};

/// The name of a cap in paths and documents, which is its key in assay.toml.
pub const MONEY: &str = "budget_usd_per_day";

/// One of the limits of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// Requests or tokens a minute, or requests in flight.
    Of(Dimension),
    /// What its calls may cost in a day of UTC.
    Money,
}

impl Kind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Dimension::ALL.into_iter().map(Self::Of).chain([Self::Money])
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(dimension) => dimension.fmt(f),
            Self::Money => f.write_str(MONEY),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().find(|kind| kind.to_string() == text).ok_or_else(|| {
            let known: Vec<_> = Self::all().map(|kind| kind.to_string()).collect();
            format!("`{text}` is no dimension of a limit; there is {}", known.join(", "))
        })
    }
}

impl TryFrom<String> for Kind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.to_string()
    }
}
