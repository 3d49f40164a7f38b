//! How a job is given back: scored, failed, or to wait in the store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::job::{Finished, Output, Parked, Response, Settlement};
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::usage::Usage;

use super::{SPREAD, Work};
use crate::limit::gate::{Barred, Closed};
use crate::limit::pause::LONGEST_WAIT;
use crate::plan::Plan;
use crate::provider::observation::{Answer, Observation, Reply};
use crate::scorer::{Fault, Judged, score_output};
use crate::spans;

impl Work<'_> {
    /// What is kept of an answer, with the calls that led to it.
    pub(super) fn response(&mut self, reply: Reply, latency_us: Option<i64>) -> Option<Response> {
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
        let judged = judge(|| score_output(&plan.scoring, &text, &self.grant.case.vars));
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

    pub(super) fn given_up(self, kind: ErrorKind, observation: Observation) -> Settlement {
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

    /// Ends where no limit has room for its call; else it waits in the store for the account to open. Not for long at a time:
    /// nobody claims while it is shut, and somebody may open it.
    pub(crate) fn barred(self, barred: Barred) -> Settlement {
        match barred {
            Barred::Closed(Closed { reopens_in }) => {
                let spread = SPREAD.mul_f64(self.pool.dice.draw());
                self.parked(reopens_in.min(LONGEST_WAIT) + spread)
            }
            Barred::TooLarge(too_large) => self.failed(ErrorKind::TooLarge, too_large.to_string(), None),
        }
    }

    pub(super) fn parked(self, wait: Duration) -> Settlement {
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
fn judge(score: impl FnOnce() -> Result<Judged, Fault>) -> Result<Judged, (ErrorKind, String)> {
    catch_unwind(AssertUnwindSafe(score))
        .unwrap_or_else(|_| {
            Err(Fault::Scorer { scorer: "score".into(), reason: "it ended in a panic".into() })
        })
        .map_err(|fault| (fault.kind(), fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scorer_that_panics_is_an_error_of_the_scorer() {
        // As a panic unwinds, without its words on stderr.
        let (kind, error) = judge(|| std::panic::resume_unwind(Box::new("a defect"))).unwrap_err();
        assert_eq!(kind, ErrorKind::Scorer);
        assert!(error.contains("it ended in a panic"), "{error}");
    }
}
