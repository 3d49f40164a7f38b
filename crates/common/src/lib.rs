//! The vocabulary of assay. Every other crate speaks these words; none of them does I/O.
//!
//! In the order in which a run meets them:
//!
//! - [`config`]: assay.toml: providers, their limits, prices; [`limit`]: what a limit counts, and over what
//! - [`suite`]: a suite frozen with everything it refers to, and its parts:
//!   [`prompt`], [`model`], [`case`], [`scorer`], [`reduce`], [`gate`]
//! - [`plan`]: the run's product of cases × variants × trials, and its ordinals
//! - [`job`]: what is queued, paid for and scored
//! - [`template`], [`pattern`], [`jsonpath`], [`schema`]: the untrusted little languages inside a suite, bounded
//! - [`decimal`]: how a number is read out of text
//! - [`outcome`], [`score`], [`usage`], [`money`]: how a job ended
//! - [`verdict`]: what a gate says of a run
//!
//! and what they all stand on: [`id`], [`clock`], [`committed`], [`trace`], [`visible`](mod@visible); [`nearest`](mod@nearest):
//! what was meant by a name that is none; [`crash_point!`]: where a test may let a process die.

pub mod case;
pub mod clock;
pub mod committed;
pub mod config;
#[cfg(debug_assertions)]
pub mod crash;
pub mod decimal;
pub mod gate;
pub mod id;
pub mod job;
pub mod jsonpath;
pub mod limit;
pub mod model;
pub mod money;
pub mod nearest;
pub mod outcome;
pub mod pattern;
pub mod plan;
pub mod prompt;
pub mod reduce;
pub mod schema;
pub mod score;
pub mod scorer;
pub mod suite;
pub mod template;
pub mod trace;
pub mod usage;
pub mod verdict;
pub mod visible;

/// Marks a point of a job's path at which a test may let its process die (`crash`). Where debug assertions are off nothing is left of it.
#[macro_export]
macro_rules! crash_point {
    ($point:ident) => {
        #[cfg(debug_assertions)]
        $crate::crash::reach($crate::crash::Point::$point);
    };
}
