//! What the account of a script is allowed: values in tests, JSON on the wire. [`crate::strict`] holds callers to it.

use serde::{Deserialize, Serialize};

/// Limits of an account. The default limits nothing. What is not said of a minute is not limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, of requests and answers together.
    pub tokens_per_minute: Option<u64>,
    /// Tokens a minute of requests alone.
    pub input_tokens_per_minute: Option<u64>,
    /// Tokens a minute of answers alone.
    pub output_tokens_per_minute: Option<u64>,
    /// Requests admitted and not yet answered.
    pub in_flight: Option<u64>,
    /// How a minute is counted.
    pub window: Window,
    /// What is counted in one piece, in milliseconds: of a limit a minute, its share of a minute.
    pub window_ms: u64,
    /// When the tokens of an answer are counted.
    pub answers: Answers,
    /// In whose words every reply says what is left; `None`: it says nothing.
    pub headers: Option<Dialect>,
    /// Whether a 429 says when to come back.
    pub retry_after: bool,
    /// Somebody else who uses the same key.
    pub hidden: Option<Hidden>,
}

/// How a minute is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// In any window, wherever it begins.
    #[default]
    Sliding,
    /// In windows one after the other, the first of which begins with the provider.
    Fixed,
    /// By a bucket that holds a window's share, is full at first and fills evenly.
    Bucket,
}

/// When the tokens of an answer are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// With the request: as many as it allows by `max_tokens`, else as many as there will be.
    #[default]
    Reserved,
    /// When the answer ends, even if they are more than was left.
    Produced,
}

/// The headers that tell of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `x-ratelimit-limit-requests`, `x-ratelimit-reset-tokens` …: of requests and of tokens together.
    #[serde(rename = "openai")]
    OpenAi,
    /// `anthropic-ratelimit-requests-limit`, `anthropic-ratelimit-output-tokens-reset` …
    Anthropic,
}

/// A client nobody knows of: it calls evenly, and leaves when it is refused until its next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hidden {
    /// How often it calls.
    pub requests_per_minute: u64,
    /// The tokens of each of its requests; its answers have none.
    #[serde(default)]
    pub tokens: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            input_tokens_per_minute: None,
            output_tokens_per_minute: None,
            in_flight: None,
            window: Window::default(),
            window_ms: MINUTE_MS,
            answers: Answers::default(),
            headers: Some(Dialect::OpenAi),
            retry_after: true,
            hidden: None,
        }
    }
}

/// What limits are said of.
pub(crate) const MINUTE_MS: u64 = 60_000;

impl Limits {
    /// So many requests in any minute.
    pub fn requests(per_minute: u64) -> Self {
        Self { requests_per_minute: Some(per_minute), ..Self::default() }
    }

    /// A window's share of a limit a minute: at least one.
    pub(crate) fn of_window(&self, per_minute: u64) -> u64 {
        (per_minute.saturating_mul(self.window_ms) / MINUTE_MS).max(1)
    }
}
