//! One call: made, written down with what it cost, and told to the account.

use std::time::Duration;

use assay_common::job::Call;
use assay_common::money::NanoUsd;
use assay_common::usage::Usage;
use tokio::time::Instant;
use tracing::Instrument;

use super::Work;
use crate::limit::breaker::Evidence;
use crate::limit::gate::Pass;
use crate::persist::persist;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::provider::Question;
use crate::provider::observation::{Class, Measured, Observation, Reply, classify};
use crate::retry::Circumstances;
use crate::{WorkerError, spans};

/// A call that came to an end: its class, what was observed, and its latency in microseconds where it has one.
pub(super) type Observed = (Class, Observation, Option<i64>);

/// Why nothing was observed.
pub(super) enum Unheard {
    /// There was nobody to ask.
    Nobody,
    /// The run has ended, and the call was not waited for.
    Cut,
    /// The end of this process came first.
    Ended,
}

impl Work<'_> {
    /// Makes one call, writes it down and lets the account learn from it. Inside `Err`: nothing was observed.
    pub(super) async fn ask(
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

    /// Writes down that the call for which money was set aside is not made: that alone gives it back.
    pub(super) fn unsent(&mut self, reserved: bool) {
        if reserved {
            self.calls.push(Call {
                attempt: self.grant.attempt,
                started_at: self.pool.environment.clock.now(),
                duration_us: 0,
                class: Class::Unsent.word().into(),
                status: None,
                usage: Usage::default(),
                cost: Some(NanoUsd(0)),
                billed: Some(false),
                frees: true,
            });
        }
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

    pub(super) fn circumstances(&self, observation: &Observation) -> Circumstances {
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
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
