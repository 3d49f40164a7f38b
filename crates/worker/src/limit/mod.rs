//! What a provider account allows: who may call now, who waits, who comes back later.
//!
//! - [`rate`]: requests begun in any minute
//! - [`health`]: pauses after a 429, and troubles of the whole account; pure
//! - [`gate`]: both, and requests in flight, as one door that a job passes before its call

pub(crate) mod gate;
pub(crate) mod health;
pub(crate) mod rate;
