//! The fault matrix: what must hold when things break. Each row of the table in docs/delivery.md is one test that bears its
//! number; what the fake provider billed decides.
//!
//! - [`workers`], [`broker`], [`store`], [`coordinator`], [`provider`], [`jobs`]: who breaks, or is broken
//! - [`secrets`]: what must be seen nowhere, whatever breaks
//! - `crashes`: a death at every named point, in builds that have them
//! - `chaos`: all of it at once
//! - `table`: the table names these tests and no others

mod broker;
mod chaos;
mod coordinator;
#[cfg(debug_assertions)]
mod crashes;
mod jobs;
mod provider;
mod secrets;
mod store;
mod table;
mod workers;
