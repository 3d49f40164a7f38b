//! Flows, conformance of ports, faults.
