//! The right to make one call, and what stands between a job and it.

use std::time::Duration;

use assay_common::limit::Dimension;
use tokio::time::Instant;

use super::super::places::Held;
use super::super::tokens::Tokens;
use super::pool::{Place, Probe};

/// How large a request is, as far as that is known before it is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// Bytes of its prompt.
    pub(crate) bytes: u64,
    /// The most tokens that its answer may have.
    pub(crate) max_tokens: Option<u32>,
}

/// The right to make one call. Dropping it frees its places.
pub(crate) struct Pass {
    pub(super) _slots: Slots,
    pub(super) probe: Option<Probe>,
    pub(super) size: Size,
    pub(super) taken: Taken,
}

/// What a call has taken of the rates.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    /// In each accounting, what it was taken for.
    pub(super) reserved: Tokens,
    pub(super) produced: Tokens,
    /// When; a call that is not made soon takes it anew.
    pub(super) at: Instant,
}

/// The places of a call: of its pool, its model and its account.
pub(super) struct Slots {
    pub(super) _flight: Place,
    pub(super) _model: Option<Held>,
    pub(super) _account: Held,
}

/// No call is let through for longer than a job may wait inside the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// When it is worth asking again.
    pub(crate) reopens_in: Duration,
}

/// Why no pass is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// The door is shut for longer than a job may wait before it.
    Closed(Closed),
    /// No wait would make room.
    TooLarge(TooLarge),
}

impl From<Closed> for Barred {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

impl From<TooLarge> for Barred {
    fn from(too_large: TooLarge) -> Self {
        Self::TooLarge(too_large)
    }
}

/// A request that no window of a limit has room for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request needs about {needed} {dimension}, more than the {most} that {scope} allows in one window, {}: shorten the \
     prompt, lower `max_tokens`, or {}",
    self.by_whom(),
    self.remedy()
)]
pub(crate) struct TooLarge {
    pub(super) scope: String,
    pub(super) dimension: Dimension,
    pub(super) needed: u64,
    pub(super) most: u64,
    pub(super) whose: Whose,
}

/// Who says what a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// assay.toml, here or of another worker.
    File,
    /// An operator, who has set it.
    Operator,
    /// The provider, with a refusal of this very request.
    Provider,
}

impl TooLarge {
    fn by_whom(&self) -> &'static str {
        match self.whose {
            Whose::File => "as assay.toml says",
            Whose::Operator => "as an operator has set it",
            Whose::Provider => "as the provider says, which has refused it",
        }
    }

    fn remedy(&self) -> String {
        match self.whose {
            Whose::File => "raise the limit there if the account has more".to_owned(),
            Whose::Operator => {
                format!("go back to what files say with `assay limits clear {} --reason TEXT`", self.scope)
            }
            Whose::Provider => "have the account's limit raised".to_owned(),
        }
    }
}
