//! A fake LLM provider for tests and benchmarks: it speaks OpenAI's chat completions over HTTP on loopback, does
//! what its [`Script`] says, and writes every call on an append-only [`Bill`] that no client can argue with.
//!
//! - `script`: what it answers and when it misbehaves
//! - `expression`: answers to questions of arithmetic
//! - `limits`: what its account is allowed; `gauge`: one dimension of that, counted; `strict`: callers held to all of it
//! - `plan`: a script made ready, and the decision about each call
//! - `bill`: the calls it saw
//! - `books`: a run held against the bill
//! - `reply`: decisions as HTTP
//! - `connection`: connections that can be cut
//! - `serve`: the routes
//! - `provider`: a running provider, for tests

mod bill;
mod books;
mod connection;
mod expression;
mod gauge;
mod limits;
mod plan;
mod provider;
mod reply;
mod script;
mod serve;
mod strict;

pub use bill::{Bill, Entry, JobTag, NotAJobTag, Totals};
pub use books::{Books, Recorded};
pub use gauge::Used;
pub use limits::{Answers, Dialect, Hidden, Limits, Window};
pub use provider::FakeProvider;
pub use script::{Answer, Latency, Price, Reaction, Rule, Script, When};
pub use strict::Kept;
