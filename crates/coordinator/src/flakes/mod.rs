//! Cases that waver: the ledger of their repeats over runs, and the quarantine of those that are known to.
//!
//! - [`ledger`]: trials, flips and rate of every case, version and model, added up from the results themselves
//! - [`quarantine`]: who may be put under quarantine, and what a verdict would be without them; [`desk`]: who puts them there

pub mod desk;
pub mod ledger;
pub mod quarantine;

pub use ledger::{Ledger, LedgerLine, read};
pub use quarantine::{Quarantined, QuarantinedCase};
