//! Flows, conformance of ports, faults.

pub mod assay;
pub mod fleet;
pub mod queue_conformance;
pub mod rabbitmq;
pub mod store_conformance;
