//! The row of a variant in tables and documents, and the sums it is made of.

use assay_common::gate::Gate;
use assay_common::id::Digest;
use assay_common::outcome::Outcome;
use assay_common::suite::Suite;
use assay_store::Mark;
use serde::{Deserialize, Serialize};

use super::measure::{Cell, Cost, Quantity, Scale, Value};
use super::quantiles::Quantiles;
use super::stats::{Interval, wilson};

/// Confidence of intervals where there is no gate to say it.
pub(super) const DEFAULT_CONFIDENCE: f64 = 0.95;

/// A prompt entry on a model. Its fields, in this order, are the contract of `--json`; what is unknown is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantReport {
    /// The prompt's name.
    pub prompt: String,
    /// The entry's label.
    pub label: String,
    /// The version's number in this store.
    pub version: Option<i64>,
    /// The version's digest.
    pub digest: Digest,
    /// `provider/model`.
    pub model: String,
    /// Scored cases: those whose trials all passed or failed.
    pub cases: u64,
    /// Jobs planned: cases × trials.
    pub jobs: u64,
    /// Jobs that passed.
    pub passed: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that errored.
    pub errored: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Mean over scored cases of the reduced value.
    pub pass_rate: Option<f64>,
    /// Wilson's interval of the pass rate over scored cases, at the gate's confidence.
    pub interval: Interval,
    /// Mean over the trials of scored cases of the weighted score.
    pub mean_score: Option<f64>,
    /// What all its jobs cost in US dollars; null when that of any answer is unknown.
    pub cost_usd: Option<f64>,
    /// Sum of the tokens that providers counted; null when none counted any.
    pub input_tokens: Option<u64>,
    /// Sum of the tokens that providers counted; null when none counted any.
    pub output_tokens: Option<u64>,
    /// Quantiles of latency.
    pub latency_ms: LatencyMs,
    /// The model as tables name it: with what sets it apart where the suite asks it in several ways.
    pub model_label: String,
}

/// Quantiles of latency in milliseconds; null where none was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyMs {
    /// The median.
    pub p50: Option<f64>,
    /// Nineteen of twenty are at most this.
    pub p95: Option<f64>,
    /// Ninety-nine of a hundred are at most this.
    pub p99: Option<f64>,
}

/// A variant's results, added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    cases: u64,
    /// The reduced values, and how many: one for each round of trials of a case.
    values: u64,
    reduced: i128,
    /// The mean scores of the cases that have one, and their number.
    scores: (i128, u64),
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) errored: u64,
    cancelled: u64,
    cost: Cost,
    input_tokens: Option<u128>,
    output_tokens: Option<u128>,
}

impl Tally {
    /// Counts a job.
    pub(super) fn add_job(&mut self, mark: &Mark) {
        match mark.outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Errored(_) => self.errored += 1,
            Outcome::Cancelled => self.cancelled += 1,
        }
        self.cost.add(mark);
        let more = |sum: Option<u128>, tokens: Option<u64>| match tokens {
            Some(tokens) => Some(sum.unwrap_or(0) + u128::from(tokens)),
            None => sum,
        };
        self.input_tokens = more(self.input_tokens, mark.usage.input_tokens);
        self.output_tokens = more(self.output_tokens, mark.usage.output_tokens);
    }

    /// Counts a case whose jobs have all been counted, in its first round of trials or a further one.
    pub(super) fn add_case(&mut self, cell: &Cell, scale: Scale, is_first_round: bool) {
        if let Value::Scored(value) = cell.value(Quantity::Reduced, scale) {
            self.cases += u64::from(is_first_round);
            self.values += 1;
            self.reduced += i128::from(value);
        }
        if let Value::Scored(score) = cell.value(Quantity::Score, scale) {
            self.scores = (self.scores.0 + i128::from(score), self.scores.1 + 1);
        }
    }

    /// Scored cases.
    pub(super) fn cases(&self) -> u64 {
        self.cases
    }

    /// The row of the variant with this index, of which so many jobs were planned.
    pub(super) fn report(
        &self,
        suite: &Suite,
        index: u32,
        scale: Scale,
        version: Option<i64>,
        quantiles: &Quantiles,
        jobs: u64,
    ) -> VariantReport {
        let variant = suite.variant(index);
        let prompt = &suite.prompts[variant.prompt];
        let rate = ratio(self.reduced, i128::from(scale.one()) * i128::from(self.values));
        // Further rounds of trials are no further cases.
        let successes = match self.cases == self.values {
            true => self.reduced as f64 / scale.one() as f64,
            false => rate.unwrap_or(0.0) * self.cases as f64,
        };
        let latency = |percent| quantiles.get(index, percent).map(|micros| micros as f64 / 1e3);
        VariantReport {
            prompt: prompt.name.clone(),
            label: prompt.label.clone(),
            version,
            digest: prompt.digest.clone(),
            model: suite.models[variant.model].name(),
            model_label: suite.model_label(variant.model),
            cases: self.cases,
            jobs,
            passed: self.passed,
            failed: self.failed,
            errored: self.errored,
            cancelled: self.cancelled,
            pass_rate: rate,
            interval: wilson(successes, self.cases as f64, confidence(suite.gate.as_ref())),
            mean_score: ratio(self.scores.0, i128::from(scale.one()) * i128::from(self.scores.1)),
            cost_usd: self.cost.nanos().map(|nanos| nanos as f64 / 1e9),
            input_tokens: self.input_tokens.map(saturate),
            output_tokens: self.output_tokens.map(saturate),
            latency_ms: LatencyMs { p50: latency(50), p95: latency(95), p99: latency(99) },
        }
    }
}

/// The confidence of a suite's intervals: its gate's, or the default.
pub fn confidence_of(suite: &Suite) -> f64 {
    confidence(suite.gate.as_ref())
}

/// A gate's confidence, or the default.
pub(super) fn confidence(gate: Option<&Gate>) -> f64 {
    gate.map_or(DEFAULT_CONFIDENCE, |gate| gate.confidence.as_f64())
}

/// A quotient of exact sums, divided once; `None` when nothing was counted.
pub(super) fn ratio(sum: i128, of: i128) -> Option<f64> {
    (of > 0).then(|| sum as f64 / of as f64)
}

fn saturate(tokens: u128) -> u64 {
    u64::try_from(tokens).unwrap_or(u64::MAX)
}
