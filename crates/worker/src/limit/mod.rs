//! What a provider account allows: who may call now, who waits, who comes back later.
//!
//! Of an account, for the pools of all its models together:
//! - [`rate`]: requests begun in any minute
//! - [`pause`]: no calls after a 429; pure
//! - [`money`]: no calls while the money for the day is spent; pure
//! - [`tokens`]: what a request takes of the tokens a minute; pure
//!
//! Of each pool:
//! - [`breaker`]: no calls but a probe while it is in trouble; pure
//! - [`retries`]: how much of what it is asked may be asked again; pure
//! - [`flight`]: how many calls in flight it bears; pure
//!
//! [`gate`] is all of it, as one door that a job passes before its call; [`tell`] says in the store why the door is shut.

pub(crate) mod breaker;
pub(crate) mod flight;
pub(crate) mod gate;
pub(crate) mod money;
pub(crate) mod pause;
pub(crate) mod rate;
pub(crate) mod retries;
#[cfg(test)]
mod rows;
pub(crate) mod tell;
#[cfg_attr(not(test), expect(dead_code, reason = "the line of an account's tokens will ask it"))]
pub(crate) mod tokens;
