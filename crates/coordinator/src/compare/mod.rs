//! What changed between two runs, or two versions of a prompt: text, pass rates, flipped cases, money and time.
//!
//! In the order in which a comparison is made:
//!
//! - [`side`]: what was asked for becomes a run and some of its variants
//! - `live`: a channel that stands alone becomes the version that is live there
//! - `arms`: which variant of one side is held against which of the other
//! - [`text`]: what changed in the prompts
//! - `read`: the results of both sides are folded case by case (`verdict::paired`), and answers of flipped cases looked up
//! - [`shape`]: what goes out

mod arms;
mod live;
mod read;
pub mod shape;
pub mod side;
pub mod text;

use assay_common::visible::visible_line;
use assay_store::StoreError;

pub use self::read::compare;
pub use self::shape::{Comparison, FlippedAnswer, PairReport, SideReport};
use crate::release::ReleaseError;

/// How many flipped cases are shown each way where nobody says.
pub const DEFAULT_FLIPS: usize = 5;
/// The most flipped cases that are shown each way.
pub const MAX_FLIPS: usize = 100;

/// Why two sides were not compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// It names nothing that can be compared.
    #[error("`{}` is neither the id of a run nor NAME@VERSION nor a channel; `assay status` lists runs", visible_line(.0))]
    Unreadable(String),
    /// It names something that is not there.
    #[error("{}", visible_line(.0))]
    Unknown(String),
    /// There is nothing to hold against each other.
    #[error("{}", visible_line(.0))]
    NoPair(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ReleaseError> for CompareError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Store(error) => Self::Store(error),
            error => Self::Unknown(error.to_string()),
        }
    }
}

/// What is to be compared.
#[derive(Clone, Debug)]
pub struct Request {
    /// The side before: a run, NAME@VERSION or a channel, each with `:LABEL` where one of its prompts or models is meant.
    pub before: String,
    /// The side after.
    pub after: String,
    /// How many flipped cases to show each way, at most [`MAX_FLIPS`].
    pub flips: usize,
}
