//! What every part of a coordinator holds.

use std::sync::Arc;
use std::time::Duration;

use assay_common::clock::Clock;
use assay_common::config::Config;
use assay_common::trace::Tracer;
use assay_queue::Queue;
use assay_store::Store;

use crate::silences::Silences;

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
    /// How long is waited for what may never come.
    pub timings: Timings,
    /// Where spans go.
    pub tracer: Tracer,
    /// Who does not beat, as far as this process has watched.
    pub silences: Silences,
}

/// How long is waited before what gave no sign is taken for gone. Time-outs are configuration: a test scales them down.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// A member whose beat has not changed for this long is dead.
    pub dead_after: Duration,
    /// A hint that has been out for this long, while its queue is empty, was lost.
    pub lost_after: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self { dead_after: Duration::from_secs(30), lost_after: Duration::from_secs(30) }
    }
}
