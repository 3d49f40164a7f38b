//! Provider limits as people see and change them: what each account allows, who may use how much of it now, and what its day
//! has cost. Workers and the store share them out among themselves; nothing of that happens here.
//!
//! - [`standing`]: what files, people, providers and the ledger say, as one [`document`]
//! - [`set`]: a limit or a cap that somebody sets, or takes back; [`kind`]: which of them
//! - [`resume`]: a pause that somebody lifts
//! - [`metrics`]: the same numbers as Prometheus reads them

pub mod document;
pub mod kind;
pub mod metrics;
pub mod resume;
pub mod set;
pub mod standing;

pub use document::{Lease, LimitEntry, LimitsDocument, MoneyEntry};
pub use kind::Kind;
pub use resume::resume_command;
pub use standing::standing;

/// The account that a limit or a trouble is of, whose own name this is or that of one of its models.
fn account_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(account, _)| account)
}
