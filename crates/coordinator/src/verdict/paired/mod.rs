//! Two arms on the same cases, of one run or of two: what `assay compare` is made of. Pure.
//!
//! - [`cases`]: what the cases of a dataset are known by
//! - [`side`]: the results of a run become cases, one after the other
//! - [`fold`]: the cases of both sides meet and are folded
//! - `difference`: into differences with interval and p-value
//! - [`shape`]: what goes in and what comes out
//!
//! **Invariant:** no answer is held. Of two runs, whose orders differ, about two hundred bytes are held for each case and
//! pair of arms, and eight for each latency.

pub mod cases;
mod difference;
pub mod fold;
pub mod shape;
pub mod side;

pub use cases::Cases;
pub use fold::Pairing;
pub use shape::{CostRatio, Difference, FlippedCase, Paired, SliceDifference, Terms, Test};
pub use side::{ClosedCase, Side};
