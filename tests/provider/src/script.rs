//! What the provider answers and when it misbehaves: a value in tests, JSON on the wire.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::strict::Refused;

/// All of a provider's behaviour. The default answers at once with the last message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// How long an answer takes.
    pub latency: Latency,
    /// What a good answer says.
    pub answer: Answer,
    /// The first that holds for a call decides it; none: a good answer.
    pub rules: Vec<Rule>,
    /// What tokens cost on the bill.
    pub price: Price,
    /// What the account is allowed; none: everything.
    pub limits: Option<Limits>,
    /// The key that every call must carry; none: no key is looked at.
    pub api_key: Option<String>,
    /// Chance repeats with it.
    pub seed: u64,
}

/// How long an answer takes from the request's last byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// Always so many milliseconds.
    FixedMs(u64),
    /// Between two numbers of milliseconds, both included.
    UniformMs(u64, u64),
}

impl Default for Latency {
    fn default() -> Self {
        Self::FixedMs(0)
    }
}

/// What a good answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The last message, as it came.
    #[default]
    Echo,
    /// Always this.
    Fixed(String),
    /// The answer beside the first text that occurs in the last message, else `otherwise`.
    Map {
        /// Pairs of a text and the answer to messages that hold it.
        entries: Vec<(String, String)>,
        /// The answer to every other message.
        otherwise: String,
    },
    /// The value of the arithmetic expression in the last message, `?` where there is none.
    Expression,
}

/// A reaction and when it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which calls it holds for.
    #[serde(default)]
    pub when: When,
    /// What happens to them.
    pub then: Reaction,
}

/// Conditions on a call; all that are given must hold. The default holds always.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The call's number, from 1.
    pub call: Option<u64>,
    /// Text that occurs in the last message.
    pub prompt: Option<String>,
    /// Share of calls in [0, 1], drawn from the seed, the prompt and how often it was asked before: the same
    /// calls are struck however they are timed.
    pub share: Option<f64>,
    /// Only the first so many calls with the same prompt.
    pub first: Option<u32>,
    /// Only the first so many calls that the other conditions hold for.
    pub times: Option<u64>,
}

/// What happens to a call in place of a good answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// An error in OpenAI's shape.
    Status {
        /// The HTTP status.
        code: u16,
        /// The header `Retry-After`.
        #[serde(default)]
        retry_after: Option<String>,
        /// The `error.code`; by default the usual one of the status.
        #[serde(default)]
        error: Option<String>,
    },
    /// Any reply at all.
    Reply {
        /// The HTTP status.
        status: u16,
        /// Names and values of headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body as it stands.
        body: String,
    },
    /// A good answer, so many milliseconds later than usual.
    SlowMs(u64),
    /// No answer, ever.
    Hang,
    /// The connection is closed after the request was read.
    Close,
    /// The connection is reset after the request was read.
    Reset,
    /// The connection is closed in the middle of the body.
    Cut,
    /// Half of the body, and then nothing, ever.
    Stall,
    /// A good answer, a byte every tenth of a second.
    Drip,
    /// A complete HTTP reply whose JSON ends in the middle.
    TruncatedJson,
    /// An answer with bytes that are no UTF-8.
    InvalidUtf8,
    /// An answer with NUL in it.
    Nul,
    /// An answer with the escape of half a surrogate pair.
    LoneSurrogate,
    /// An answer of so many bytes.
    Huge(usize),
    /// An answer of so many bytes, a thousandth of it on the wire.
    GzipBomb(usize),
    /// `content` is null and `refusal` says why.
    Refusal(String),
    /// A good answer that ended for this reason, such as `length` or `content_filter`.
    Finish(String),
    /// A good answer whose usage no counter holds.
    AbsurdUsage,
    /// A good answer without usage.
    MissingUsage,
}

/// What tokens cost, in nano-dollars for 10⁶ of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the request.
    pub input_per_mtok: u64,
    /// Of the answer.
    pub output_per_mtok: u64,
}

impl Price {
    /// The cost in nano-dollars, each side rounded up.
    pub fn cost(self, input_tokens: u64, output_tokens: u64) -> u64 {
        (input_tokens * self.input_per_mtok).div_ceil(1_000_000)
            + (output_tokens * self.output_per_mtok).div_ceil(1_000_000)
    }
}

impl Script {
    /// Good answers of this kind, at once.
    pub fn answering(answer: Answer) -> Self {
        Self { answer, ..Self::default() }
    }

    /// The same, each answer taking this long.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = Latency::FixedMs(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The same, held to these limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The same, with one rule more after those it has.
    pub fn rule(mut self, when: When, then: Reaction) -> Self {
        self.rules.push(Rule { when, then });
        self
    }
}

impl When {
    /// Every call.
    pub fn always() -> Self {
        Self::default()
    }

    /// The call with this number, from 1.
    pub fn call(number: u64) -> Self {
        Self { call: Some(number), ..Self::default() }
    }

    /// Calls whose last message holds this text.
    pub fn prompt(text: &str) -> Self {
        Self { prompt: Some(text.to_owned()), ..Self::default() }
    }

    /// This share of calls.
    pub fn share(share: f64) -> Self {
        Self { share: Some(share), ..Self::default() }
    }

    /// The same, but only the first `count` calls with the same prompt.
    pub fn first(mut self, count: u32) -> Self {
        self.first = Some(count);
        self
    }

    /// The same, but only the first `count` calls of all.
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }
}

impl Reaction {
    /// An error of this status, with the error code that goes with it.
    pub fn status(code: u16) -> Self {
        Self::Status { code, retry_after: None, error: None }
    }

    /// 429 with a `Retry-After` of so many seconds.
    pub fn retry_after(seconds: u64) -> Self {
        Self::Status { code: 429, retry_after: Some(seconds.to_string()), error: None }
    }

    /// 429 because the account's limits have no room.
    pub(crate) fn over_the_limit(refused: Refused) -> Self {
        let retry_after = refused.retry_after.map(|seconds| seconds.to_string());
        Self::Status { code: 429, retry_after, error: None }
    }

    /// 429 because the account has no credit left.
    pub fn insufficient_quota() -> Self {
        Self::Status { code: 429, retry_after: None, error: Some("insufficient_quota".to_owned()) }
    }

    /// The HTTP status the client sees; `None` when it sees none.
    pub(crate) fn shown_status(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            Self::Reply { status, .. } => Some(*status),
            Self::Hang | Self::Close | Self::Reset => None,
            _ => Some(200),
        }
    }

    /// Whether the model worked and the call is paid for, whatever the client got of it.
    pub(crate) fn is_billed(&self) -> bool {
        !matches!(self, Self::Status { .. } | Self::Reply { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Window;

    #[test]
    fn json_reads_back_as_the_value_it_was() {
        let script = Script::answering(Answer::Fixed("x".to_owned()))
            .latency(Duration::from_millis(7))
            .rule(When::call(3).times(1), Reaction::retry_after(2))
            .rule(When::prompt("boom"), Reaction::Reset)
            .rule(When::share(0.5).first(2), Reaction::GzipBomb(9));
        let json = serde_json::to_string(&script).unwrap();
        assert_eq!(serde_json::from_str::<Script>(&json).unwrap(), script);
        let written =
            r#"{"latency": {"uniform_ms": [1, 5]}, "rules": [{"then": {"status": {"code": 503}}}]}"#;
        let read: Script = serde_json::from_str(written).unwrap();
        assert_eq!(read.rules, [Rule { when: When::always(), then: Reaction::status(503) }]);
        let limits = r#"{"limits": {"requests_per_minute": 600, "window": "bucket", "headers": "openai"}}"#;
        let read: Script = serde_json::from_str(limits).unwrap();
        let expected = Limits { window: Window::Bucket, ..Limits::requests(600) };
        assert_eq!(read.limits, Some(expected));
        assert!(serde_json::from_str::<Script>(r#"{"latencies": 1}"#).is_err());
    }
}
