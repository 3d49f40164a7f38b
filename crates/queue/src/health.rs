//! Whether a queue can be used now, for readiness probes and people.

use std::sync::Arc;

use tokio::time::Instant;

/// The state of a queue's connections. A process is of use in each of them: it waits, and goes on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Usable.
    Connected,
    /// The broker takes no messages until it has memory or disk again; deliveries and acknowledgements go on.
    Blocked {
        /// In the broker's words.
        reason: Arc<str>,
    },
    /// Unreachable; another attempt is under way or due within four seconds.
    Down {
        /// When it was lost, or first tried.
        since: Instant,
        /// Why the last attempt failed, or the connection ended.
        reason: Arc<str>,
    },
}
