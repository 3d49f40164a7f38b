//! Results become pass rates and a verdict. Pure: values in, values out.
//!
//! In the order in which results pass through:
//!
//! - [`aggregate`]: terminal jobs are folded case by case; memory does not grow with their number
//!   - `measure`: what one case came to under one variant
//!   - [`report`]: the row of a variant in tables and documents
//!   - [`flips`]: which cases changed sides against the baseline
//!   - `evidence`: what one rule of the gate saw of one candidate
//!   - `looks`: the same while the run goes on, for gates that look more than once; [`extent`]: what that is planned by
//!   - [`quantiles`]: latencies that the store looks up
//! - [`paired`]: two arms on the same cases, of one run or of two, for comparisons
//! - [`drift`]: a sweep against a frozen baseline
//! - [`stats`]: intervals and tests
//! - [`gate`]: the evidence is held against the rules
//! - [`Outlook`], [`Sight`]: before a run, what a suite can be expected to see
//!
//! **Invariant:** every sum is of whole numbers, so equal results give equal bytes whatever order they came in.

pub mod aggregate;
pub mod drift;
mod evidence;
pub mod extent;
pub mod flips;
pub mod gate;
mod looks;
mod measure;
mod outlook;
pub mod paired;
pub mod quantiles;
pub mod report;
pub mod stats;

pub use aggregate::{Aggregate, Aggregation};
pub use extent::{Count, Extents};
pub use flips::{Flip, Flips};
pub use gate::{Ruling, judge};
pub use outlook::{Outlook, Sight, best_rate};
pub use quantiles::{Latencies, Quantiles};
pub use report::{LatencyMs, VariantReport, confidence_of};
