//! One conformance suite a port, on every adapter of it.

mod queue;
mod store;
