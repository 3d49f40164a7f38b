//! What a worker is given: the handles its loops share, the pools it serves, and how it is told to stop.

use std::sync::Arc;

use assay_common::clock::Clock;
use assay_common::config::Config;
use assay_common::id::MemberId;
use assay_common::trace::Tracer;
use assay_queue::Queue;
use assay_store::Store;
use tokio_util::sync::CancellationToken;

use crate::keys::Keys;
use crate::provider::Wire;

/// The handles of one worker.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Where claims are made and results are kept.
    pub store: Store,
    /// Where hints come from.
    pub queue: Queue,
    /// Wall time.
    pub clock: Clock,
    /// This process, as the holder of its claims; drawn at start, never reused.
    pub member: MemberId,
    /// Providers, limits and prices.
    pub config: Arc<Config>,
    /// The keys of the providers.
    pub keys: Keys,
    /// Where this process runs, for people.
    pub host: String,
    /// Its number there, for people.
    pub pid: u32,
    /// Where jitter comes from: equal seeds draw equal waits.
    pub seed: u64,
    /// Where spans go.
    pub tracer: Tracer,
    /// Where calls go.
    pub wire: Wire,
}

/// Which pools a worker serves.
#[derive(Clone, Debug)]
pub enum Serve {
    /// These, from the start: one that cannot be served is an error.
    These(Vec<PoolSpec>),
    /// Those that open runs need, as they come and go, and for whose provider there is a configuration and a key.
    OpenRuns,
}

impl Serve {
    /// What kind of member does so. A leader counts on workers alone.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::These(_) => "run",
            Self::OpenRuns => "worker",
        }
    }
}

/// A pool to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    /// Its name, which is that of its queue (`Model::pool`).
    pub pool: String,
    /// The provider whose account it belongs to.
    pub provider: String,
    /// The model, as tables name it: `provider/model`.
    pub model: String,
}

/// How a worker is told to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Stop claiming, release what has not started, finish the calls in flight, record, leave.
    pub soft: CancellationToken,
    /// End now: calls in flight are dropped, and their jobs given back.
    pub hard: CancellationToken,
}
