//! A job at work, from its first call to its settlement: set money aside → ask → retry, or keep and score.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::job::{Call, Finished, Grant, Output, Parked, Reservation, Response, Settlement};
use assay_common::money::NanoUsd;
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::trace::TraceParent;
use assay_common::usage::Usage;
use assay_store::SetAside;
use tokio::time::Instant;
use tracing::Instrument;

use crate::keep::Keeper;
use crate::limit::breaker::Evidence;
use crate::limit::gate::{Closed, Pass, Size};
use crate::limit::pause::LONGEST_WAIT;
use crate::limit::retries::Attempt;
use crate::persist::persist;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::provider::observation::{Answer, Class, Measured, Observation, Reply, classify};
use crate::provider::{Prompt, Question};
use crate::purse::Purse;
use crate::retry::{Circumstances, Step, Tally, decide};
use crate::scorer::{Fault, Judged, score_output};
use crate::{WorkerError, spans};

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

/// A call that came to an end: its class, what was observed, and its latency in microseconds where it has one.
type Observed = (Class, Observation, Option<i64>);

/// Why nothing was observed.
enum Unheard {
    /// There was nobody to ask.
    Nobody,
    /// The run has ended, and the call was not waited for.
    Cut,
    /// The end of this process came first.
    Ended,
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
                return Ok(Some(self.closed_out(closed)));
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
                    () = pool.gate.refresh(pass) => {}
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
                        let keeping = keeper.keep(grant.key, response.clone());
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
            // What the provider has said meanwhile may leave no room for it.
            if let Err(too_large) = pool.gate.fits(size) {
                return Ok(Some(self.failed(ErrorKind::TooLarge, too_large.to_string(), None)));
            }
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
                Err(closed) => return Ok(Some(self.closed_out(closed))),
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
            tracing::warn!(run.id = %self.grant.key.run, "cannot hold a budget without the price of {model} in assay.toml");
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

    /// Makes one call, writes it down and lets the account learn from it. Inside `Err`: nothing was observed.
    async fn ask(
        &mut self,
        plan: &Plan,
        question: &Question<'_>,
        pass: Option<&Pass>,
        reserved: bool,
    ) -> Result<Result<Observed, Unheard>, WorkerError> {
        let Pool { environment, provider, gate, dice, hard, alive, .. } = self.pool;
        let started_at = environment.clock.now();
        let sent = Instant::now();
        let span = spans::call(provider, question);
        let asked =
            persist("read a recorded answer", dice, hard, || provider.ask(question, &environment.store))
                .instrument(span.clone());
        let (observation, is_cut) = tokio::select! {
            biased;
            asked = asked => match asked? {
                Some(Some(observation)) => (observation, false),
                Some(None) => {
                    spans::not_called(&span);
                    return Ok(Err(Unheard::Nobody));
                }
                None => return Ok(Err(Unheard::Ended)),
            },
            () = hard.cancelled() => return Ok(Err(Unheard::Ended)),
            () = alive.cuts(self.grant.key.run) => (Observation::cut("the deadline of its run has passed"), true),
        };
        assay_common::crash_point!(Called);
        let duration_us = micros(sent.elapsed());
        let class = classify(&observation.reply);
        spans::called(&environment.tracer, &span, class, &observation);
        self.called = environment.tracer.context(&span);
        drop(span);
        let latency_us = match observation.measured {
            Measured::Here => Some(duration_us),
            Measured::Then(micros) => Some(micros),
            Measured::Never => None,
        };
        let usage = match &observation.reply {
            Reply::Answer(answer) => answer.usage,
            _ => Usage::default(),
        };
        let (billed, cost) = self.bill(plan, class, &observation, &usage);
        let status = observation.reply.status();
        tracing::debug!(
            call.class = class.word(),
            call.duration_us = duration_us,
            call.status = status,
            "called"
        );
        let attempt = self.grant.attempt;
        let class_word = class.word().into();
        self.calls.push(Call {
            attempt,
            started_at,
            duration_us,
            class: class_word,
            status,
            usage,
            cost,
            billed,
            // A provider that fails with a status bills nothing; what was cut off, or has no usage, it may have billed.
            frees: reserved && (cost.is_some() || billed == Some(false) || class == Class::Transient),
        });
        if is_cut {
            tracing::debug!("cut off a call: the deadline of its run has passed");
            // It says nothing of the account.
            return Ok(Err(Unheard::Cut));
        }
        let detail = observation.reply.detail();
        let evidence = Evidence { class, sent, retry_after: observation.retry_after, detail: &detail };
        gate.observe(&evidence, &environment.store, &environment.clock).await;
        gate.settle(pass, class, &usage, &observation.meters);
        Ok(Ok((class, observation, latency_us)))
    }

    /// Whether a call was billed, and what it cost. What never left this process was not, and costs what the price
    /// table says of its tokens.
    fn bill(
        &self,
        plan: &Plan,
        class: Class,
        observation: &Observation,
        usage: &Usage,
    ) -> (Option<bool>, Option<NanoUsd>) {
        let local = observation.measured != Measured::Here;
        let billed = if local { Some(false) } else { class.billed() };
        let cost = if billed == Some(false) && !local {
            Some(NanoUsd(0))
        } else {
            plan.price(self.grant.variant).and_then(|price| price.cost(usage))
        };
        (billed, cost)
    }

    fn circumstances(&self, observation: &Observation) -> Circumstances {
        let Pool { environment, gate, dice, give_up_after, .. } = self.pool;
        Circumstances {
            age: environment.clock.now().since(self.grant.first_claimed),
            give_up_after: *give_up_after,
            pool_succeeds: gate.answered_since(self.grant.first_claimed),
            streak: gate.streak(),
            retry_after: observation.retry_after,
            jitter: dice.draw(),
        }
    }

    /// What is kept of an answer, with the calls that led to it.
    fn response(&mut self, reply: Reply, latency_us: Option<i64>) -> Option<Response> {
        let Reply::Answer(Answer { text, finish_reason, usage, .. }) = reply else { return None };
        let cost = self.calls.last().and_then(|call| call.cost);
        let calls = std::mem::take(&mut self.calls);
        Some(Response { text, finish_reason, usage, latency_us, cost, calls })
    }

    pub(crate) fn answered(mut self, plan: &Plan, response: Response) -> Settlement {
        let Response { text, finish_reason, usage, latency_us, cost, calls } = response;
        self.calls = calls;
        let tracer = &self.pool.environment.tracer;
        let span = spans::score(tracer, self.called);
        let judged = judge(plan, &text, self.grant);
        spans::scored(
            tracer,
            &span,
            judged.as_ref().map(|judged| &*judged.scores).map_err(|(kind, _)| *kind),
        );
        let mut finished = self.finished(Outcome::Passed);
        match judged {
            Ok(Judged { passed, score, scores }) => {
                finished.outcome = if passed { Outcome::Passed } else { Outcome::Failed };
                finished.score = Some(score);
                finished.scores = scores;
            }
            Err((kind, error)) => {
                finished.outcome = Outcome::Errored(kind);
                finished.error = Some(error);
            }
        }
        let word = finished.outcome.word();
        tracing::debug!(job.outcome = word, "scored: {word}");
        finished.output = Some(Output::of_text(text));
        finished.finish_reason = finish_reason;
        finished.usage = usage;
        finished.latency_us = latency_us;
        finished.cost = finished.cost.or(cost);
        Settlement::Finished(Box::new(finished))
    }

    fn given_up(self, kind: ErrorKind, observation: Observation) -> Settlement {
        let error = observation.reply.detail();
        let output = match observation.reply {
            Reply::Malformed { bytes, .. } => Some(Output::of_bytes(bytes)),
            _ => None,
        };
        self.failed(kind, error, output)
    }

    pub(crate) fn failed(self, kind: ErrorKind, error: String, output: Option<Output>) -> Settlement {
        let mut finished = self.finished(Outcome::Errored(kind));
        finished.error = Some(error);
        finished.output = output;
        Settlement::Finished(Box::new(finished))
    }

    fn finished(self, outcome: Outcome) -> Finished {
        Finished {
            key: self.grant.key,
            attempt: self.grant.attempt,
            variant: self.grant.variant,
            outcome,
            error: None,
            score: None,
            scores: Vec::new(),
            output: None,
            finish_reason: None,
            usage: Usage::default(),
            latency_us: None,
            cost: self.calls.last().and_then(|call| call.cost),
            finished_at: self.now(),
            calls: self.calls,
        }
    }

    /// Waits in the store for the account to open. Not for long at a time: nobody claims while it is shut, and somebody may open it.
    pub(crate) fn closed_out(self, closed: Closed) -> Settlement {
        let spread = SPREAD.mul_f64(self.pool.dice.draw());
        self.parked(closed.reopens_in.min(LONGEST_WAIT) + spread)
    }

    fn parked(self, wait: Duration) -> Settlement {
        Settlement::Parked(Parked {
            key: self.grant.key,
            attempt: self.grant.attempt,
            not_before: self.now().plus(wait),
            tries: self.tally.tries,
            calls: self.calls,
        })
    }

    fn now(&self) -> Micros {
        self.pool.environment.clock.now()
    }
}

/// Judges an answer. A scorer that panics takes down neither the job's answer nor its neighbours.
fn judge(plan: &Plan, text: &str, grant: &Grant) -> Result<Judged, (ErrorKind, String)> {
    catch_unwind(AssertUnwindSafe(|| score_output(&plan.scoring, text, &grant.case.vars)))
        .unwrap_or_else(|_| {
            Err(Fault::Scorer { scorer: "score".into(), reason: "it ended in a panic".into() })
        })
        .map_err(|fault| (fault.kind(), fault.to_string()))
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
