//! Room 3: a run from its first job to its last.
//!
//! - [`begin`]: find the unfinished run of a suite revision, or make a new one
//! - [`expand`]: jobs, a chunk at a time, in committed order
//! - `course`: one run between its beginning and its end
//! - `watch`: what a gate that looks again and again makes of it; `extent`: how much there is to look at
//! - `dispatch`: a bounded window of hints for each pool; `window`: how wide; `fair`: whose hints; `flow`: which of a run
//! - [`sweep`]: members that died give back what they held
//! - [`round`]: one round over open runs: all of the above, once
//! - [`drive`]: rounds over one run until it has ended; those over all runs are the leader's, in [`crate::fleet`]

pub mod begin;
pub(crate) mod course;
pub(crate) mod dispatch;
pub mod drive;
pub mod expand;
pub(crate) mod extent;
mod fair;
mod flow;
pub mod round;
pub mod sweep;
mod watch;
mod window;

pub use begin::{Begun, begin};
pub use course::{PAST_DEADLINE, remedy};
pub use dispatch::DispatchError;
pub use drive::{Driver, Ended};
pub use round::DriveError;
pub use watch::RESULTS_A_LOOK;
