//! What is learned of a pool from its calls, and the places of those in flight.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::breaker::{Breaker, Trouble};
use super::super::flight::{Flight, Take};
use super::super::retries::Retries;
use super::super::tell::Teller;
use super::super::tokens::Estimator;
use super::{Account, lock};

/// What is learned of a pool from its calls.
pub(super) struct Pool {
    pub(super) breaker: Mutex<Breaker>,
    pub(super) flight: Mutex<Flight>,
    pub(super) retries: Mutex<Retries>,
    pub(super) estimator: Mutex<Estimator>,
    pub(super) teller: Teller,
    /// Rings for one of those who wait for a place in flight.
    pub(super) landed: Notify,
}

/// A place in flight, for as long as it lives.
pub(super) struct Place(Arc<Pool>);

/// Marks the pool as being probed for as long as it lives.
pub(super) struct Probe(pub(super) Arc<Account>, pub(super) Arc<Pool>);

impl Pool {
    /// One of which nothing is known, with so many calls in flight.
    pub(super) fn new(name: String, flight: Flight) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            breaker: Mutex::new(Breaker::new(now)),
            flight: Mutex::new(flight),
            retries: Mutex::new(Retries::new(now)),
            estimator: Mutex::new(Estimator::new()),
            teller: Teller::new(name),
            landed: Notify::new(),
        })
    }

    /// Waits for a place in flight, of which `most` are allowed.
    pub(super) async fn place(self: &Arc<Self>, most: u32) -> Place {
        lock(&self.flight).allow(most);
        loop {
            let take = lock(&self.flight).take(Instant::now());
            match take {
                Take::Taken => return Place(Arc::clone(self)),
                // A place that was given back since is remembered.
                Take::Full => self.landed.notified().await,
                Take::From(then) => tokio::time::sleep_until(then).await,
            }
        }
    }

    /// What is wrong with it.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let trouble = lock(&self.breaker).trouble().cloned();
        trouble.or_else(|| lock(&self.retries).ailment(Instant::now()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.0.flight).give_back(Instant::now());
        self.0.landed.notify_one();
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        lock(&self.1.breaker).probed();
        self.0.scope.changed.notify_waiters();
    }
}
