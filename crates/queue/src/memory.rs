//! The queue inside one process, for `assay run`: the same coordinator and worker as in a fleet, without a broker.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assay_common::job::Hint;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::{MAX_DEPTH, Message};

/// The queues of all pools of this process.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pools: Arc<Mutex<HashMap<String, Arc<Pool>>>>,
    drained: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Pool {
    /// Told when `open` comes down to nothing.
    drained: Arc<Notify>,
    waiting: Mutex<VecDeque<Message>>,
    arrived: Notify,
    /// Hints that are not acknowledged yet, waiting or in hand.
    open: AtomicUsize,
}

impl Pool {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Message>> {
        // A panic while the lock is held leaves a deque of plain values: still sound.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    pub(crate) fn publish(&self, pool: &str, messages: &[Message]) -> Vec<Hint> {
        let pool = self.pool(pool);
        let refused = {
            let mut waiting = pool.waiting();
            let room = MAX_DEPTH.saturating_sub(waiting.len()).min(messages.len());
            waiting.extend(&messages[..room]);
            pool.open.fetch_add(room, Ordering::Relaxed);
            messages[room..].iter().map(|message| message.hint).collect()
        };
        pool.arrived.notify_waiters();
        refused
    }

    pub(crate) fn depth(&self, pool: &str) -> u64 {
        self.pool(pool).waiting().len() as u64
    }

    pub(crate) fn purge(&self, pool: &str) {
        let pool = self.pool(pool);
        let mut waiting = pool.waiting();
        pool.open.fetch_sub(waiting.len(), Ordering::Relaxed);
        waiting.clear();
    }

    pub(crate) async fn drained(&self) {
        self.drained.notified().await;
    }

    pub(crate) fn subscribe(&self, pool: &str, prefetch: u32) -> MemorySubscription {
        MemorySubscription {
            pool: self.pool(pool),
            unsettled: Arc::new(Semaphore::new(prefetch.max(1) as usize)),
        }
    }

    fn pool(&self, name: &str) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        match pools.get(name) {
            Some(pool) => Arc::clone(pool),
            None => {
                let pool = Arc::new(Pool { drained: Arc::clone(&self.drained), ..Pool::default() });
                pools.insert(name.to_owned(), Arc::clone(&pool));
                pool
            }
        }
    }
}

/// Receives the hints of one pool.
#[derive(Debug)]
pub struct MemorySubscription {
    pool: Arc<Pool>,
    unsettled: Arc<Semaphore>,
}

impl MemorySubscription {
    pub(crate) async fn next(&mut self) -> MemoryDelivery {
        let permit = Arc::clone(&self.unsettled).acquire_owned().await.expect("nobody closes this semaphore");
        loop {
            // Registered before looking, so that a hint published in between wakes us.
            let arrived = self.pool.arrived.notified();
            let front = self.pool.waiting().pop_front();
            if let Some(message) = front {
                return MemoryDelivery { message, pool: Some(Arc::clone(&self.pool)), _permit: permit };
            }
            arrived.await;
        }
    }
}

/// A hint in hand.
#[derive(Debug)]
pub(crate) struct MemoryDelivery {
    message: Message,
    /// Where it returns to when dropped; taken by an acknowledgement.
    pool: Option<Arc<Pool>>,
    _permit: OwnedSemaphorePermit,
}

impl MemoryDelivery {
    pub(crate) fn message(&self) -> Message {
        self.message
    }

    pub(crate) fn ack(mut self) {
        if let Some(pool) = self.pool.take()
            && pool.open.fetch_sub(1, Ordering::Relaxed) == 1
        {
            pool.drained.notify_one();
        }
    }
}

impl Drop for MemoryDelivery {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.waiting().push_front(self.message);
            pool.arrived.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use assay_common::id::RunId;
    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tells_when_the_last_hint_is_acknowledged() {
        let memory = Memory::default();
        let told = || async { timeout(Duration::from_secs(1), memory.drained()).await.is_ok() };
        let hint = |ordinal| Message::from(Hint { run: RunId::new(Uuid::nil()), ordinal });
        memory.publish("pool", &[hint(0), hint(1)]);
        let mut subscription = memory.subscribe("pool", 2);
        let (first, second) = (subscription.next().await, subscription.next().await);
        first.ack();
        assert!(!told().await);
        drop(second);
        assert!(!told().await, "it waits again");
        subscription.next().await.ack();
        assert!(told().await);
        assert!(!told().await, "once");
    }
}
