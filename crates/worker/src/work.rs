//! A job at work, from its first call to its settlement: set money aside → ask → retry, or keep and score.
//!
//! [`call`]: one call and what is written down of it; [`settle`]: how a job is given back.

mod call;
mod settle;

use std::time::Duration;

use assay_common::job::{Call, Grant, Reservation, Settlement};
use assay_common::outcome::ErrorKind;
use assay_common::trace::TraceParent;
use assay_store::SetAside;
use tracing::Instrument;

use self::call::Unheard;
pub(crate) use self::call::micros;
use crate::WorkerError;
use crate::keep::Keeper;
use crate::limit::gate::{Pass, Size};
use crate::limit::retries::Attempt;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::provider::observation::{Class, Measured};
use crate::provider::{Prompt, Question};
use crate::purse::Purse;
use crate::retry::{Step, Tally, decide};

/// Jobs that wait in the store for a closed account come back within this long of its opening, not all at once.
const SPREAD: Duration = Duration::from_secs(1);
/// How long a job waits in the store when the budget has nothing left for its call: what is set aside for the calls in
/// flight may be free by then.
const SHORT_OF_MONEY: Duration = Duration::from_millis(500);

/// Whether a call can be paid for.
enum Purchase {
    /// Nothing limits it.
    Unlimited,
    /// The most it may cost is set aside.
    Reserved,
    /// The run's budget, or its account's money for the day, has not so much left: it may have after so long.
    TooDear(Duration),
}

/// A job in execution.
pub(crate) struct Work<'w> {
    pool: &'w Pool,
    grant: &'w Grant,
    tally: Tally,
    calls: Vec<Call>,
    /// The span of the last call.
    called: Option<TraceParent>,
}

impl<'w> Work<'w> {
    pub(crate) fn new(pool: &'w Pool, grant: &'w Grant) -> Self {
        Self { pool, grant, tally: Tally::resumed(grant.tries), calls: Vec::new(), called: None }
    }

    pub(crate) async fn carry_out(
        mut self,
        plan: &Plan,
        prompt: &Prompt,
        (purse, keeper): &(Purse, Keeper),
        slot: &mut Option<Pass>,
    ) -> Result<Option<Settlement>, WorkerError> {
        let (pool, grant) = (self.pool, self.grant);
        let model = plan.model(grant.variant);
        let size = Size { bytes: prompt.bytes(), max_tokens: model.sampling.max_tokens };
        let question = Question::new(grant, model, prompt, plan.label(grant.variant));
        loop {
            if !pool.alive.is_open(grant.key.run) {
                return Ok(Some(self.parked(Duration::ZERO)));
            }
            if let Some(Err(closed)) = slot.as_ref().map(|pass| pool.gate.look_again(pass)) {
                return Ok(Some(self.barred(closed.into())));
            }
            let reserved = match self.set_aside(plan, prompt, purse).await {
                Some(Purchase::Unlimited) => false,
                Some(Purchase::Reserved) => true,
                Some(Purchase::TooDear(wait)) => return Ok(Some(self.parked(wait))),
                None => return Ok(None),
            };
            if let Some(pass) = slot {
                tokio::select! {
                    biased;
                    () = pool.hard.cancelled() => return Ok(None),
                    // What is set aside for a call is given back by its end alone.
                    () = pool.alive.closes(grant.key.run), if !reserved => {
                        return Ok(Some(self.parked(Duration::ZERO)));
                    }
                    fresh = pool.gate.refresh(pass) => if let Err(too_large) = fresh {
                        self.unsent(reserved);
                        return Ok(Some(self.barred(too_large.into())));
                    },
                }
            }
            let asked = self.ask(plan, &question, slot.as_ref(), reserved).await?;
            let (class, observation, latency_us) = match asked {
                Ok(observed) => observed,
                Err(Unheard::Nobody) => {
                    let error = "no recorded answer fits this case, prompt and trial".to_owned();
                    return Ok(Some(self.failed(ErrorKind::NoRecording, error, None)));
                }
                // In a run that is being cancelled, what is given back is cancelled too.
                Err(Unheard::Cut) => return Ok(Some(self.parked(Duration::ZERO))),
                Err(Unheard::Ended) => return Ok(None),
            };
            if class == Class::RateLimited
                && let Some(too_large) = pool.gate.never_fits(grant.key, size, &observation.meters)
            {
                return Ok(Some(self.barred(too_large.into())));
            }
            let circumstances = self.circumstances(&observation);
            let wait = match decide(class, &mut self.tally, &circumstances) {
                Step::Score => {
                    let Some(response) = self.response(observation.reply, latency_us) else {
                        return Ok(Some(self.failed(
                            ErrorKind::Malformed,
                            "no answer came".to_owned(),
                            None,
                        )));
                    };
                    if observation.measured == Measured::Here {
                        let keeping = keeper.keep(&pool.environment.store, grant.key, &response);
                        keeping.instrument(tracing::debug_span!("keep")).await;
                        assay_common::crash_point!(Kept);
                    }
                    *slot = None;
                    return Ok(Some(self.answered(plan, response)));
                }
                Step::Fail(kind) => return Ok(Some(self.given_up(kind, observation))),
                Step::Park(wait) => return Ok(Some(self.parked(wait))),
                Step::Again(wait) => wait,
            };
            let counts = self.tally.tries.counted > 0;
            let attempt = if counts { Attempt::Again } else { Attempt::First };
            *slot = None;
            let entered = tokio::select! {
                biased;
                () = pool.stop.cancelled() => return Ok(Some(self.parked(Duration::ZERO))),
                () = pool.alive.closes(grant.key.run) => return Ok(Some(self.parked(Duration::ZERO))),
                entered = async {
                    tokio::time::sleep(wait).await;
                    pool.gate.enter(attempt, size, pool.environment.clock.now()).await
                } => entered,
            };
            *slot = match entered {
                Ok(pass) => Some(pass),
                Err(barred) => return Ok(Some(self.barred(barred))),
            };
        }
    }

    /// Sets aside what the next call may cost, where the run has a budget or its account a cap; `None`: the end came first.
    async fn set_aside(&self, plan: &Plan, prompt: &Prompt, purse: &Purse) -> Option<Purchase> {
        let cap = plan.cap(self.grant.variant).cloned();
        if !plan.is_budgeted(self.grant.variant) && cap.is_none() {
            return Some(Purchase::Unlimited);
        }
        let Some(amount) = plan.most(self.grant.variant, prompt) else {
            let model = plan.model(self.grant.variant).name();
            // Whoever serves the pool has said so, and is about to close it.
            tracing::debug!(run.id = %self.grant.key.run, "cannot hold a budget without the price of {model} in assay.toml");
            return Some(Purchase::TooDear(SHORT_OF_MONEY));
        };
        let seq = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        let (key, attempt) = (self.grant.key, self.grant.attempt);
        let is_capped = cap.is_some();
        let set_aside = purse.reserve(Reservation { key, attempt, seq, amount, cap }).await?;
        assay_common::crash_point!(Reserved);
        Some(match set_aside {
            SetAside::Done => {
                if is_capped {
                    self.pool.gate.has_paid();
                }
                Purchase::Reserved
            }
            SetAside::RunIsShort => Purchase::TooDear(SHORT_OF_MONEY),
            SetAside::DayIsShort => {
                Purchase::TooDear(self.pool.gate.wants_money() + SPREAD.mul_f64(self.pool.dice.draw()))
            }
        })
    }
}
