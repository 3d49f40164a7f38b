//! The election: who holds the store's lock leads, under an epoch of his own.
//!
//! The lock falls to the next as soon as the leader's connection ends. A leader that is frozen keeps his connection: the
//! others watch his beat, and when it stands still they end his session. When he wakes, his epoch is over.

use std::time::Duration;

use assay_common::id::MemberId;
use assay_store::{Candidacy, Mandate, StoreError};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::environment::Environment;
use crate::run::round::with_sources;
use crate::run::sweep::Beats;

/// How often the lock is asked for, and a leader looks whether he still has it.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long the database may take to say so.
const ANSWER: Duration = Duration::from_secs(5);

/// A standing candidacy.
pub(super) struct Election {
    environment: Environment,
    member: MemberId,
    candidacy: Option<Candidacy>,
    /// The beats of all, among them that of whoever leads.
    beats: Beats,
    told: bool,
}

/// A term of office.
pub(super) struct Term {
    pub(super) mandate: Mandate,
    candidacy: Candidacy,
}

impl Election {
    pub(super) fn new(environment: Environment, member: MemberId) -> Self {
        Self { environment, member, candidacy: None, beats: Beats::default(), told: false }
    }

    /// Waits until this process leads; `None` when it is told to stop first.
    pub(super) async fn win(&mut self, stop: &CancellationToken) -> Option<Term> {
        while !stop.is_cancelled() {
            match self.stand().await {
                Ok(Some(term)) => {
                    self.told = false;
                    tracing::info!(member.id = %self.member, mandate = ?term.mandate, "coordinator {} leads", self.member);
                    return Some(term);
                }
                Ok(None) => self.told = false,
                Err(error) => {
                    // With the connection goes whatever was asked on it.
                    self.candidacy = None;
                    if !self.told {
                        self.told = true;
                        let error = with_sources(&error);
                        tracing::warn!(%error, "cannot stand for election, trying again until it works: {error}");
                    }
                }
            }
            tokio::select! {
                biased;
                () = sleep(ASK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
        None
    }

    /// Asks once.
    async fn stand(&mut self) -> Result<Option<Term>, StoreError> {
        let Environment { store, clock, timings, silences, .. } = &self.environment;
        let candidacy = match &mut self.candidacy {
            Some(candidacy) => candidacy,
            None => self.candidacy.insert(Candidacy::open(store).await?),
        };
        if !candidacy.try_lock().await? {
            let members = store.members().await?;
            let leader = store.leader().await?;
            let mut seen: Vec<_> = members.iter().map(|member| (member.id, member.beat)).collect();
            // A leader that was buried beats no more.
            seen.extend(leader.filter(|id| members.iter().all(|member| member.id != *id)).map(|id| (id, 0)));
            let silent = self.beats.observe(&seen, Instant::now(), timings.dead_after);
            silences.note(self.beats.silences());
            if let Some(leader) = leader.filter(|leader| silent.contains(leader)) {
                tracing::warn!(member.id = %leader, "the leader {leader} no longer beats: its session is ended");
                candidacy.depose().await?;
            }
            return Ok(None);
        }
        let mandate = store.raise_epoch(self.member, clock.now()).await?;
        Ok(self.candidacy.take().map(|candidacy| Term { mandate, candidacy }))
    }
}

impl Term {
    /// Ready when the lock is no longer held.
    pub(super) async fn lost(&mut self) {
        loop {
            sleep(ASK_EVERY).await;
            if !matches!(timeout(ANSWER, self.candidacy.is_alive()).await, Ok(true)) {
                tracing::warn!("the connection that holds the leadership has ended");
                return;
            }
        }
    }

    /// Gives up the lock, so that the next leads at once.
    pub(super) async fn end(self) {
        // A connection that does not answer is dropped, which ends it too.
        let _ = timeout(ANSWER, self.candidacy.end()).await;
    }
}
