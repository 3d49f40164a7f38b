//! A run's life: suite, plan, dispatch, sweep, aggregate, verdict.
//!
//! In the order in which a run meets them:
//!
//! - [`suite`]: a suite file is loaded, validated as a whole and frozen
//! - [`estimate`]: what its run may take, before it costs anything; pure
//! - [`order`]: the committed order of its units
//! - [`run`]: jobs are expanded, dispatched and swept until the run has ended
//! - [`fleet`]: the coordinator of a fleet: one leads, and drives every open run
//! - [`verdict`]: results become pass rates and a verdict; pure
//! - [`report`]: the document that tables, JSON and exit codes are made of; [`judge`]: its verdicts become rows
//! - [`release`]: on their evidence a version goes live on a channel, and comes back; incidents
//! - [`notify`]: whoever wants to know is told; [`review`]: what a week or a month came to
//! - [`schedule`]: what is live is swept in time, and held against what it came to at first
//! - [`flakes`]: cases that waver, over runs
//! - [`limits`]: what provider accounts allow, who may use it, and what they have cost
//! - [`compare`]: what changed between two runs, or two versions of a prompt
//!
//! and beside it [`api`]: how others ask for all this over HTTP; [`steer`]: a run stopped, paused, resumed or asked again;
//! [`plot`]: pictures of numbers; [`reasons`]: why it stands still, and what to do; [`prune`]: what is removed of it after a time; `silences`: who does not beat; `unique`: JSON without doubled keys.
//!
//! **Invariant:** nothing here talks to a provider; workers and coordinator meet only in the store and the queue.

pub mod api;
pub mod compare;
mod environment;
pub mod estimate;
pub mod flakes;
pub mod fleet;
pub mod judge;
pub mod limits;
pub mod notify;
pub mod order;
pub mod plot;
pub mod prune;
pub mod reasons;
pub mod release;
pub mod report;
pub mod review;
pub mod run;
pub mod schedule;
mod silences;
pub mod steer;
pub mod suite;
mod unique;
pub mod verdict;

pub use environment::{Environment, Timings};
pub use silences::Silences;
