//! The spans of a job's path, in its order: claim, job, call, keep, score, record.
//!
//! All are of level DEBUG: where nothing is exported and no filter asks for them, making one is a comparison. None holds
//! a prompt, an answer or a key.

use assay_common::job::{Finished, Grant, Settlement};
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::score::{Millionths, NamedScore};
use assay_common::trace::{TraceParent, Tracer};
use tracing::field::Empty;
use tracing::{Level, Span};

use crate::gen_ai;
use crate::provider::observation::{Class, Observation, Reply};
use crate::provider::{Provider, Question};
use crate::record::End;

/// The longest explanation of a score that is exported, in bytes.
const MAX_EXPLANATION_BYTES: usize = 1_000;

/// The spans of one transaction that serves many jobs: one for each trace it touches, so that every trace is whole, beside
/// the spans of its jobs and linked to each of them.
pub(crate) struct Shared<'t> {
    tracer: &'t Tracer,
    spans: Vec<(u128, Span)>,
}

impl<'t> Shared<'t> {
    /// Begins a claim of what was sent by `senders`.
    pub(crate) fn claim(
        tracer: &'t Tracer,
        pool: &str,
        senders: impl Iterator<Item = Option<TraceParent>>,
    ) -> Self {
        let make = || tracing::debug_span!(parent: None, "claim", otel.kind = "consumer", queue.pool = pool);
        Self::new(tracer, senders, make)
    }

    /// Begins to record what was sent by `senders`.
    pub(crate) fn record(tracer: &'t Tracer, senders: impl Iterator<Item = Option<TraceParent>>) -> Self {
        Self::new(tracer, senders, || tracing::debug_span!(parent: None, "record"))
    }

    fn new(
        tracer: &'t Tracer,
        senders: impl Iterator<Item = Option<TraceParent>>,
        make: impl Fn() -> Span,
    ) -> Self {
        let mut spans: Vec<(u128, Span)> = Vec::new();
        for sender in senders.flatten() {
            if !spans.iter().any(|(trace, _)| *trace == sender.trace) {
                let span = make();
                tracer.follow(&span, Some(sender));
                spans.push((sender.trace, span));
            }
        }
        Self { tracer, spans }
    }

    /// Says that a job was among those served.
    pub(crate) fn serves(&self, job: &Span) {
        if self.spans.is_empty() {
            return;
        }
        let Some(job) = self.tracer.context(job) else { return };
        if let Some((_, span)) = self.spans.iter().find(|(trace, _)| *trace == job.trace) {
            self.tracer.link(span, Some(job));
        }
    }
}

/// A job, from its claim until it is recorded: a child of the span that sent its hint.
pub(crate) fn job(tracer: &Tracer, sender: Option<TraceParent>, grant: &Grant) -> Span {
    let span = tracing::debug_span!(
        parent: None,
        "job",
        otel.status_code = Empty,
        job.run.id = %grant.key.run,
        job.ordinal = whole(grant.key.ordinal),
        job.attempt = i64::from(grant.attempt),
        job.trial = i64::from(grant.trial),
        job.outcome = Empty,
        { gen_ai::ERROR_TYPE } = Empty,
    );
    tracer.follow(&span, sender);
    span
}

/// Writes down how a job was given back.
pub(crate) fn given_back(job: &Span, end: &End) {
    match end {
        End::Settled(Settlement::Finished(finished)) => finish(job, finished),
        End::Settled(Settlement::Parked(_)) => _ = job.record("job.outcome", "parked"),
        End::Unstarted(_) => _ = job.record("job.outcome", "released"),
    }
}

fn finish(job: &Span, finished: &Finished) {
    job.record("job.outcome", finished.outcome.word());
    if let Outcome::Errored(kind) = finished.outcome {
        fail(job, kind.word());
    }
}

/// One call to a provider, within its job.
pub(crate) fn call(provider: &Provider, question: &Question<'_>) -> Span {
    let (model, sampling) = (question.model, &question.model.sampling);
    let number = |value: Option<Millionths>| value.map(Millionths::as_f64);
    let server = provider.server();
    tracing::debug_span!(
        "call",
        otel.name = format_args!("chat {}", model.model),
        otel.kind = if server.is_some() { "client" } else { "internal" },
        otel.status_code = Empty,
        { gen_ai::OPERATION_NAME } = "chat",
        { gen_ai::PROVIDER_NAME } = gen_ai::provider_name(&model.provider),
        { gen_ai::REQUEST_MODEL } = model.model,
        { gen_ai::REQUEST_TEMPERATURE } = number(sampling.temperature),
        { gen_ai::REQUEST_TOP_P } = number(sampling.top_p),
        { gen_ai::REQUEST_MAX_TOKENS } = sampling.max_tokens.map(i64::from),
        { gen_ai::REQUEST_SEED } = sampling.seed,
        { gen_ai::REQUEST_FREQUENCY_PENALTY } = number(sampling.frequency_penalty),
        { gen_ai::REQUEST_PRESENCE_PENALTY } = number(sampling.presence_penalty),
        { gen_ai::USAGE_INPUT_TOKENS } = Empty,
        { gen_ai::USAGE_OUTPUT_TOKENS } = Empty,
        { gen_ai::SERVER_ADDRESS } = server.map(|(host, _)| host),
        { gen_ai::SERVER_PORT } = server.map(|(_, port)| i64::from(port)),
        { gen_ai::HTTP_STATUS } = Empty,
        { gen_ai::ERROR_TYPE } = Empty,
        call.class = Empty,
    )
}

/// Writes down what came of a call.
pub(crate) fn called(tracer: &Tracer, call: &Span, class: Class, observation: &Observation) {
    if call.is_disabled() {
        return;
    }
    call.record("call.class", class.word());
    let status = observation.reply.status();
    call.record(gen_ai::HTTP_STATUS, status.map(i64::from));
    match &observation.reply {
        Reply::Answer(answer) => {
            call.record(gen_ai::USAGE_INPUT_TOKENS, answer.usage.input_tokens.map(whole));
            call.record(gen_ai::USAGE_OUTPUT_TOKENS, answer.usage.output_tokens.map(whole));
            tracer.list(call, gen_ai::RESPONSE_FINISH_REASONS, answer.finish_reason.as_slice());
        }
        Reply::Status { status, .. } => fail(call, &status.to_string()),
        Reply::Unsent(_) | Reply::Broken(_) | Reply::Malformed { .. } => fail(call, class.word()),
    }
}

/// Writes down that nobody could be asked.
pub(crate) fn not_called(call: &Span) {
    fail(call, ErrorKind::NoRecording.word());
}

/// What an answer is worth, within its job; linked to the call that brought the answer.
pub(crate) fn score(tracer: &Tracer, call: Option<TraceParent>) -> Span {
    let span = tracing::debug_span!("score", otel.status_code = Empty, { gen_ai::ERROR_TYPE } = Empty);
    tracer.link(&span, call);
    span
}

/// Tells of each scorer's finding, or that one could not judge.
pub(crate) fn scored(tracer: &Tracer, score: &Span, found: Result<&[NamedScore], ErrorKind>) {
    if score.is_disabled() {
        return;
    }
    match found {
        Ok(scores) => scores.iter().for_each(|finding| score.in_scope(|| tell(tracer, finding))),
        Err(kind) => fail(score, kind.word()),
    }
}

fn tell(tracer: &Tracer, NamedScore { scorer, metric, score, .. }: &NamedScore) {
    let explanation = tracer.quotes().then(|| cut(&score.reason));
    let (name, label) = (metric.as_ref().unwrap_or(scorer), if score.pass { "pass" } else { "fail" });
    tracing::event!(name: gen_ai::EVALUATION_RESULT, Level::DEBUG, {
        { gen_ai::EVALUATION_NAME } = name,
        { gen_ai::EVALUATION_SCORE_VALUE } = score.value.as_f64(),
        { gen_ai::EVALUATION_SCORE_LABEL } = label,
        { gen_ai::EVALUATION_EXPLANATION } = explanation
    });
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_EXPLANATION_BYTES)]
}

fn fail(span: &Span, error: &str) {
    span.record(gen_ai::ERROR_TYPE, error);
    span.record("otel.status_code", "error");
}

/// As exported: integers there are signed.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_are_bounded_on_a_characters_boundary() {
        let check = |text: &str, expected: usize| assert_eq!(cut(text).len(), expected);
        check("contains \"a\"", 12);
        check(&"a".repeat(MAX_EXPLANATION_BYTES + 1), MAX_EXPLANATION_BYTES);
        check(&"€".repeat(400), 999);
    }
}
