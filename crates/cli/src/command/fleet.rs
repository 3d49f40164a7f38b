//! What `assay coordinator` and `assay worker` share: what they refuse, and how they wait for what is away.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use assay_common::clock::Clock;
use assay_common::id::MemberId;
use assay_queue::{Queue, QueueUrl};
use assay_store::{Schema, Store, StoreError, StoreUrl};
use assay_worker::Shutdown;
use axum::Router;
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::exit::{Exit, chain};
use crate::listen::{self, Bounds, Readiness};
use crate::signals::stop_on_signals;

/// The pause between two attempts to reach the store.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// A process of a fleet that has started and may still wait for its store.
pub(crate) struct Process {
    pub(crate) clock: Clock,
    pub(crate) rng: StdRng,
    pub(crate) member: MemberId,
    pub(crate) host: String,
    pub(crate) queue: Queue,
    pub(crate) shutdown: Shutdown,
    store: watch::Sender<Result<Store, String>>,
}

impl Process {
    /// Connects to the queue and begins to listen to signals. `what` is the command.
    pub(crate) fn start(what: &'static str, queue: &str, grace: Duration) -> Result<Self, Exit> {
        let url: QueueUrl = queue.parse().map_err(Exit::input)?;
        if url == QueueUrl::Memory {
            return Err(Exit::Input(anyhow!(
                "--queue memory: is inside one process, a fleet needs a broker (amqp://…); for one process use `assay run`"
            )));
        }
        let clock = Clock::system();
        let mut rng = StdRng::try_from_rng(&mut SysRng)
            .context("cannot draw random numbers")
            .map_err(Exit::Unfinished)?;
        let millis = u64::try_from(clock.now().0 / 1_000).unwrap_or(0);
        let member = uuid::Builder::from_unix_timestamp_millis(millis, &rng.random()).into_uuid();
        let queue = Queue::connect(&url, &format!("assay {what} {member}"));
        let shutdown = Shutdown::default();
        tokio::spawn(stop_on_signals(shutdown.clone(), Some(grace), move || {
            let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(grace_ms, "stopping {what}: recording what is in flight");
        }));
        let (store, _) = watch::channel(Err("connecting".to_owned()));
        Ok(Self { clock, rng, member: MemberId::new(member), host: host(), queue, shutdown, store })
    }

    /// What readiness is read from.
    pub(crate) fn readiness(&self) -> Readiness {
        Readiness { store: self.store.subscribe(), queue: self.queue.clone(), role: None }
    }

    /// Serves a router at `place`.
    pub(crate) async fn listen(&self, place: &str, router: Router) -> Result<(), Exit> {
        let listener = listen::bind(place).await?;
        // Until the very end: it says what the process waits for.
        tokio::spawn(listen::serve(listener, router, Bounds::default(), self.shutdown.hard.clone()));
        Ok(())
    }

    /// Opens the store, however long it is away; `None` when told to stop first. Creates nothing.
    pub(crate) async fn open_store(&self, url: &StoreUrl) -> Result<Option<Store>, Exit> {
        let mut told = false;
        while !self.shutdown.soft.is_cancelled() {
            match Store::open(url, Schema::Require).await {
                Ok(store) => {
                    if told {
                        tracing::info!(store.url = %url, "reached the store {url}");
                    }
                    // What it replaces was for whoever asked before.
                    let _ = self.store.send_replace(Ok(store.clone()));
                    return Ok(Some(store));
                }
                Err(error @ StoreError::Unreachable { .. }) => {
                    let error = chain(&anyhow::Error::new(error));
                    if !told {
                        tracing::warn!(store.url = %url, %error, "{error}; trying until it answers");
                        told = true;
                    }
                    let _ = self.store.send_replace(Err(error));
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = sleep(TRY_EVERY) => {}
                () = self.shutdown.soft.cancelled() => {}
            }
        }
        Ok(None)
    }
}

/// The name of this machine, for people.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}
