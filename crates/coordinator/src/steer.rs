//! Steering: a run stopped, paused, resumed, or asked again for what errored. Whoever does so says why, and is written down
//! in the same transaction. The API and the command line do the same here.

use assay_common::id::RunId;
use assay_common::outcome::ErrorKind;
use assay_store::{AuditEntry, Run, RunState, Store, StoreError};
use serde_json::{Value, json};

/// What is done to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing more of it is asked.
    Cancel,
    /// Nothing more of it is asked until it is resumed.
    Pause,
    /// It goes on.
    Resume,
    /// What errored, or what errored in one way, is asked again.
    Retry(Option<ErrorKind>),
}

/// Why a run was not steered.
#[derive(Debug, thiserror::Error)]
pub enum SteerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(RunId),
    /// Its state does not allow it.
    #[error("run {run} is {state}, which does not allow this")]
    WrongState {
        /// The run.
        run: RunId,
        /// Its state.
        state: &'static str,
    },
    /// There is nothing to ask again.
    #[error("run {0} has no job that errored in this way")]
    NothingErrored(RunId),
}

impl Action {
    /// What the audit calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cancel => "run.cancel",
            Self::Pause => "run.pause",
            Self::Resume => "run.resume",
            Self::Retry(_) => "run.retry",
        }
    }

    /// What the audit says of it.
    pub fn detail(self, reason: &str) -> Value {
        match self {
            Self::Retry(kind) => json!({"reason": reason, "kind": kind.map(ErrorKind::word)}),
            Self::Cancel | Self::Pause | Self::Resume => json!({"reason": reason}),
        }
    }

    /// The states it leads to; one that was there before makes no difference.
    fn leads_to(self) -> &'static [RunState] {
        match self {
            Self::Cancel => &[RunState::Cancelling, RunState::Cancelled],
            Self::Pause => &[RunState::Paused],
            Self::Resume => &[RunState::Running],
            Self::Retry(_) => &[RunState::Running, RunState::Paused],
        }
    }
}

/// Steers a run, and says how it stands then. `entry` is the row of the audit, which has the reason too.
pub async fn steer(
    store: &Store,
    run: RunId,
    action: Action,
    reason: &str,
    entry: AuditEntry,
) -> Result<Run, SteerError> {
    find(store, run).await?;
    match action {
        Action::Cancel => _ = store.cancel_by(run, reason.to_owned(), entry).await?,
        Action::Pause => _ = store.pause(run, entry).await?,
        Action::Resume => _ = store.resume(run, entry).await?,
        Action::Retry(kind) => {
            if store.redrive(run, kind, entry).await? == Some(0) {
                return Err(SteerError::NothingErrored(run));
            }
        }
    }
    let row = find(store, run).await?;
    if !action.leads_to().contains(&row.state) {
        return Err(SteerError::WrongState { run, state: row.state.word() });
    }
    Ok(row)
}

async fn find(store: &Store, run: RunId) -> Result<Run, SteerError> {
    store.run(run).await?.ok_or(SteerError::NoRun(run))
}
