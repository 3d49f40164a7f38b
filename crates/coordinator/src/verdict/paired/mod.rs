//! Two arms on the same cases, of one run or of two: what `assay compare` is made of. Pure.
//!
//! - [`side`]: the results of a run become cases, one after the other
//! - [`fold`]: the cases of both sides meet and are folded into differences
//!
//! **Invariant:** within a run nothing is held but sums. Of two runs, whose orders differ, about a hundred bytes are held
//! for each case and pair of arms, and no answer.

pub mod fold;
pub mod side;

pub use fold::{CostRatio, Difference, FlippedCase, Paired, Pairing, SliceDifference, Terms, Test};
pub use side::{ClosedCase, Side};
