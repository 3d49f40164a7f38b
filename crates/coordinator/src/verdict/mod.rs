//! Results become pass rates and a verdict. Pure: values in, values out.
//!
//! In the order in which results pass through:
//!
//! - [`aggregate`]: terminal jobs are folded case by case; memory does not grow with their number
//!   - `measure`: what one case came to under one variant
//!   - [`report`]: the row of a variant in tables and documents
//!   - [`flips`]: which cases changed sides against the baseline
//!   - `evidence`: what one rule of the gate saw of one candidate
//!   - [`quantiles`]: latencies that the store looks up
//! - [`paired`]: two arms on the same cases, of one run or of two, for comparisons
//! - [`stats`]: intervals and tests
//! - [`gate`]: the evidence is held against the rules
//! - [`Outlook`]: before a run, what a suite can be expected to see
//!
//! **Invariant:** every sum is of whole numbers, so equal results give equal bytes whatever order they came in.

pub mod aggregate;
mod evidence;
pub mod flips;
pub mod gate;
mod measure;
mod outlook;
pub mod paired;
pub mod quantiles;
pub mod report;
pub mod stats;

pub use aggregate::{Aggregate, Aggregation};
pub use flips::{Flip, Flips};
pub use gate::judge;
pub use outlook::Outlook;
pub use quantiles::Quantiles;
pub use report::{LatencyMs, VariantReport, confidence_of};
