//! From terminal jobs to reports and verdicts, through the public interface.
//!
//! - `first_look`: real answers
//! - `fixture`: suites and runs written as strings
//! - `aggregating`: sums, flips and quantiles, against a second computation
//! - `rates`, `drops`, `amounts`: tables of rules and what they come to; `versions`: what they come to together
//! - `needed`: what it would take to decide
//! - `looking`: gates that look again and again while results come in
//! - `drifting`: false alarms and delays of sweeps, by simulation
//! - `properties`: what holds of any run
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may panic as the test may")]

mod aggregating;
mod amounts;
mod drifting;
mod drops;
#[path = "../shared/first_look.rs"]
mod first_look;
mod fixture;
mod looking;
mod needed;
mod properties;
mod rates;
mod versions;
