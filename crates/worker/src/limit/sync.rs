//! What threads share in a line: of the standard library, and in the test that tries every interleaving of them of that test.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
