//! What is observed of a call, and the class it falls into: the table of the delivery rules, pure.

use std::time::Duration;

use assay_common::usage::Usage;

use super::meter::Meters;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    pub(crate) reply: Reply,
    /// What the provider asked us to wait, if it did.
    pub(crate) retry_after: Option<Duration>,
    /// What it said of its limits.
    pub(crate) meters: Meters,
    /// Where the call's latency comes from.
    pub(crate) measured: Measured,
}

impl Observation {
    /// Of a call that this process broke off.
    pub(crate) fn cut(why: &str) -> Self {
        let (retry_after, meters) = Default::default();
        Self { reply: Reply::Broken(why.to_owned()), retry_after, meters, measured: Measured::Here }
    }
}

/// What a call's latency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    /// The time from sending to the end of the reply.
    Here,
    /// In microseconds, when the answer was recorded.
    Then(i64),
    /// Nothing.
    Never,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// An answer, a refusal by the model or a cut-off included: an outcome.
    Answer(Answer),
    /// Nothing was sent: no name, no connection, no TLS.
    Unsent(String),
    /// The request was sent and no reply came, or not all of it.
    Broken(String),
    /// An HTTP status other than success.
    Status { status: u16, error: ErrorBody },
    /// Success, with something that is no answer.
    Malformed { status: u16, bytes: Vec<u8>, problem: String },
}

/// The model's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) finish_reason: Option<String>,
    pub(crate) usage: Usage,
    pub(crate) status: Option<u16>,
}

/// What a provider says about a request that it did not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorBody {
    /// For a person; bounded, every key struck out.
    pub(crate) message: String,
    /// Its `code` and `type`, where it gave them.
    pub(crate) codes: Vec<String>,
}

/// The class of a call: a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// There is an answer to score.
    Answered,
    /// Nothing was sent.
    Unsent,
    /// Sent, perhaps billed, nothing usable came back.
    Ambiguous,
    /// The provider failed for now.
    Transient,
    /// The account's rate is used up for now.
    RateLimited,
    /// The account cannot be used; the word says why.
    Account(&'static str),
    /// The provider refused this request for good.
    Refused,
    /// Success without an answer.
    Malformed,
}

impl Class {
    /// The word in the ledger of calls.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unsent => "unsent",
            Self::Ambiguous => "ambiguous",
            Self::Transient => "transient",
            Self::RateLimited => "rate_limited",
            Self::Account(_) => "account",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
        }
    }

    /// Whether a call of this class was surely billed, surely not, or nobody knows.
    pub(crate) fn billed(self) -> Option<bool> {
        match self {
            Self::Answered | Self::Malformed => Some(true),
            Self::Unsent | Self::RateLimited | Self::Account(_) | Self::Refused => Some(false),
            // A gateway may fail after the model has answered.
            Self::Ambiguous | Self::Transient => None,
        }
    }
}

/// The class of what was observed.
pub(crate) fn classify(reply: &Reply) -> Class {
    match reply {
        Reply::Answer(_) => Class::Answered,
        Reply::Unsent(_) => Class::Unsent,
        Reply::Broken(_) => Class::Ambiguous,
        Reply::Malformed { .. } => Class::Malformed,
        Reply::Status { status, error } => match status {
            429 if error.is_about_money() => Class::Account("quota"),
            429 => Class::RateLimited,
            401 => Class::Account("unauthorized"),
            402 => Class::Account("payment_required"),
            403 => Class::Account("forbidden"),
            408 | 409 | 425 | 500..=599 => Class::Transient,
            _ => Class::Refused,
        },
    }
}

impl ErrorBody {
    /// A 429 that no waiting cures.
    fn is_about_money(&self) -> bool {
        self.codes.iter().any(|code| code == "insufficient_quota" || code.starts_with("billing"))
    }
}

impl Reply {
    /// What was observed, for a person; nothing for an answer.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Answer(_) => String::new(),
            Self::Unsent(why) => format!("nothing could be sent: {why}"),
            Self::Broken(why) => format!("the call broke off: {why}"),
            Self::Status { status, error } if error.message.is_empty() => format!("status {status}"),
            Self::Status { status, error } => format!("status {status}: {}", error.message),
            Self::Malformed { problem, .. } => format!("the reply is no answer: {problem}"),
        }
    }

    /// The HTTP status, where one came.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => answer.status,
            Self::Status { status, .. } | Self::Malformed { status, .. } => Some(*status),
            Self::Unsent(_) | Self::Broken(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_class() {
        let check = |statuses: &[u16], code: &str, expected: Class| {
            for status in statuses {
                let error = ErrorBody { message: String::new(), codes: vec![code.to_owned()] };
                assert_eq!(classify(&Reply::Status { status: *status, error }), expected, "{status} {code}");
            }
        };
        check(&[408, 409, 425, 500, 502, 503, 504, 529, 599], "", Class::Transient);
        check(&[429], "", Class::RateLimited);
        check(&[429], "rate_limit_exceeded", Class::RateLimited);
        check(&[429], "insufficient_quota", Class::Account("quota"));
        check(&[429], "billing_hard_limit_reached", Class::Account("quota"));
        check(&[401], "", Class::Account("unauthorized"));
        check(&[402], "", Class::Account("payment_required"));
        check(&[403], "", Class::Account("forbidden"));
        check(&[400, 404, 413, 422, 405, 451, 301, 307], "", Class::Refused);
    }

    #[test]
    fn what_is_no_status_has_its_class_too() {
        let check = |reply: Reply, expected: Class, billed: Option<bool>| {
            assert_eq!((classify(&reply), classify(&reply).billed()), (expected, billed));
        };
        check(Reply::Answer(Answer::default()), Class::Answered, Some(true));
        check(Reply::Unsent(String::new()), Class::Unsent, Some(false));
        check(Reply::Broken(String::new()), Class::Ambiguous, None);
        let malformed = Reply::Malformed { status: 200, bytes: vec![0xff], problem: String::new() };
        check(malformed, Class::Malformed, Some(true));
    }
}
