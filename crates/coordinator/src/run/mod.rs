//! Room 3: a run from its first job to its last.
//!
//! - [`begin`]: find the unfinished run of a suite revision, or make a new one
//! - [`expand`]: jobs, a chunk at a time, in committed order
//! - [`dispatch`]: a bounded window of hints for each pool
//! - [`sweep`]: members that died give back what they held
//! - [`drive`]: the loop over these until the run has ended

pub mod begin;
pub mod dispatch;
pub mod drive;
pub mod expand;
pub mod sweep;

pub use begin::{Begun, begin};
pub use drive::{Driver, Ended};
