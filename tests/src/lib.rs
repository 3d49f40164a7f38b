//! Flows, conformance of ports, faults.

pub mod api;
pub mod assay;
pub mod door;
pub mod fleet;
pub mod otlp;
pub mod places;
pub mod queue_conformance;
pub mod rabbitmq;
pub mod store_conformance;
