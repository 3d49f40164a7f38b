//! Releases: which version of a prompt is live on which channel, on what evidence, and what is wrong with it.
//!
//! In the order of a prompt's life:
//!
//! - [`registry`]: prompts and versions found by name, number or digest; `channel`: how channels are named
//! - [`rules`]: whether the verdicts on a version carry its promotion; pure
//! - [`desk`]: promote, roll back, rehearse; [`incident`]: opened, acknowledged, linked, resolved
//! - [`verify`]: whether a content may be deployed
//! - [`document`]: the shapes that go out; [`error`]: why something was not done
//!
//! **Invariant:** what is live changes only by a row added after the one that was seen, with its row of the audit.

pub(crate) mod channel;
pub mod desk;
pub mod document;
pub mod error;
pub mod incident;
pub mod registry;
pub mod rules;
pub mod verify;

pub use desk::{Desk, Promote};
pub use error::ReleaseError;
pub use registry::Which;
pub use rules::Refusal;
