//! Calls in flight, as many as are allowed at once: a number of this process's own, or leased and changing with the lease.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_store::ledger::ALL;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of an account, or of one model of it. Waiting is in the order of coming.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    /// As many as are allowed.
    allowed: u32,
    /// Held beyond what is allowed: those who give back one of them free none.
    surplus: u32,
    held: u32,
    waiting: u32,
    /// Until when, as the time since the worker began.
    until: Duration,
}

/// A place, for as long as it lives.
pub(crate) struct Held {
    places: Arc<Places>,
    permit: Option<OwnedSemaphorePermit>,
}

/// Somebody waits, for as long as it lives.
struct Waiting<'p>(&'p Places);

impl Places {
    /// So many, for ever.
    pub(crate) fn own(most: u32) -> Arc<Self> {
        Self::new(most, Duration::MAX)
    }

    /// None, until some are leased.
    pub(crate) fn leased() -> Arc<Self> {
        Self::new(0, Duration::ZERO)
    }

    fn new(allowed: u32, until: Duration) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(allowed as usize));
        let state = Mutex::new(State { allowed, surplus: 0, held: 0, waiting: 0, until });
        Arc::new(Self { free, state })
    }

    /// Waits for a place.
    pub(crate) async fn take(self: &Arc<Self>) -> Held {
        let waiting = Waiting::new(self);
        // `None` never comes: the semaphore is never closed.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        drop(waiting);
        self.state().held += 1;
        Held { places: Arc::clone(self), permit }
    }

    /// So many are allowed until `until`. Those who hold more keep them.
    pub(crate) fn lease(&self, allowed: u32, until: Duration) {
        let mut state = self.state();
        state.until = until;
        if allowed >= state.allowed {
            let more = allowed - state.allowed;
            let paid = more.min(state.surplus);
            state.surplus -= paid;
            self.free.add_permits((more - paid) as usize);
        } else {
            let less = state.allowed - allowed;
            let forgotten = self.free.forget_permits(less as usize);
            state.surplus += less - u32::try_from(forgotten).unwrap_or(less);
        }
        state.allowed = allowed;
    }

    /// Whether a call may begin at `now`: the lease is not over.
    pub(crate) fn holds(&self, now: Duration) -> bool {
        now < self.state().until
    }

    /// What to ask of the ledger, how many are held, and whether that is no more than is allowed.
    pub(crate) fn demand(&self) -> (u64, u64, bool) {
        let state = self.state();
        let want = match (state.waiting, state.held) {
            (0, 0) => 0,
            // Who has enough may need some more by the next beat.
            (0, held) => u64::from(held + held / 4 + 1),
            _ => ALL,
        };
        (want, state.held.into(), state.surplus == 0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves plain values: still sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.places.state();
        state.held -= 1;
        if state.surplus > 0 {
            state.surplus -= 1;
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
        }
    }
}

impl<'p> Waiting<'p> {
    fn new(places: &'p Places) -> Self {
        places.state().waiting += 1;
        Self(places)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVER: Duration = Duration::MAX;

    async fn at_once(places: &Arc<Places>) -> Option<Held> {
        tokio::time::timeout(Duration::ZERO, places.take()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_more_than_is_left_keeps_them_and_nobody_else_gets_them() {
        let places = Places::leased();
        assert!(at_once(&places).await.is_none());
        places.lease(3, EVER);
        let mut held = vec![at_once(&places).await, at_once(&places).await, at_once(&places).await];
        assert!(held.iter().all(Option::is_some) && at_once(&places).await.is_none());
        places.lease(1, EVER);
        assert_eq!(places.demand(), (4, 3, false), "it is not said that one is enough");
        held.pop();
        assert!(at_once(&places).await.is_none());
        held.pop();
        assert_eq!(places.demand(), (2, 1, true));
        places.lease(2, EVER);
        held.push(at_once(&places).await);
        assert!(held.iter().all(Option::is_some) && at_once(&places).await.is_none());
        places.lease(0, EVER);
        places.lease(10, EVER);
        for _ in 0..8 {
            held.push(at_once(&places).await);
        }
        assert!(
            held.iter().all(Option::is_some) && at_once(&places).await.is_none(),
            "as many as are leased"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_wants_all_and_is_served_in_turn() {
        let places = Places::leased();
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        tokio::task::yield_now().await;
        assert_eq!(places.demand(), (ALL, 0, true));
        places.lease(1, Duration::from_secs(4));
        let held = waiting.await.unwrap();
        assert!(places.holds(Duration::from_secs(3)) && !places.holds(Duration::from_secs(4)));
        assert!(at_once(&places).await.is_none());
        drop(held);
        assert_eq!(places.demand(), (0, 0, true));
    }
}
