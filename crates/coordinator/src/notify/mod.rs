//! Notifications: what happened, brought to the webhooks of assay.toml. The store has written each event in the transaction of what
//! it tells of; here it is planned, signed, sent, and tried again until it is taken or given up.
//!
//! In the order of a message:
//!
//! - `target`: where it goes, from assay.toml and the environment; `message`: its body; `sign`: its signature
//! - `address`: which addresses may be told; `send`: one attempt
//! - `outbox`: what is due, claimed and tried; `attempts`: when again; [`desk`]: tests and retries by hand
//!
//! **Invariant:** nothing waits for a webhook: what happened has been committed, and is answered, before it is told.

mod address;
mod attempts;
pub mod desk;
mod message;
mod outbox;
mod send;
mod sign;
mod target;

pub use outbox::{Told, keep_telling, tell, tell_these};
