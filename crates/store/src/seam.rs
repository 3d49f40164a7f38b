//! The seam of a simulation: what stands between one process and its store.
//!
//! A simulation runs a whole fleet in one thread, on paused time and on one database in memory. Each process sees that
//! database through a [`Seam`] of its own, which may hold a transaction up, fail it before it begins, or lose its answer
//! after it was committed. The transaction itself is a moment of simulated time: nothing else runs until it is over, so
//! that equal seeds make equal histories. No other store knows any of this.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;
use tokio::task::unconstrained;

use crate::error::StoreError;
use crate::open::{MIGRATOR, Store};
use crate::pools::{Pools, joined};

/// A point that every transaction comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// It was asked for; nothing has happened.
    Asked,
    /// It is over, and committed if it was to be; nobody has been told.
    Answered,
}

/// What a process of a simulation meets on its way to the store and back.
pub trait Seam: fmt::Debug + Send + Sync {
    /// Takes as long as the transaction is held up at this point, and says whether it goes on from it; for ever in a
    /// process that has died. `reads`: it changes nothing.
    fn pass(&self, point: Point, reads: bool) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}

/// What a simulated store has beside its database.
#[derive(Clone)]
pub(crate) struct Simulated {
    /// The runtime in which the database's own work is done while the simulation stands still.
    aside: Handle,
    lock: Arc<Mutex<Lock>>,
    seam: Option<Arc<dyn Seam>>,
}

impl Store {
    /// A database in the memory of this process, for simulations: its schema is made, and it ends with its last handle.
    /// What is asked of it is done in the runtime `aside`, which must run in threads of its own, while the caller's
    /// thread waits.
    ///
    /// # Errors
    /// When the schema cannot be made.
    pub fn simulated(aside: Handle) -> Result<Self, StoreError> {
        let simulated = Simulated { aside, lock: Arc::default(), seam: None };
        let store = Self::of_simulation(Pools::memory(), simulated.clone());
        let migrated = simulated.at_once(async {
            let Pools::Sqlite { writer, .. } = store.pools() else { return Ok(()) };
            let mut turn = writer.ready().await?;
            MIGRATOR
                .run_direct(None, turn.connection(), false)
                .await
                .map_err(|source| StoreError::Migration { url: store.url().to_string(), source })
        });
        migrated.map(|()| store)
    }

    /// A simulated store as one process sees it. Any other store has no seams, and comes back as it is.
    pub fn through(&self, seam: Arc<dyn Seam>) -> Self {
        self.with_seam(seam)
    }
}

impl Simulated {
    /// The same database behind another seam.
    pub(crate) fn behind(&self, seam: Arc<dyn Seam>) -> Self {
        Self { seam: Some(seam), ..self.clone() }
    }

    /// Does `work` while this thread stands still. What it spawns, and the timers it sets, belong to the other runtime.
    fn at_once<T>(&self, work: impl Future<Output = T>) -> T {
        let _aside = self.aside.enter();
        // A task of the simulation that has had its share of polls could not go on before it yields, which it does not.
        let mut work = pin!(unconstrained(work));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match work.as_mut().poll(&mut context) {
                Poll::Ready(done) => return done,
                Poll::Pending => thread::park(),
            }
        }
    }

    async fn passes(&self, point: Point, reads: bool) -> Result<(), StoreError> {
        match &self.seam {
            Some(seam) if !seam.pass(point, reads).await => Err(cut()),
            _ => Ok(()),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What somebody sees of a transaction that did not get past its seam.
fn cut() -> StoreError {
    let source = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
    StoreError::Unreachable { url: "the simulated store".to_owned(), source }
}

/// Carries out what is asked of `store`: as it is, or in a simulation between the two points of its seam.
pub(crate) async fn carried_out<T>(
    store: &Store,
    reads: bool,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let Some(simulated) = store.simulation() else { return work.await };
    simulated.passes(Point::Asked, reads).await?;
    let done = simulated.at_once(work);
    simulated.passes(Point::Answered, reads).await?;
    done
}

/// Carries out a write, in a task of its own: a caller that stops waiting does not end it. In a simulation nobody can stop waiting
/// in the middle of it, and each of its statements would cost two more wake-ups of threads.
pub(crate) async fn written<T: Send + 'static>(
    store: &Store,
    write: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    match store.simulation() {
        Some(_) => carried_out(store, false, write).await,
        None => joined(tokio::spawn(write)).await,
    }
}

/// The leader's lock of a simulated store, as PostgreSQL has it.
#[derive(Debug, Default)]
struct Lock {
    /// The session that holds it.
    holder: Option<u64>,
    /// Sessions opened so far.
    opened: u64,
    /// Sessions that somebody else has ended.
    ended: BTreeSet<u64>,
}

/// A session on which the lock is asked for and held.
pub(crate) struct Session {
    simulated: Simulated,
    number: u64,
}

impl Session {
    /// Opens one, where the store is simulated.
    pub(crate) async fn open(store: &Store) -> Option<Result<Self, StoreError>> {
        let simulated = store.simulation()?.clone();
        if let Err(error) = simulated.passes(Point::Asked, true).await {
            return Some(Err(error));
        }
        let number = {
            let mut lock = lock(&simulated);
            lock.opened += 1;
            lock.opened
        };
        Some(Ok(Self { simulated, number }))
    }

    pub(crate) async fn try_lock(&self) -> Result<bool, StoreError> {
        self.ask(|lock, me| *lock.holder.get_or_insert(me) == me).await
    }

    pub(crate) async fn depose(&self) -> Result<(), StoreError> {
        let end = |lock: &mut Lock, me| lock.ended.extend(lock.holder.take_if(|holder| *holder != me));
        self.ask(end).await
    }

    pub(crate) async fn is_alive(&self) -> Result<(), StoreError> {
        self.ask(|_, _| ()).await
    }

    async fn ask<T>(&self, question: impl FnOnce(&mut Lock, u64) -> T) -> Result<T, StoreError> {
        self.simulated.passes(Point::Asked, true).await?;
        let answer = {
            let mut lock = lock(&self.simulated);
            if lock.ended.contains(&self.number) {
                return Err(cut());
            }
            question(&mut lock, self.number)
        };
        self.simulated.passes(Point::Answered, true).await?;
        Ok(answer)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        lock(&self.simulated).holder.take_if(|holder| *holder == self.number);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.number)
    }
}

fn lock(simulated: &Simulated) -> MutexGuard<'_, Lock> {
    // A panic while the lock is held leaves plain values: still sound.
    simulated.lock.lock().unwrap_or_else(PoisonError::into_inner)
}
