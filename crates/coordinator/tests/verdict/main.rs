//! From terminal jobs to reports and verdicts, through the public interface.
//!
//! - `fixture`: suites and runs written as strings
//! - `aggregating`: sums, flips and quantiles, against a second computation
//! - `gating`: tables of rules and what they come to
//! - `looking`: gates that look again and again while results come in
//! - `drifting`: false alarms and delays of sweeps, by simulation
//! - `properties`: what holds of any run
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may panic as the test may")]

mod aggregating;
mod drifting;
mod fixture;
mod gating;
mod looking;
mod properties;
