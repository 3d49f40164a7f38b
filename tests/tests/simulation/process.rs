//! Processes: workers and coordinators as they are shipped, each a task that dies, is stopped and is started anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use assay_common::clock::Clock;
use assay_common::config::Config;
use assay_common::id::MemberId;
use assay_common::trace::Tracer;
use assay_coordinator::fleet::{Identity, Role, coordinate};
use assay_coordinator::run::Driver;
use assay_coordinator::{Environment as Coordinating, Silences, Timings};
use assay_queue::Queue;
use assay_store::{RunPool, Store};
use assay_worker::{Environment as Working, Keys, PoolSpec, Serve, Shutdown, Wire};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::chance::Chance;
use crate::line::{Line, Skies};
use crate::oracle::fleet;
use crate::provider::{Door, Providers};

/// Of what is waited for, scaled down.
const TIMINGS: Timings = Timings { dead_after: Duration::from_secs(5), lost_after: Duration::from_secs(3) };
/// How long a process may take to stop before it is killed: longer than any call and any outage.
const GRACE: Duration = Duration::from_secs(60);

/// How long `assay run` waits for a store that is away.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between looking for runs.
const IDLE: Duration = Duration::from_millis(300);

/// What all processes share.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) config: Arc<Config>,
    pub(crate) skies: Arc<Skies>,
    pub(crate) providers: Arc<Providers>,
    /// What a process did that none may do.
    pub(crate) wrong: Mutex<Vec<String>>,
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Worker,
    Coordinator,
    /// Both at once, for the runs that it finds, as `assay run` is for its own.
    Laptop,
}

/// A place in the fleet, in which one life of a process follows another.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    number: usize,
    pub(crate) clock: Clock,
    chance: Chance,
    life: Mutex<Life>,
    closed: AtomicBool,
    /// Whether a life goes on, not the time between two.
    alive: AtomicBool,
}

/// The life that goes on in a place.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) line: Arc<Line>,
    pub(crate) shutdown: Shutdown,
}

impl Place {
    /// A place in which nobody lives yet.
    pub(crate) fn new(kind: Kind, number: usize, seed: u64, clock: Clock, skies: &Arc<Skies>) -> Self {
        let chance = Chance::new(seed, 100 + number as u64);
        let line = Arc::new(Line::new(String::new(), Arc::clone(skies), true));
        let life = Mutex::new(Life { line, shutdown: Shutdown::default() });
        let (closed, alive) = Default::default();
        Self { kind, number, clock, chance, life, closed, alive }
    }

    /// The life that goes on now.
    pub(crate) fn life(&self) -> Life {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a life goes on, not the time between two.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// Told to stop, as by SIGTERM.
    pub(crate) fn terminate(&self) {
        self.life().shutdown.soft.cancel();
    }

    /// Told to stop, and not started again.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.terminate();
    }

    /// One life after the other, until the place is closed.
    pub(crate) async fn live(&self, ground: Arc<Ground>) {
        for life in 0_u64.. {
            if self.closed.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("{:?} {}.{life}", self.kind, self.number);
            let line = Arc::new(Line::new(name, Arc::clone(&ground.skies), true));
            let begun = Life { line, shutdown: Shutdown::default() };
            self.life.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&begun);
            self.alive.store(true, Ordering::Relaxed);
            self.one_life(&ground, begun, life).await;
            self.alive.store(false, Ordering::Relaxed);
            sleep(self.chance.millis(100..2_500)).await;
        }
    }

    async fn one_life(&self, ground: &Ground, Life { line, shutdown }: Life, life: u64) {
        // Sorted by their beginning, as the ids of members are.
        let member = MemberId::new(Uuid::from_u64_pair(life, self.number as u64 + 1));
        let (told, is_laptop) = (shutdown.soft.clone(), self.kind == Kind::Laptop);
        let mut running = AbortOnDropHandle::new(tokio::spawn(match self.kind {
            Kind::Worker => worker(ground, &line, self.clock.clone(), member, shutdown.clone()),
            Kind::Coordinator => coordinator(ground, &line, self.clock.clone(), member, shutdown.clone()),
            Kind::Laptop => laptop(ground, &line, self.clock.clone(), member, shutdown.clone()),
        }));
        let ended = tokio::select! {
            biased;
            () = line.died() => return,
            ended = &mut running => ended,
            () = told.cancelled() => {
                let ended = tokio::select! {
                    biased;
                    () = line.died() => return,
                    ended = timeout(GRACE, &mut running) => ended,
                };
                let Ok(ended) = ended else {
                    line.die();
                    return ground.tell(fleet::ended(&line.name, true, is_laptop, None));
                };
                ended
            }
        };
        ground.skies.note(&format!("{} ends", line.name));
        let ended = ended.unwrap_or_else(|panic| Err(panic.to_string()));
        ground.tell(fleet::ended(&line.name, told.is_cancelled(), is_laptop, Some(&ended)));
    }
}

impl Ground {
    /// What may not happen has happened.
    pub(crate) fn tell(&self, what: impl IntoIterator<Item = String>) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).extend(what);
    }
}

type Running = std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

fn worker(ground: &Ground, line: &Arc<Line>, clock: Clock, member: MemberId, shutdown: Shutdown) -> Running {
    let environment = working(ground, line, clock, member);
    let running = Box::pin(assay_worker::run(environment, Serve::OpenRuns, shutdown));
    Box::pin(async move { running.await.map_err(told) })
}

fn coordinator(
    ground: &Ground,
    line: &Arc<Line>,
    clock: Clock,
    member: MemberId,
    shutdown: Shutdown,
) -> Running {
    let environment = coordinating(ground, line, clock);
    let identity = Identity { member, host: line.name.clone(), pid: 1 };
    let (role, _) = watch::channel(Role::Standby);
    let running = Box::pin(coordinate(environment, identity, role, shutdown.soft));
    Box::pin(async move { running.await.map_err(told) })
}

fn laptop(ground: &Ground, line: &Arc<Line>, clock: Clock, member: MemberId, shutdown: Shutdown) -> Running {
    let queue = Queue::memory();
    let coordinating = Coordinating { queue: queue.clone(), ..coordinating(ground, line, clock.clone()) };
    let working = Working { queue, ..working(ground, line, clock, member) };
    let (line, stop) = (Arc::clone(line), shutdown.soft);
    Box::pin(async move { drive_all(coordinating, working, &line, stop).await.map_err(told) })
}

/// An error with all that caused it, in one line.
fn told(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// Drives every open run, one after the other, with a worker beside it.
async fn drive_all(
    coordinating: Coordinating,
    working: Working,
    line: &Line,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let store = coordinating.store.clone();
    // Whoever has the file's lock is alone.
    store.bury_all(coordinating.clock.now()).await?;
    while !stop.is_cancelled() {
        let Some(run) = store.open_runs().await?.into_iter().next() else {
            sleep(IDLE).await;
            continue;
        };
        let suite = store.suite(run.revision).await?.context("a run has a suite")?;
        let pools = RunPool::all_of(&suite).into_iter();
        let pools = pools
            .map(|pool| PoolSpec { pool: pool.pool, provider: pool.provider, model: pool.model })
            .collect();
        let driver = Driver::load(coordinating.clone(), run.id, PATIENCE).await?;
        let shutdown = Shutdown::default();
        let worked = assay_worker::run(working.clone(), Serve::These(pools), shutdown.clone());
        let worked = AbortOnDropHandle::new(tokio::spawn(worked));
        let driven = driver.drive(&stop, |_| ()).await;
        shutdown.soft.cancel();
        if driven.is_err() {
            line.give_up();
            shutdown.hard.cancel();
        }
        worked.await??;
        driven?;
        sleep(IDLE).await;
    }
    Ok(())
}

fn working(ground: &Ground, line: &Arc<Line>, clock: Clock, member: MemberId) -> Working {
    Working {
        store: ground.store.through(Arc::clone(line) as _),
        queue: ground.queue.clone(),
        clock,
        member,
        config: Arc::clone(&ground.config),
        keys: Keys::default(),
        host: line.name.clone(),
        pid: 1,
        seed: 7,
        tracer: Tracer::default(),
        wire: Wire::Model(Arc::new(Door {
            providers: Arc::clone(&ground.providers),
            line: Arc::clone(line),
        })),
    }
}

fn coordinating(ground: &Ground, line: &Arc<Line>, clock: Clock) -> Coordinating {
    Coordinating {
        store: ground.store.through(Arc::clone(line) as _),
        queue: ground.queue.clone(),
        clock,
        config: Arc::clone(&ground.config),
        timings: TIMINGS,
        tracer: Tracer::default(),
        silences: Silences::default(),
    }
}
