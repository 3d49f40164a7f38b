//! What members ask of limits, and what they are answered.

use std::fmt;
use std::time::Duration;

use assay_common::limit::Dimension;

use super::headroom::Profile;
use super::known::Said;

/// A want of everything there is.
pub const ALL: u64 = i64::MAX as u64;

/// What a member asks of one limit with a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The account or the model, as tables name it.
    pub scope: String,
    /// What the limit counts.
    pub dimension: Dimension,
    /// What the member's assay.toml says the limit is, a minute or at once.
    pub configured: Option<u64>,
    /// How the provider counts, by the member's assay.toml.
    pub profile: Profile,
    /// What it would like: millionths a second, or calls at once; [`ALL`]: as much as there is.
    pub want: u64,
    /// The most it uses in one moment.
    pub burst: u64,
    /// The grant it goes by, 0 for none. Of calls at once only when it holds no more than that allows.
    pub acked: u64,
    /// What it has used since it began, or calls that it holds.
    pub used: u64,
    /// What the provider has said since the last renewal.
    pub said: Option<Said>,
    /// The provider has refused a call since the last renewal.
    pub refused: Option<Refusal>,
    /// Tokens that the request at the head of the line still has to gather; `None`: nobody waits for any.
    pub lacks: Option<u64>,
    /// Tokens that it needs in all.
    pub needs: Option<u64>,
}

impl Ask {
    /// The first of who does not name a limit that others do: as much as there is for him.
    pub(super) fn unnamed(scope: &str, dimension: Dimension, profile: Profile) -> Self {
        Self {
            scope: scope.to_owned(),
            dimension,
            configured: None,
            profile,
            want: ALL,
            burst: 1,
            acked: 0,
            used: 0,
            said: None,
            refused: None,
            lacks: None,
            needs: None,
        }
    }
}

/// A call that a provider has refused for its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Nobody may call for so long.
    pub pause: Duration,
    /// Whether the provider says that this limit is used up. Else it is one of its scope that was: that which was nearest to it.
    pub is_told: bool,
}

/// What a member may use of one limit from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As in the [`Ask`].
    pub scope: String,
    /// As in the [`Ask`].
    pub dimension: Dimension,
    /// The number of the grant, for [`Ask::acked`].
    pub seq: u64,
    /// Millionths a second, or calls at once; `None`: nothing limits it.
    pub amount: Option<u64>,
    /// The limit that counts, a minute or at once, where one is known.
    pub limit: Option<u64>,
    /// What somebody here says that it is, whatever the provider says.
    pub firm: Option<Firm>,
    /// Nobody begins a call for so long.
    pub paused_for: Duration,
    /// How often somebody has lifted what held the calls of this scope back; once more than before: whoever holds calls back for
    /// what he was told earlier does so no longer.
    pub resumed: u64,
    /// Why it is less than might be expected.
    pub why: Option<Why>,
}

/// A limit, a minute or at once, that somebody has written down: unlike what a provider said once it does not pass by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firm {
    /// How much.
    pub limit: u64,
    /// An operator has set it; else a file says so.
    pub is_set: bool,
}

/// Why a member, or all together, may use less of a limit than assay.toml says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The provider has refused a call.
    Paused,
    /// The limit is too small for so many senders: the others send for all.
    Crowded {
        /// How many send.
        senders: usize,
    },
    /// The provider has refused more than this rate, which grows again.
    Cut,
    /// Somebody else uses the account, by what the provider says is left.
    Stranger,
    /// The provider says that the limit is less than assay.toml, or an operator, says.
    Contradicted {
        /// What it says, a minute.
        says: u64,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("the provider has refused a call for its rate"),
            Self::Crowded { senders } => {
                write!(
                    f,
                    "the limit is too small to be shared further: {senders} of the workers send for all"
                )
            }
            Self::Cut => f.write_str("the provider has refused more; the rate grows again"),
            Self::Stranger => {
                f.write_str("by what the provider says is left, somebody else uses the account too")
            }
            Self::Contradicted { says } => write!(f, "the provider says that the limit is {says}"),
        }
    }
}
