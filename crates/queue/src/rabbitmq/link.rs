//! A supervised connection: opened, watched, opened again for as long as somebody holds the [`Link`].
//!
//! Each outage is told twice, when it begins and when it ends; in between [`Link::health`] knows the latest reason.

use std::sync::Arc;

use futures_util::StreamExt as _;
use lapin::{Connection, Event};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::dial::dial;
use crate::url::RabbitUrl;
use crate::{Health, QueueError};

/// A handle to one connection. Clones share it; when the last is dropped, it is closed.
#[derive(Clone, Debug)]
pub(super) struct Link {
    url: Arc<RabbitUrl>,
    state: watch::Receiver<State>,
}

#[derive(Clone, Debug)]
enum State {
    /// The first attempt is not decided yet.
    Starting {
        since: Instant,
    },
    Up(Arc<Connection>),
    Blocked {
        connection: Arc<Connection>,
        reason: Arc<str>,
    },
    Down {
        since: Instant,
        reason: Arc<str>,
    },
}

impl Link {
    /// Starts to connect. `name` is what the broker shows, and `purpose` what log lines say.
    pub(super) fn open(url: RabbitUrl, name: String, purpose: &'static str) -> Self {
        let url = Arc::new(url);
        let (sender, state) = watch::channel(State::Starting { since: Instant::now() });
        let backoff = Backoff::new(&name);
        let supervisor = Supervisor { url: Arc::clone(&url), name, purpose, state: sender, backoff };
        tokio::spawn(supervisor.run());
        Self { url, state }
    }

    /// The connection, for something that must be done now: unavailable while the broker is away or takes nothing.
    pub(super) async fn for_publishing(&self) -> Result<Arc<Connection>, QueueError> {
        let mut state = self.state.clone();
        let decided = state.wait_for(|state| !matches!(state, State::Starting { .. })).await;
        match decided.map(|state| state.clone()) {
            Ok(State::Up(connection)) => Ok(connection),
            Ok(State::Blocked { reason, .. }) => {
                Err(self.unavailable(format!("it blocks publishers: {reason}")))
            }
            Ok(State::Down { reason, .. }) => Err(self.unavailable(reason)),
            Ok(State::Starting { .. }) | Err(_) => Err(QueueError::Closed),
        }
    }

    /// The connection, as soon as there is one.
    pub(super) async fn for_consuming(&self) -> Result<Arc<Connection>, QueueError> {
        let mut state = self.state.clone();
        let up = state.wait_for(|state| matches!(state, State::Up(_) | State::Blocked { .. })).await;
        match up.map(|state| state.clone()) {
            Ok(State::Up(connection) | State::Blocked { connection, .. }) => Ok(connection),
            Ok(State::Starting { .. } | State::Down { .. }) | Err(_) => Err(QueueError::Closed),
        }
    }

    /// The error for what failed on this connection.
    pub(super) fn unavailable(&self, reason: impl ToString) -> QueueError {
        QueueError::Unavailable { url: self.url.to_string(), reason: reason.to_string() }
    }

    /// The error for what failed of a queue: its own, as long as the connection stands.
    pub(super) fn failed(&self, queue: impl ToString, reason: impl ToString) -> QueueError {
        if !matches!(&*self.state.borrow(), State::Up(connection) if connection.status().connected()) {
            return self.unavailable(reason);
        }
        let (queue, url, reason) = (queue.to_string(), self.url.to_string(), reason.to_string());
        QueueError::Unusable { queue, url, reason }
    }

    /// Whether it can be used now.
    pub(super) fn health(&self) -> Health {
        match &*self.state.borrow() {
            State::Starting { since } => Health::Down { since: *since, reason: "connecting".into() },
            State::Up(_) => Health::Connected,
            State::Blocked { reason, .. } => Health::Blocked { reason: Arc::clone(reason) },
            State::Down { since, reason } => Health::Down { since: *since, reason: Arc::clone(reason) },
        }
    }
}

struct Supervisor {
    url: Arc<RabbitUrl>,
    name: String,
    purpose: &'static str,
    state: watch::Sender<State>,
    backoff: Backoff,
}

impl Supervisor {
    async fn run(mut self) {
        let holders = self.state.clone();
        tokio::select! {
            () = holders.closed() => {}
            () = self.supervise() => {}
        }
    }

    async fn supervise(&mut self) {
        let mut outage = None;
        loop {
            match dial(&self.url, &self.name).await {
                Ok(connection) => {
                    self.tell_connected(outage.take());
                    let connected = Instant::now();
                    let reason = self.watch(Arc::new(connection)).await;
                    self.backoff.worked_for(connected.elapsed());
                    self.fail(&mut outage, reason);
                }
                Err(error) => self.fail(&mut outage, error.to_string()),
            }
            sleep(self.backoff.next()).await;
        }
    }

    fn tell_connected(&self, outage: Option<Instant>) {
        let Self { url, purpose, .. } = self;
        match outage {
            Some(since) => {
                let outage_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(queue.url = %url, queue.link = purpose, outage_ms, "reached {url} again for {purpose}");
            }
            None => {
                tracing::debug!(queue.url = %url, queue.link = purpose, "connected to {url} for {purpose}");
            }
        }
    }

    /// Says so where an outage begins, and keeps the reason for whoever asks.
    fn fail(&self, outage: &mut Option<Instant>, reason: String) {
        let Self { url, purpose, .. } = self;
        let since = *outage.get_or_insert_with(|| {
            tracing::warn!(
                queue.url = %url, queue.link = purpose, error = %reason,
                "cannot reach {url} for {purpose}: {reason}; trying until it answers"
            );
            Instant::now()
        });
        self.state.send_replace(State::Down { since, reason: reason.into() });
    }

    /// Returns why the connection ended.
    async fn watch(&self, connection: Arc<Connection>) -> String {
        let Self { url, purpose, .. } = self;
        let mut events = connection.events_listener();
        self.state.send_replace(State::Up(Arc::clone(&connection)));
        // It may have ended before anybody listened.
        while connection.status().connected() {
            match events.next().await {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(
                        queue.url = %url, queue.link = purpose, error = %reason,
                        "{url} takes no messages until it has room again: {reason}"
                    );
                    let connection = Arc::clone(&connection);
                    self.state.send_replace(State::Blocked { connection, reason: reason.into() });
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!(queue.url = %url, queue.link = purpose, "{url} takes messages again");
                    self.state.send_replace(State::Up(Arc::clone(&connection)));
                }
                // Errors of a channel come this way too: the loop ends only with the connection.
                Some(Event::Error(error)) if !connection.status().connected() => return error.to_string(),
                Some(_) => {}
                None => break,
            }
        }
        "the connection was closed".to_owned()
    }
}
