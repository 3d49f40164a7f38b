//! The statistics of reports and gates: numbers in, numbers out.
//!
//! - [`quantile`]: of the normal and of Student's t distribution
//! - [`wilson()`]: the interval of a rate
//! - [`tango_z`], [`tango_interval`]: the paired difference of two rates, tested and bounded
//! - [`Sample`]: the mean of values that come in clusters, with its standard error
//!
//! All are for a run that is complete: none may be looked at again and again while results come in.

mod clustered;
pub mod quantile;
mod tango;
mod wilson;

pub use clustered::Sample;
pub use tango::{Discordance, tango_interval, tango_z};
pub use wilson::wilson;

/// Lower and upper bound.
pub type Interval = [f64; 2];

/// The quantile that bounds a two-sided interval from above: confidence 0.95 takes 0.975.
fn two_sided(confidence: f64) -> f64 {
    0.5 + confidence / 2.0
}
