//! Scorers as a suite asks for them. What they do with an output is the worker's; this is what is frozen.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::score::Millionths;

/// One entry of a suite's `score:`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scorer {
    /// What is asked of the output.
    #[serde(flatten)]
    pub check: Check,
    /// `not-` in front of the type: the grade is inverted, an error never is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub negated: bool,
    /// Its share of the weighted score. At 0 it is recorded and decides nothing.
    pub weight: Millionths,
    /// Scores of one metric are aggregated under its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The part of the output to look at; all of it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<Extract>,
}

impl Scorer {
    /// The type as the suite writes it, `not-` included.
    pub fn type_name(&self) -> String {
        format!("{}{}", if self.negated { "not-" } else { "" }, self.check.type_name())
    }
}

/// What is asked of an output. Strings inside a `value` are templates over the case's variables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Check {
    /// Text: equal as it stands. Object or list: equal to the output parsed as JSON.
    Equals {
        /// What it must equal.
        value: Value,
    },
    /// The text occurs in the output.
    Contains {
        /// A string or a number.
        value: Value,
    },
    /// The same, whatever the case of letters.
    Icontains {
        /// A string or a number.
        value: Value,
    },
    /// At least one text occurs.
    ContainsAny {
        /// A list, or one string split on commas outside double quotes.
        value: Value,
    },
    /// The same, whatever the case of letters.
    IcontainsAny {
        /// A list, or one string split on commas outside double quotes.
        value: Value,
    },
    /// Every text occurs.
    ContainsAll {
        /// A list, or one string split on commas outside double quotes.
        value: Value,
    },
    /// The same, whatever the case of letters.
    IcontainsAll {
        /// A list, or one string split on commas outside double quotes.
        value: Value,
    },
    /// The pattern matches somewhere.
    Regex {
        /// The pattern, possibly with template expressions.
        value: String,
    },
    /// The output begins with the text.
    StartsWith {
        /// A string or a number.
        value: Value,
    },
    /// Both sides read as decimals, at most `tolerance` apart.
    Number {
        /// A number, or a string that renders to one.
        value: Value,
        /// The largest difference that passes, as a decimal text.
        tolerance: String,
    },
    /// The output parses as JSON and satisfies the schema, if there is one.
    IsJson {
        /// A JSON Schema (draft-07 where it does not name another).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
    },
}

impl Check {
    /// Every type, as a suite writes it without `not-`.
    pub const TYPES: [&'static str; 11] = [
        "equals",
        "contains",
        "icontains",
        "contains-any",
        "icontains-any",
        "contains-all",
        "icontains-all",
        "regex",
        "starts-with",
        "number",
        "is-json",
    ];

    /// Whether its grade is always 0 or 1, so that tests for proportions hold for it.
    pub fn is_binary(&self) -> bool {
        match self {
            Self::Equals { .. }
            | Self::Contains { .. }
            | Self::Icontains { .. }
            | Self::ContainsAny { .. }
            | Self::IcontainsAny { .. }
            | Self::ContainsAll { .. }
            | Self::IcontainsAll { .. }
            | Self::Regex { .. }
            | Self::StartsWith { .. }
            | Self::Number { .. }
            | Self::IsJson { .. } => true,
        }
    }

    /// The type as a suite writes it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Equals { .. } => "equals",
            Self::Contains { .. } => "contains",
            Self::Icontains { .. } => "icontains",
            Self::ContainsAny { .. } => "contains-any",
            Self::IcontainsAny { .. } => "icontains-any",
            Self::ContainsAll { .. } => "contains-all",
            Self::IcontainsAll { .. } => "icontains-all",
            Self::Regex { .. } => "regex",
            Self::StartsWith { .. } => "starts-with",
            Self::Number { .. } => "number",
            Self::IsJson { .. } => "is-json",
        }
    }
}

/// Which part of an output a scorer looks at. No match is a failed score with that reason, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extract {
    /// The pattern's first match: group 1, or the whole match without a group.
    Regex(String),
    /// The first node a JSONPath (RFC 9535) selects in the output parsed as JSON.
    Json(String),
    /// The last number in the text.
    LastNumber,
    /// The last line that is not blank.
    LastLine,
}
