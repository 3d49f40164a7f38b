//! Money set aside for calls before they are made, in groups, for runs that have a budget and accounts that have a cap.

use std::sync::Arc;

use assay_common::job::Reservation;
use assay_store::SetAside;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::WorkerError;
use crate::environment::Environment;
use crate::persist::persist;
use crate::pool::Dice;

/// The most calls in one transaction.
const BATCH: usize = 500;

/// A call for which something is to be set aside.
struct Asked {
    reservation: Reservation,
    answer: oneshot::Sender<SetAside>,
}

/// Where money is asked for.
#[derive(Clone)]
pub(crate) struct Purse(mpsc::Sender<Asked>);

impl Purse {
    /// A purse, and its loop for the caller to run: it ends when the last clone is gone.
    pub(crate) fn new(
        environment: Arc<Environment>,
        hard: CancellationToken,
    ) -> (Self, impl Future<Output = Result<(), WorkerError>>) {
        let (sender, asked) = mpsc::channel(BATCH);
        (Self(sender), set_aside(environment, asked, hard))
    }

    /// Whether so much is set aside now; `None`: this worker ends, and the call is not to be made.
    pub(crate) async fn reserve(&self, reservation: Reservation) -> Option<SetAside> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Asked { reservation, answer }).await.ok()?;
        answered.await.ok()
    }
}

/// Sets aside what is asked for, in groups: what came during one commit goes into the next.
async fn set_aside(
    environment: Arc<Environment>,
    mut asked: mpsc::Receiver<Asked>,
    hard: CancellationToken,
) -> Result<(), WorkerError> {
    let dice = Dice::new(environment.seed ^ 2);
    let mut batch = Vec::with_capacity(BATCH);
    while asked.recv_many(&mut batch, BATCH).await > 0 {
        let rows: Vec<_> = batch.iter().map(|asked| asked.reservation.clone()).collect();
        let reserved = persist("set money aside", &dice, &hard, || {
            environment.store.reserve(rows.clone(), environment.clock.now())
        });
        let reserved = reserved.await?;
        let Some(reserved) = reserved else {
            // Nobody gets an answer, and so nobody calls.
            batch.clear();
            continue;
        };
        for (asked, set_aside) in batch.drain(..).zip(reserved) {
            // Whoever no longer waits for the answer makes no call.
            let _ = asked.answer.send(set_aside);
        }
    }
    Ok(())
}
