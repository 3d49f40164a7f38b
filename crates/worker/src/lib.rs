//! One job's path: consume, claim, limit, ask, score, record, ack.
//!
//! ```text
//! queue ── consume ──► claim ──► [grants] ──► execute: limit ─ ask ─ retry? ─ keep ─ score ──► [given back] ──► record ── ack
//!           hints      store     bounded      at most the pool's slots at once           bounded          store    queue
//! ```
//!
//! In the order of that path:
//!
//! - [`environment`]: what a worker is given; [`keys`]: the secrets among it
//! - `member`: joining, beating once a second, leaving
//! - `serve`: which pools are served, as open runs come and go
//! - `pool`: what the tasks of one pool share; `held`: the jobs in this process's hands
//! - `lane`: whether a job runs beside others or alone; `consume`: from hints to grants
//! - `execute`: grants before the gate; `work`: each to its settlement, with `plan` (its run's suite, compiled), `limit` (its
//!   account's gate, and what this worker has of limits that are shared),
//!   `provider` (who answers), `retry` (what follows a call) and [`scorer`] (what the answer is worth)
//! - `purse`: a budget's money set aside before a call; `keep`: answers committed before they are scored, each freeing its
//!   slot
//! - `record`: settlements to the store in groups, then acknowledgements
//! - `persist`: calls to the store that outlast an outage of it
//! - `spans`: what all of this looks like in a trace, in the words of `gen_ai`
//!
//! **Invariants:** no call without an earlier committed claim; no acknowledgement without a commit; nothing here
//! grows with the length of a run.

pub mod environment;
pub mod keys;
pub mod scorer;

mod consume;
mod execute;
mod gen_ai;
mod held;
mod keep;
mod lane;
mod limit;
mod member;
mod persist;
mod plan;
mod pool;
mod provider;
mod purse;
mod record;
mod retry;
mod serve;
mod spans;
mod work;

pub use environment::{Environment, PoolSpec, Serve, Shutdown};
pub use keys::{KeyError, Keys};
pub use limit::{settled_pace, time_permits};
pub use provider::{ProviderError, Server, Wire, WireFault, WireReply};
pub use scorer::{Fault, Judged, Scoring, score_output};

use std::sync::Arc;
use std::time::Duration;

use assay_queue::QueueError;
use assay_store::{Offer, StoreError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use execute::Onward;
use held::Held;
use keep::Keeper;
use limit::lease::Leases;
use member::{Alive, Life};
use pool::Opener;
use purse::Purse;

/// Jobs given back and not yet recorded; beyond it, executing waits for recording.
const GIVEN_BACK: usize = 1_000;
/// How long a hard end waits for what is in the middle of a statement.
const LAST_STATEMENT: Duration = Duration::from_secs(1);

/// Why a worker stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A pool names a provider that is not configured.
    #[error("provider `{0}` is not configured")]
    UnknownProvider(String),
    /// A provider cannot be called with its configuration.
    #[error("provider `{name}` cannot be used: {source}")]
    Provider {
        /// The provider.
        name: String,
        /// Why.
        source: ProviderError,
    },
    /// The store failed in a way that waiting does not cure.
    #[error("failed to {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What the store said.
        source: StoreError,
    },
    /// The queue is gone.
    #[error("failed to receive hints")]
    Queue(#[from] QueueError),
    /// A task ended in a panic: a bug.
    #[error("a task of the worker ended in a panic")]
    Panicked,
}

/// Makes rustls use ring. The first call of a process decides, later ones change nothing.
pub fn install_tls() {
    // The error says that a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Works on the pools that `serve` says until `shutdown`: joins as a member, claims, executes and records, and leaves.
///
/// Ends with `Ok` once the soft token has fired and everything in hand is recorded or released, or soon after the
/// hard one. The caller gives the grace: it fires the hard token when that is over. Dropped, it leaves no task behind:
/// what it held waits for its burial, as after any death.
pub async fn run(environment: Environment, serve: Serve, shutdown: Shutdown) -> Result<(), WorkerError> {
    install_tls();
    let environment = Arc::new(environment);
    let hard = shutdown.hard;
    // Fired by the caller, or by the first task that fails.
    let stop = shutdown.soft.child_token();
    let held = Arc::new(Held::default());
    let kind = serve.kind();
    let (offered, offer) = watch::channel(Offer::default());

    if !member::join(&environment, kind, &stop).await? {
        return Ok(());
    }
    tracing::info!(member.id = %environment.member, "worker {} joined", environment.member);
    let (give_back, given_back) = mpsc::channel(GIVEN_BACK);
    let gone = CancellationToken::new();
    let (living, life) = watch::channel(Life::new());
    let beat = member::beat(Arc::clone(&environment), kind, (offer, Arc::clone(&held)), living, gone.clone());
    let beating = AbortOnDropHandle::new(tokio::spawn(beat));
    let leases = Leases::new();
    let renewing = limit::lease::renew(Arc::clone(&leases), Arc::clone(&environment), gone.clone());
    let renewing = AbortOnDropHandle::new(tokio::spawn(renewing));
    let alive = Alive::new(life);
    let opener = Opener::new(Arc::clone(&environment), Arc::clone(&held), alive, leases, hard.clone());
    let recorder = record::record(Arc::clone(&environment), held, given_back, hard.clone());
    let (keeper, keeping) = Keeper::new(Arc::clone(&environment), hard.clone());
    let (purse, reserving) = Purse::new(Arc::clone(&environment), hard.clone());
    let onward = Onward { purse, keeper, give_back };
    // All end when the last executor has dropped its end.
    let serving = serve::serve(serve, opener, Arc::clone(&environment), offered, onward, stop.clone());
    let tasks =
        vec![start(recorder, &stop), start(keeping, &stop), start(reserving, &stop), start(serving, &stop)];

    let worked = tokio::select! {
        biased;
        worked = all(tasks) => worked,
        () = overdue(&hard, &stop) => Ok(()),
    };
    gone.cancel();
    let left = tokio::select! {
        biased;
        left = async {
            // Nothing is called any more: others may have what was leased.
            renewing.await.map_err(|_| WorkerError::Panicked)?;
            member::leave(&environment, beating).await
        } => left,
        () = overdue(&hard, &stop) => Ok(()),
    };
    tracing::info!(member.id = %environment.member, "worker {} left", environment.member);
    worked.and(left)
}

/// Starts a task. When it fails, or panics, the others are told to stop: nobody is left to do its part.
fn start(
    task: impl Future<Output = Result<(), WorkerError>> + Send + 'static,
    stop: &CancellationToken,
) -> AbortOnDropHandle<Result<(), WorkerError>> {
    let failed = stop.clone().drop_guard();
    AbortOnDropHandle::new(tokio::spawn(async move {
        let result = task.await;
        if result.is_ok() {
            failed.disarm();
        }
        result
    }))
}

/// Waits for every task; the first error in their order is the one that is told.
async fn all(tasks: Vec<AbortOnDropHandle<Result<(), WorkerError>>>) -> Result<(), WorkerError> {
    let mut result = Ok(());
    for task in tasks {
        result = result.and(task.await.unwrap_or(Err(WorkerError::Panicked)));
    }
    result
}

/// Ready when a hard end has had its time.
async fn overdue(hard: &CancellationToken, stop: &CancellationToken) {
    hard.cancelled().await;
    stop.cancel();
    tokio::time::sleep(LAST_STATEMENT).await;
}
