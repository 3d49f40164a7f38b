//! Answers kept: in the store as they come, before they are scored. Until then a call occupies its slot, so that what is
//! paid for and on no record never exceeds what may be in flight, whenever this process dies.

use std::convert::Infallible;
use std::sync::Arc;

use assay_common::job::{JobKey, Response};
use assay_store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::WorkerError;
use crate::environment::Environment;
use crate::persist::persist;
use crate::pool::Dice;

/// Answers that may wait for the next commit. Half of them at most are kept in one transaction.
const WAITING: usize = 500;
/// So many are kept together where they wait, however few that is of them.
const LEAST: usize = 8;

/// An answer to keep.
struct Answered {
    key: JobKey,
    response: Response,
    /// Dropped when the answer is kept.
    #[expect(dead_code, reason = "only ever dropped")]
    kept: oneshot::Sender<Infallible>,
}

/// Where answers are handed in.
#[derive(Clone)]
pub(crate) struct Keeper(mpsc::Sender<Answered>);

impl Keeper {
    /// A keeper, and its loop for the caller to run: it ends when the last clone is gone.
    pub(crate) fn new(
        environment: Arc<Environment>,
        hard: CancellationToken,
    ) -> (Self, impl Future<Output = Result<(), WorkerError>>) {
        let (sender, answers) = mpsc::channel(WAITING);
        (Self(sender), keep(environment, answers, hard))
    }

    /// Waits until the answer is kept. When this worker ends first, nobody waits any longer: the answer goes on its
    /// way, and is recorded if there is still time.
    pub(crate) async fn keep(&self, store: &Store, key: JobKey, response: &Response) {
        // One that cannot be kept now is kept with the others, as soon as the store has room.
        if store.keeps_at_once() && store.keep_responses(&[(key, response)]).await.is_ok() {
            return;
        }
        let (kept, until_kept) = oneshot::channel();
        let _ = self.0.send(Answered { key, response: response.clone(), kept }).await;
        // Nothing is ever sent: it ends when the other half is dropped.
        let _ = until_kept.await;
    }
}

/// Keeps what is handed in, in groups: half of what came during one commit goes into the next. Not all, for those whose answers
/// are kept together go on together: their next calls would end together too, and each wait for all the others again.
async fn keep(
    environment: Arc<Environment>,
    mut answers: mpsc::Receiver<Answered>,
    hard: CancellationToken,
) -> Result<(), WorkerError> {
    let dice = Dice::new(environment.seed ^ 1);
    let mut batch = Vec::with_capacity(WAITING / 2);
    while answers.recv_many(&mut batch, (answers.len() / 2).max(LEAST)).await > 0 {
        let answers: Vec<_> = batch.iter().map(|answered| (answered.key, &answered.response)).collect();
        persist("keep answers", &dice, &hard, || environment.store.keep_responses(&answers)).await?;
        // Nobody waits for them any longer.
        batch.clear();
    }
    Ok(())
}
