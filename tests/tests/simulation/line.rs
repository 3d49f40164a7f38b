//! The line of one process: everything that it asks of the world goes through here, and here it dies, freezes, waits and
//! is cut off.

use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_common::id::{Digest, Digester};
use assay_store::seam::{Point, Seam};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::chance::Chance;
use crate::plan::Weather;

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.name)
    }
}

impl fmt::Debug for Skies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Skies({:?})", self.weather())
    }
}

/// What all lines share: the weather, and the history of everything that passed.
pub(crate) struct Skies {
    chance: Chance,
    /// Calm when there is none.
    weather: Mutex<Option<Weather>>,
    outage_until: Mutex<Option<Instant>>,
    /// Points that processes have come to, at which they wait for the world.
    points: AtomicU64,
    /// The point at which a process dies.
    doom: Mutex<Option<u64>>,
    /// Lives of processes that anything befell.
    troubled: AtomicU32,
    history: Mutex<Digester>,
    began: Instant,
}

/// The line of one life of a process.
pub(crate) struct Line {
    /// The process, for people.
    pub(crate) name: String,
    /// When it began.
    pub(crate) born: Instant,
    skies: Arc<Skies>,
    /// Whether it can die of the weather.
    mortal: bool,
    state: Mutex<State>,
    died: Notify,
}

#[derive(Debug, Default)]
struct State {
    dead: bool,
    frozen_until: Option<Instant>,
    cut_until: Option<Instant>,
    /// When the store last kept it waiting, or did not answer.
    held_up: Option<Instant>,
    /// Whether anything befell it alone: what it held may have been given to others, and what it knew may be lost.
    troubled: bool,
}

impl Skies {
    /// Under `weather`. Whoever comes to the point `doom` dies there.
    pub(crate) fn new(seed: u64, weather: Weather, doom: Option<u64>) -> Self {
        Self {
            chance: Chance::new(seed, 2),
            weather: Mutex::new(Some(weather)),
            outage_until: Mutex::default(),
            points: AtomicU64::new(0),
            doom: Mutex::new(doom),
            troubled: AtomicU32::new(0),
            history: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// Ends every fault.
    pub(crate) fn clear(&self) {
        *held(&self.weather) = None;
        *held(&self.outage_until) = None;
        *held(&self.doom) = None;
    }

    /// The weather now; `None` when it is calm.
    pub(crate) fn weather(&self) -> Option<Weather> {
        *held(&self.weather)
    }

    /// How many points processes have come to.
    pub(crate) fn points(&self) -> u64 {
        self.points.load(Ordering::Relaxed)
    }

    /// How many lives of processes anything befell.
    pub(crate) fn troubled(&self) -> u32 {
        self.troubled.load(Ordering::Relaxed)
    }

    /// Nobody reaches the store for so long.
    pub(crate) fn outage(&self, lasts: Duration) {
        let until = Instant::now() + lasts;
        let mut outage = held(&self.outage_until);
        *outage = Some(outage.map_or(until, |known| known.max(until)));
    }

    /// Writes something down, with its moment.
    pub(crate) fn note(&self, what: &str) {
        let at = self.began.elapsed().as_micros();
        tracing::debug!(at_ms = at / 1_000, "{what}");
        let mut history = held(&self.history);
        history.update_framed(&at.to_be_bytes());
        history.update_framed(what.as_bytes());
    }

    /// The digest of all that was written down.
    pub(crate) fn history(&self) -> Digest {
        held(&self.history).clone().finish()
    }
}

impl Line {
    /// The line of a process that begins now.
    pub(crate) fn new(name: String, skies: Arc<Skies>, mortal: bool) -> Self {
        Self { name, born: Instant::now(), skies, mortal, state: Mutex::default(), died: Notify::new() }
    }

    /// The process is dead from now on: nothing that it asks is heard.
    pub(crate) fn die(&self) {
        self.give_up();
        held(&self.state).dead = true;
        self.skies.note(&format!("{} dies", self.name));
        self.died.notify_one();
    }

    /// Ready when it has died.
    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    /// It stands still for so long.
    pub(crate) fn freeze(&self, lasts: Duration) {
        self.give_up();
        held(&self.state).frozen_until = Some(Instant::now() + lasts);
    }

    /// It does not reach the store for so long.
    pub(crate) fn cut_off(&self, lasts: Duration) {
        self.give_up();
        held(&self.state).cut_until = Some(Instant::now() + lasts);
    }

    /// Ends what befell it, but for its death.
    pub(crate) fn clear(&self) {
        let mut state = held(&self.state);
        state.cut_until = None;
        // Whoever sleeps looks again when he wakes; that was to be soon anyway.
        state.frozen_until = None;
    }

    /// What it holds may be given to others from now on, and what it knows may be lost.
    pub(crate) fn give_up(&self) {
        if !std::mem::replace(&mut held(&self.state).troubled, true) {
            self.skies.troubled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether it has died.
    pub(crate) fn is_dead(&self) -> bool {
        held(&self.state).dead
    }

    /// Whether anything befell it alone.
    pub(crate) fn is_troubled(&self) -> bool {
        held(&self.state).troubled
    }

    /// Whether the store kept it waiting, or did not answer, within so long before now.
    pub(crate) fn was_held_up(&self, within: Duration) -> bool {
        held(&self.state).held_up.is_some_and(|last| last.elapsed() <= within)
    }

    /// A point at which it waits for the world: ready when it goes on from there.
    pub(crate) async fn come_to_point(&self) {
        if self.mortal {
            let point = self.skies.points.fetch_add(1, Ordering::Relaxed);
            if *held(&self.skies.doom) == Some(point) {
                self.die();
            }
        }
        self.awake().await;
    }

    /// Ready when the process is not frozen; never, when it is dead.
    pub(crate) async fn awake(&self) {
        loop {
            let (dead, frozen_until) = {
                let state = held(&self.state);
                (state.dead, state.frozen_until.filter(|until| *until > Instant::now()))
            };
            match frozen_until {
                _ if dead => pending().await,
                Some(until) => sleep_until(until).await,
                None => return,
            }
        }
    }

    async fn go(&self, point: Point, reads: bool) -> bool {
        self.come_to_point().await;
        let chance = &self.skies.chance;
        let weather = self.skies.weather().unwrap_or_default();
        let slow = chance.happens(weather.slow);
        sleep(if slow { chance.millis(100..700) } else { chance.millis(2..9) }).await;
        self.awake().await;
        if self.mortal && chance.happens(weather.crash) {
            self.die();
            pending::<()>().await;
        }
        let away = held(&self.skies.outage_until).is_some_and(|until| until > Instant::now());
        let cut = held(&self.state).cut_until.is_some_and(|until| until > Instant::now());
        let passes = !away && !cut && !chance.happens(weather.cut);
        if slow || !passes {
            held(&self.state).held_up = Some(Instant::now());
        }
        let (name, kind) = (&self.name, if reads { "reads" } else { "writes" });
        self.skies.note(&format!("{name} {kind} {point:?} {passes}"));
        passes
    }
}

impl Seam for Line {
    fn pass(&self, point: Point, reads: bool) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(self.go(point, reads))
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
