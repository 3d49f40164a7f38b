//! The leases of a worker: each beat it asks the ledger in the store for its part of every limit, and goes by the answer from
//! the moment it asked until that is over.
//!
//! ```text
//! scopes ── asks ──► one transaction ── answers ──► lines and places      a beat, or as soon as somebody gets nothing
//!                         │ lost, or late
//!                         └──► the last lease runs out by itself, on this process's own clock
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_common::config::Limits;
use assay_store::{Answer, Renewal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::scope::Scope;
use crate::environment::Environment;
use crate::persist::with_sources;
use crate::pool::Dice;

/// Beats differ by up to this part: workers that were started together do not ask together.
const JITTER: f64 = 0.1;
/// Whoever cannot wait for the beat asks again after this part of one at the soonest.
const HURRY: u32 = 10;
/// So many times as often asks who waits and has nothing yet: the others have to go by less before he gets a part.
const IMPATIENCE: u32 = 4;
/// Whoever has what it had, and lacks nothing, asks again after so many tenths of a beat: nobody is told of a change later than
/// after two.
const SETTLED: u32 = 18;
/// How long a leaving worker waits for the store to take back what it had; what it does not take runs out.
const FAREWELL: Duration = Duration::from_secs(1);

/// What this worker has of the limits of others.
pub(crate) struct Leases {
    began: Instant,
    scopes: Mutex<Vec<Arc<Scope>>>,
    /// Rings when somebody cannot wait for the beat.
    pub(super) hurry: Arc<Notify>,
}

impl Leases {
    /// Of nothing yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), scopes: Mutex::default(), hurry: Arc::default() })
    }

    /// Takes part in the limits of a scope, and asks for a part of them at once. `is_inner`: it is a model of an account.
    pub(super) fn join(
        &self,
        name: String,
        limits: &Limits,
        most: u32,
        changed: Arc<Notify>,
        is_inner: bool,
    ) -> Arc<Scope> {
        let mut scopes = self.scopes();
        if let Some(known) = scopes.iter().find(|scope| scope.is_named(&name)) {
            return Arc::clone(known);
        }
        let scope = Arc::new(Scope::leased(name, limits, most, changed, self.began, is_inner));
        scopes.push(Arc::clone(&scope));
        self.hurry.notify_one();
        scope
    }

    /// Goes by what the ledger has answered; it holds until `until`.
    pub(super) fn follow(&self, answers: &[Answer], until: Instant, now: Instant) {
        let scopes = self.scopes().clone();
        // What limits a scope before what does not: nobody slips through in between.
        let (open, limited): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.amount.is_none());
        for answer in limited.into_iter().chain(open) {
            if let Some(scope) = scopes.iter().find(|scope| scope.is_named(&answer.scope)) {
                scope.follow(answer, until, now);
            }
        }
        let is_answered = |scope: &Scope| answers.iter().any(|answer| scope.is_named(&answer.scope));
        scopes.iter().filter(|scope| !is_answered(scope)).for_each(|scope| scope.is_unlimited(now));
    }

    /// When to ask again, after an answer.
    fn pace(&self, beat: Duration, ttl: Duration) -> Duration {
        let (scopes, now) = (self.scopes(), Instant::now());
        if scopes.iter().any(|scope| scope.is_starved(now)) {
            return beat / IMPATIENCE;
        }
        if scopes.iter().all(|scope| scope.is_settled()) { settled(beat, ttl) } else { beat }
    }

    fn scopes(&self) -> MutexGuard<'_, Vec<Arc<Scope>>> {
        // A panic while the lock is held leaves a list of scopes: still sound.
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How soon a worker whose shares do not change renews them: less often, but soon enough to be late once.
pub fn settled(beat: Duration, ttl: Duration) -> Duration {
    (beat * SETTLED / 10).min(ttl / 2).max(beat)
}

/// Renews the leases until `gone`, when no call is under way any more, and gives back what there is then.
pub(crate) async fn renew(leases: Arc<Leases>, environment: Arc<Environment>, gone: CancellationToken) {
    let (beat, ttl) = (environment.config.lease_beat(), environment.config.lease_time());
    let dice = Dice::new(environment.seed ^ 3);
    let mut failing = false;
    let mut has_asked = false;
    loop {
        let sent = Instant::now();
        if !leases.scopes().is_empty() {
            has_asked = true;
            failing = renew_once(&leases, &environment, sent, failing).await;
        }
        // The first calls wait for nothing but the store.
        let soonest = if has_asked { sent + beat / HURRY } else { sent };
        let pace = if failing { beat } else { leases.pace(beat, ttl) };
        let next = sent + pace.mul_f64(1.0 - JITTER + 2.0 * JITTER * dice.draw());
        tokio::select! {
            biased;
            () = gone.cancelled() => break,
            () = sleep_until(next) => {}
            () = async {
                leases.hurry.notified().await;
                sleep_until(soonest).await;
            } => {}
        }
    }
    if has_asked {
        let released = timeout(FAREWELL, environment.store.release_leases(environment.member)).await;
        if !matches!(released, Ok(Ok(()))) {
            tracing::debug!("could not give back what was leased; it runs out");
        }
    }
}

/// One renewal; returns whether it failed, which is logged when the last one had not.
async fn renew_once(leases: &Leases, environment: &Environment, sent: Instant, failing: bool) -> bool {
    let ttl = environment.config.lease_time();
    let scopes = leases.scopes().clone();
    let asks: Vec<_> = scopes.iter().flat_map(|scope| scope.asks(sent)).collect();
    let beside = scopes.iter().filter(|scope| !asks.iter().any(|ask| scope.is_named(&ask.scope)));
    let beside = beside.map(|scope| scope.name().to_owned()).collect();
    let renewal = Renewal { member: environment.member, asks: asks.clone(), beside, ttl };
    // An answer that comes after the lease would be over is of no use.
    let renewed = timeout(ttl, environment.store.renew(renewal, environment.clock.now())).await;
    let problem = match renewed {
        Ok(Ok(answers)) => {
            leases.follow(&answers, sent + ttl, Instant::now());
            if failing {
                tracing::info!("leases of provider limits are renewed again");
            }
            return false;
        }
        Ok(Err(error)) => with_sources(&error),
        Err(_) => "the store does not answer in time".to_owned(),
    };
    scopes.iter().for_each(|scope| scope.unanswered(&asks, Instant::now()));
    if !failing {
        tracing::warn!(error = %problem, "failed to renew leases of provider limits; calls wait once they are over");
    }
    true
}
