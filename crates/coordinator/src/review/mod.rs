//! Reviews: what a week or a month came to, for the people who answer for prompts; and the three signals of the practice, with the
//! ranges that teams set for them.
//!
//! - [`period`]: weeks and months; `facts`: what the store holds of one, no result among it
//! - [`signals`]: regression incidents, pass rate and rollback rate of some prompts; pure
//! - [`ranges`]: what is acceptable in them, and who is told when one leaves it; [`risks`]: what was taken on knowingly
//! - [`compile`]: all of it as one [`document`], as it stood at the end of the period
//!
//! **Invariant:** a review of a period that is over is the same whenever it is made: what was closed later was open then.

pub mod compile;
pub mod document;
mod facts;
pub mod period;
pub mod ranges;
pub mod risks;
pub mod signals;

pub use compile::compile;
pub use document::Review;
pub use period::{Period, Span};
