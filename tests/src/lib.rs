//! Flows, conformance of ports, faults.
//!
//! - [`assay`], [`api`], [`fleet`]: the binary, the API and fleets of processes, as tests use them; [`scenes`]: what flows share
//! - [`places`], [`postgres`], [`rabbitmq`]: where stores and queues are, and those that may be broken; [`proxy`]: ways to them
//!   that can be disturbed
//! - [`oracle`]: a run held against the provider's bill; [`chaos`]: everything breaks, and the oracle says what came of it
//! - [`queue_conformance`], [`store_conformance`]: what every adapter of a port promises
//! - [`otlp`]: a collector of spans

pub mod api;
pub mod assay;
pub mod chaos;
pub mod fleet;
pub mod oracle;
pub mod otlp;
pub mod places;
pub mod postgres;
pub mod proxy;
pub mod queue_conformance;
pub mod rabbitmq;
pub mod scenes;
mod services;
pub mod store_conformance;
