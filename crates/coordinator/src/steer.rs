//! Steering: a run stopped, paused, resumed, or asked again for what errored. Whoever does so says why, and is written down
//! in the same transaction. The API and the command line do the same here.

use assay_common::id::RunId;
use assay_common::outcome::ErrorKind;
use assay_store::{AuditEntry, Run, RunState, Steered, Store, StoreError};
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
    #[error("run {run} has no job that errored{}", as_kind(*.kind))]
    NothingErrored {
        /// The run.
        run: RunId,
        /// Of which kind; `None`: of any.
        kind: Option<ErrorKind>,
    },
}

/// What to do with a run that stands so, where it cannot be steered any more.
pub(crate) fn hint_of(state: &str) -> Option<&'static str> {
    match state {
        "cancelled" | "cancelling" => Some(
            "a run that was cancelled keeps what it has and does not go on: start its suite anew, with `assay run SUITE` \
             or `assay submit SUITE`",
        ),
        "completed" => Some(
            "it is over, and `assay status RUN` has its report: start its suite anew, with `assay run SUITE --new` or \
             `assay submit SUITE`",
        ),
        _ => None,
    }
}

impl SteerError {
    /// What to do, where that can be told.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::WrongState { state, .. } => hint_of(state),
            Self::Store(_) | Self::NoRun(_) | Self::NothingErrored { .. } => None,
        }
    }
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
}

/// How errors of a kind are named, after "errored".
pub(crate) fn as_kind(kind: Option<ErrorKind>) -> String {
    kind.map_or_else(String::new, |kind| format!(" as `{}`", kind.word()))
}

/// Steers a run, and says how it stands then. One that stood so before is left so. `entry` is the row of the audit, which has
/// the reason too.
pub async fn steer(
    store: &Store,
    run: RunId,
    action: Action,
    reason: &str,
    entry: AuditEntry,
) -> Result<Run, SteerError> {
    match action {
        Action::Cancel => {
            let steered = store.cancel_by(run, reason.to_owned(), entry).await?;
            expect(run, steered, &[RunState::Cancelling, RunState::Cancelled])?;
            // With what was cancelled since.
            find(store, run).await
        }
        Action::Pause => expect(run, store.pause(run, entry).await?, &[RunState::Paused]),
        Action::Resume => expect(run, store.resume(run, entry).await?, &[RunState::Running]),
        Action::Retry(kind) => match store.redrive(run, kind, entry).await? {
            Some(0) => Err(SteerError::NothingErrored { run, kind }),
            Some(_) => find(store, run).await,
            None => Err(SteerError::WrongState { run, state: find(store, run).await?.state.word() }),
        },
    }
}

/// The run, if it stood in one of these states when it was steered. How it stands now says nothing: others steer it too.
fn expect(run: RunId, steered: Option<Steered>, states: &[RunState]) -> Result<Run, SteerError> {
    let Steered { run: row, .. } = steered.ok_or(SteerError::NoRun(run))?;
    if !states.contains(&row.state) {
        return Err(SteerError::WrongState { run, state: row.state.word() });
    }
    Ok(row)
}

async fn find(store: &Store, run: RunId) -> Result<Run, SteerError> {
    store.run(run).await?.ok_or(SteerError::NoRun(run))
}
