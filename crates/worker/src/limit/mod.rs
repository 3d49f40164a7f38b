//! What a provider account allows: who may call now, who waits, who comes back later.
//!
//! Of an account and of each of its models that has limits of its own, shared with every worker of the store:
//! - [`scope`]: both, as their limits see them; [`lease`]: what this worker has of them, renewed from beat to beat
//! - [`line`]: who goes next, through each rate; [`stand`]: waiting there; [`places`]: calls in flight
//! - [`rate`]: one rate, by governor on a [`clock`] that goes as fast as the lease says; [`tokens`]: what a request takes of it;
//!   [`largest`]: what it leaves room for. All pure; [`sync`]: what threads share of them
//!
//! Of an account, for the pools of all its models together:
//! - [`pause`]: no calls after a 429; pure
//! - [`money`]: no calls while the money for the day is spent; pure
//!
//! Of each pool:
//! - [`breaker`]: no calls but a probe while it is in trouble; pure
//! - [`retries`]: how much of what it is asked may be asked again; pure
//! - [`flight`]: how many calls in flight it bears; pure
//!
//! [`gate`] is all of it, as one door that a job passes before its call; [`tell`] says in the store why the door is shut.
//! [`measure`] is for the benchmark; `model` plays a fleet in virtual time.

pub(crate) mod breaker;
mod clock;
pub(crate) mod flight;
pub(crate) mod gate;
mod largest;
pub(crate) mod lease;
mod line;
mod measure;
#[cfg(test)]
mod model;
mod money;
pub(crate) mod pause;
pub(crate) mod places;
mod rate;
pub(crate) mod retries;
#[cfg(test)]
mod rows;
mod scope;
mod stand;
mod sync;
pub(crate) mod tell;
pub(crate) mod tokens;

pub use lease::settled as settled_pace;
pub use measure::time_permits;
