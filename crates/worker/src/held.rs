//! The jobs in this process's hands, and the further hints that arrive for them meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use assay_common::id::RunId;
use assay_common::job::Hint;
use assay_queue::Delivery;

/// Which jobs are held here. A further hint for one of them says nothing new, and cannot be acknowledged yet: it is
/// kept and ends with the job.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<HashMap<Hint, Vec<Delivery>>>);

impl Held {
    /// Takes a delivery's job in hand and gives the delivery back; `None` when the job is held already.
    pub(crate) fn hold(&self, delivery: Delivery) -> Option<Delivery> {
        let mut held = self.lock();
        match held.get_mut(&delivery.hint()) {
            Some(further) => {
                further.push(delivery);
                None
            }
            None => {
                held.insert(delivery.hint(), Vec::new());
                Some(delivery)
            }
        }
    }

    /// Lets go of a job. Returns the further deliveries for it, which end as its own does.
    pub(crate) fn let_go(&self, hint: Hint) -> Vec<Delivery> {
        self.lock().remove(&hint).unwrap_or_default()
    }

    /// How many jobs are held.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The runs whose jobs are held.
    pub(crate) fn runs(&self) -> BTreeSet<RunId> {
        self.lock().keys().map(|hint| hint.run).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hint, Vec<Delivery>>> {
        // A panic while the lock is held leaves a map of whole entries: still sound.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use assay_common::committed::Committed;
    use assay_queue::Queue;

    use super::*;

    #[tokio::test]
    async fn further_hints_for_a_held_job_wait_for_its_end() {
        let hint = Hint { run: RunId::new(Default::default()), ordinal: 7 };
        let queue = Queue::memory();
        queue.publish("p", &[hint, hint, hint]).await.unwrap();
        let mut subscription = queue.subscribe("p", 3).await.unwrap();
        let held = Held::default();
        let first = held.hold(subscription.next().await.unwrap()).expect("the job");
        assert!(held.hold(subscription.next().await.unwrap()).is_none());
        assert!(held.hold(subscription.next().await.unwrap()).is_none());
        assert_eq!(held.count(), 1);
        let further = held.let_go(hint);
        assert_eq!(further.len(), 2);
        for delivery in further.into_iter().chain([first]) {
            delivery.ack(Committed::after_commit()).await.unwrap();
        }
        assert_eq!(queue.depth("p").await.unwrap(), 0);
        assert!(held.let_go(hint).is_empty());
    }
}
