//! What every part of a coordinator holds.

use std::sync::Arc;

use assay_common::clock::Clock;
use assay_common::config::Config;
use assay_queue::Queue;
use assay_store::Store;

/// The handles that a coordinator's loops share. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The truth.
    pub store: Store,
    /// Where hints go.
    pub queue: Queue,
    /// Wall time.
    pub clock: Clock,
    /// Providers, limits, prices.
    pub config: Arc<Config>,
}
