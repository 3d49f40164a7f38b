//! The statistics of reports and gates: numbers in, numbers out.
//!
//! Of a run that is complete, not to be looked at again and again while results come in:
//!
//! - [`quantile`], [`Binomial`]: of the normal, Student's t and the binomial distribution
//! - [`wilson()`], [`clopper_pearson()`]: the interval of a rate
//! - [`Sample`]: the mean of values that come in clusters, with its standard error
//! - [`tango_z`], [`tango_interval`]: the paired difference of two rates, tested and bounded
//! - [`newcombe()`], [`mcnemar()`], [`sign_flip()`]: the same for display, and whether there is any
//! - [`Ratio`], [`geometric_ratio`]: the ratio of two totals
//! - [`quantile_ranks`], [`quantile_bounds`]: a quantile of values; [`resampled_quantiles`]: of values correlated in time
//! - [`trials`], [`flake()`]: repeats of a case
//!
//! Across tests and before a run:
//!
//! - [`multiplicity`]: which of several findings may be named
//! - [`power`]: what a number of cases can be expected to show
//!
//! To be looked at as often as one likes:
//!
//! - [`sequential`]: a run while its results come in
//! - [`Drift`]: nights against a baseline; [`Recovery`]: whether a loss is over
//! - [`group_sequential`]: what gates do not use
//!
//! docs/statistics.md tells all of it without formulas.

mod binomial;
mod blocks;
mod clopper_pearson;
mod clustered;
mod drift;
mod flake;
pub mod group_sequential;
mod mcnemar;
pub mod multiplicity;
mod newcombe;
mod order_statistics;
pub mod power;
pub mod quantile;
mod ratio;
mod recovery;
pub mod sequential;
mod sign_flip;
mod tango;
pub mod trials;
mod wilson;

pub use binomial::Binomial;
pub use blocks::{LEAST_BLOCKS, Timed, percentile_bounds, resampled_quantiles};
pub use clopper_pearson::clopper_pearson;
pub use clustered::Sample;
pub use drift::Drift;
pub use flake::{Flake, Stability, flake};
pub use mcnemar::{McNemar, mcnemar, mcnemar_cases, mcnemar_power};
pub use newcombe::{Paired, newcombe};
pub use order_statistics::{Ranks, quantile_bounds, quantile_ranks};
pub use ratio::{Ratio, geometric_ratio};
pub use recovery::Recovery;
pub use sign_flip::{Alternative, sign_flip};
pub use tango::{Discordance, tango_interval, tango_z};
pub use wilson::wilson;

/// Lower and upper bound.
pub type Interval = [f64; 2];

/// Halvings of a bracket of length 2: enough to reach the last bit.
const HALVINGS: u32 = 60;

/// The quantile that bounds a two-sided interval from above: confidence 0.95 takes 0.975.
fn two_sided(confidence: f64) -> f64 {
    0.5 + confidence / 2.0
}

/// Where `refuted` turns from true at `outer` to false at `inner`; `outer` itself when it is not refuted.
fn edge(mut outer: f64, mut inner: f64, refuted: impl Fn(f64) -> bool) -> f64 {
    if !refuted(outer) {
        return outer;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(outer, inner);
        if refuted(middle) {
            outer = middle;
        } else {
            inner = middle;
        }
    }
    inner
}
