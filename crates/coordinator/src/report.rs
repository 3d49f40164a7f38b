//! The document that tables, `--json` and exit codes are made of: what became of a run.
//!
//! Results are read in pages and folded, so its memory does not grow with the number of cases.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::gate::Gate;
use assay_common::id::{Digest, RunId};
use assay_common::outcome::ErrorKind;
use assay_common::suite::Suite;
use assay_common::verdict::{Decision, Verdict};
use assay_store::{OutcomeRow, ResultRow, Run, RunState, Store, StoreError};
use futures_util::future::try_join;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::run::extent::extents;
use crate::verdict::{Aggregation, Flip, Flips, Quantiles, Sight, VariantReport, judge};

/// How many results are read at a time.
const PAGE: u32 = 2_000;
/// How many at a time while the run goes on: what lies behind a job that takes long is read again and again.
const FOLLOW_PAGE: u32 = 500;
/// How often a run that goes on is read along.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// Characters of an answer beside a flipped case.
const EXCERPT_CHARS: usize = 40;
/// Characters of an error beside its kind.
const ERROR_CHARS: usize = 160;
/// How many improved cases are shown.
const BETTER_SHOWN: usize = 3;

/// What became of a run; serialised it is the contract of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The run itself.
    pub run: RunSummary,
    /// A row for each prompt entry and model.
    pub variants: Vec<VariantReport>,
    /// What the gate says; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What the gate said each time that it was given more, and at the end; empty for a gate that is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What rules on drops could be expected to see before the run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sights: Vec<Sight>,
    /// Which cases changed sides against the baseline, and how; for people.
    #[serde(skip)]
    pub flips: Vec<NamedFlips>,
    /// Why jobs errored, by kind; for people.
    #[serde(skip)]
    pub errors: Vec<Errors>,
}

/// One judgement of a gate that adds cases and trials while it is inconclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Jobs up to then.
    pub jobs: u64,
    /// Cases among them.
    pub cases: u64,
    /// Trials of each case under each variant.
    pub trials: u32,
    /// What it came to.
    pub outcome: Decision,
}

/// The jobs that errored in one way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Errors {
    /// The way.
    pub kind: ErrorKind,
    /// How many.
    pub jobs: u64,
    /// The case of the first.
    pub case: String,
    /// What was wrong with it, on one line.
    pub sample: String,
}

/// A candidate against the baseline on one model, in words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedFlips {
    /// The candidate's label.
    pub candidate: String,
    /// The baseline's label.
    pub baseline: String,
    /// The model as tables name it.
    pub model: String,
    /// Cases whose reduced value rose.
    pub improved: u64,
    /// Cases whose reduced value fell.
    pub regressed: u64,
    /// Cases whose reduced value stayed.
    pub unchanged: u64,
    /// The first that fell.
    pub worse: Vec<Excerpt>,
    /// The first that rose; fewer, since they worry nobody.
    pub better: Vec<Excerpt>,
}

/// One case that changed sides, with what was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Excerpt {
    /// The case.
    pub case: String,
    /// Its reduced value under the baseline, in [0, 1].
    pub before: f64,
    /// Its reduced value under the candidate, in [0, 1].
    pub after: f64,
    /// The end of the baseline's answer.
    pub before_output: String,
    /// The end of the candidate's answer.
    pub after_output: String,
}

/// The run in a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its id.
    pub id: RunId,
    /// The suite's name.
    pub suite: String,
    /// The suite revision.
    pub revision: Digest,
    /// running, paused, cancelling, completed or cancelled.
    pub state: Cow<'static, str>,
    /// How many jobs were planned; a gate that draws more when it needs them raises it.
    pub jobs: u64,
    /// RFC 3339, in UTC; null before the first claim.
    pub started_at: Option<String>,
    /// RFC 3339, in UTC; null while it goes on.
    pub finished_at: Option<String>,
    /// Whether the gate decided before every job was done.
    pub stopped_early: bool,
    /// Jobs that were asked, of those planned.
    #[serde(default)]
    pub jobs_used: u64,
    /// Why it was cancelled or stopped early, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RunSummary {
    /// The summary of a row.
    pub fn of(run: &Run) -> Self {
        Self {
            id: run.id,
            suite: run.suite_name.clone(),
            revision: run.revision.clone(),
            state: run.state.word().into(),
            jobs: run.planned,
            started_at: run.started_at.map(civil),
            finished_at: run.finished_at.map(civil),
            stopped_early: run.stopped_early,
            jobs_used: run.passed + run.failed + run.errored,
            reason: run.reason.clone(),
        }
    }
}

/// Reads the results of `run` and says what they come to. A run that goes on is reported as far as it is.
pub async fn assemble(store: &Store, suite: &Suite, run: &Run) -> Result<Report, StoreError> {
    Reader::new(store, suite, run.id).conclude(run).await
}

/// Reads a run's results in the order of their ordinals and folds them.
pub struct Reader<'s> {
    store: &'s Store,
    suite: &'s Suite,
    run: RunId,
    /// Begun once the dataset has been counted for it.
    aggregation: Option<Aggregation<'s>>,
    /// How many jobs errored in each way, and the ordinal of the first.
    errors: HashMap<ErrorKind, (u64, u64)>,
    /// Everything below it has been read.
    next: u64,
}

impl<'s> Reader<'s> {
    /// Before the first result.
    pub fn new(store: &'s Store, suite: &'s Suite, run: RunId) -> Self {
        Self { store, suite, run, aggregation: None, errors: HashMap::new(), next: 0 }
    }

    /// Reads along while the run goes on, as far as nothing is missing, so that little is left to read at its end.
    /// Returns once `stop` has fired.
    pub async fn follow(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let before = self.next;
            match self.read_prefix().await {
                Ok(()) => {}
                // Whoever concludes reads it again, and tells.
                Err(error) => tracing::debug!(run.id = %self.run, %error, "failed to read along: {error}"),
            }
            if self.next - before < u64::from(FOLLOW_PAGE) {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(FOLLOW_EVERY) => {}
                }
            }
        }
    }

    /// Reads what is left and says what the run came to.
    pub async fn conclude(mut self, run: &Run) -> Result<Report, StoreError> {
        let (store, suite) = (self.store, self.suite);
        let versions = store.version_numbers(suite).await?;
        let ((), quantiles) = try_join(self.read_on(), latencies(store, run.id)).await?;
        let Some(aggregation) = self.aggregation else { unreachable!("it was begun to be read into") };
        let mut aggregate = aggregation.finish(&quantiles, &versions, run.planned);
        aggregate.stopped_early = run.stopped_early;
        let complete = run.state == RunState::Completed;
        let verdict = judge(suite, &aggregate, complete, &versions);
        if let Some(verdict) = &verdict {
            let word = verdict.outcome.word();
            tracing::info!(run.id = %run.id, verdict.outcome = word, "run {} comes to {word}", run.id);
        }
        let mut flips = Vec::with_capacity(aggregate.flips.len());
        for counted in &aggregate.flips {
            flips.push(name(store, suite, run.id, counted).await?);
        }
        let errors = errors(store, run.id, self.errors).await?;
        let attempts = attempts(store, suite, run, verdict.as_ref()).await?;
        let (run, variants, sights) = (RunSummary::of(run), aggregate.variants, Vec::new());
        Ok(Report { run, variants, verdict, attempts, sights, flips, errors })
    }

    /// Reads a page, as far as nothing is missing.
    async fn read_prefix(&mut self) -> Result<(), StoreError> {
        self.begin().await?;
        let page = self.store.outcomes(self.run, self.next.checked_sub(1), FOLLOW_PAGE).await?;
        self.fold_prefix(&page);
        Ok(())
    }

    /// Counts the dataset where the gate's rules need it.
    async fn begin(&mut self) -> Result<(), StoreError> {
        if self.aggregation.is_none() {
            let extents = extents(self.store, self.suite).await?;
            self.aggregation = Some(Aggregation::counted(self.suite, &extents));
        }
        Ok(())
    }

    /// Reads everything there is.
    async fn read_on(&mut self) -> Result<(), StoreError> {
        self.begin().await?;
        loop {
            let page = self.store.outcomes(self.run, self.next.checked_sub(1), PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            page.iter().for_each(|row| self.fold(row));
        }
    }

    /// Folds the rows up to the first that is missing.
    fn fold_prefix(&mut self, page: &[OutcomeRow]) {
        for row in page {
            if row.ordinal != self.next {
                return;
            }
            self.fold(row);
        }
    }

    fn fold(&mut self, row: &OutcomeRow) {
        let Some(aggregation) = &mut self.aggregation else { return };
        aggregation.push(row);
        if let Some(kind) = row.outcome.error_kind() {
            self.errors.entry(kind).or_insert((0, row.ordinal)).0 += 1;
        }
        self.next = row.ordinal + 1;
    }
}

async fn errors(
    store: &Store,
    run: RunId,
    seen: HashMap<ErrorKind, (u64, u64)>,
) -> Result<Vec<Errors>, StoreError> {
    let mut errors = Vec::new();
    for (kind, (jobs, first)) in seen {
        let row = store.results(run, first.checked_sub(1), 1).await?.pop();
        let (case, sample) =
            row.map(|row| (row.row.case_id, row.error.unwrap_or_default())).unwrap_or_default();
        errors.push(Errors { kind, jobs, case, sample: one_line(&sample, ERROR_CHARS).1 });
    }
    errors.sort_by_key(|errors| (std::cmp::Reverse(errors.jobs), errors.kind.word()));
    Ok(errors)
}

/// What was said before the run was given more, and what is said now.
async fn attempts(
    store: &Store,
    suite: &Suite,
    run: &Run,
    verdict: Option<&Verdict>,
) -> Result<Vec<Attempt>, StoreError> {
    let Some(verdict) = verdict.filter(|_| suite.gate.as_ref().is_some_and(Gate::tops_up)) else {
        return Ok(Vec::new());
    };
    let earlier = store.attempts(run.id).await?.into_iter().map(|attempt| Attempt {
        jobs: attempt.jobs,
        cases: attempt.cases,
        trials: attempt.trials,
        outcome: Decision::Inconclusive,
    });
    let product = suite.product();
    let last = Attempt {
        jobs: run.planned,
        cases: (run.planned / product.jobs_per_case().max(1)).min(product.cases),
        trials: product.place(run.planned.saturating_sub(1)).trial,
        outcome: verdict.outcome,
    };
    Ok(earlier.chain([last]).collect())
}

async fn latencies(store: &Store, run: RunId) -> Result<Quantiles, StoreError> {
    let mut quantiles = Quantiles::default();
    for (variant, percent, micros) in store.latency_quantiles(run, Quantiles::NEEDED.into()).await? {
        quantiles.insert(variant, percent, micros);
    }
    Ok(quantiles)
}

async fn name(store: &Store, suite: &Suite, run: RunId, flips: &Flips) -> Result<NamedFlips, StoreError> {
    let label = |variant: u32| suite.prompts[suite.variant(variant).prompt].label.clone();
    let regressed = excerpts(store, run, &flips.first_regressed).await?;
    let improved = &flips.first_improved[..flips.first_improved.len().min(BETTER_SHOWN)];
    Ok(NamedFlips {
        candidate: label(flips.candidate),
        baseline: label(flips.baseline),
        model: suite.model_label(suite.variant(flips.candidate).model),
        improved: flips.improved,
        regressed: flips.regressed,
        unchanged: flips.unchanged,
        worse: regressed,
        better: excerpts(store, run, improved).await?,
    })
}

async fn excerpts(store: &Store, run: RunId, flips: &[Flip]) -> Result<Vec<Excerpt>, StoreError> {
    let ordinals = flips.iter().flat_map(|flip| [flip.baseline_ordinal, flip.candidate_ordinal]).collect();
    let outputs: HashMap<_, _> = store.outputs(run, ordinals).await?.into_iter().collect();
    let ending = |ordinal: u64| {
        let output = outputs.get(&ordinal).and_then(Option::as_ref);
        ending(&output.map(output_text).unwrap_or_default())
    };
    let excerpt = |flip: &Flip| Excerpt {
        case: flip.case.clone(),
        before: flip.baseline.as_f64(),
        after: flip.candidate.as_f64(),
        before_output: ending(flip.baseline_ordinal),
        after_output: ending(flip.candidate_ordinal),
    };
    Ok(flips.iter().map(excerpt).collect())
}

/// The end of an answer on one line: conclusions come last.
fn ending(output: &str) -> String {
    one_line(output, EXCERPT_CHARS).0
}

/// The last and the first `most` characters of a text, each on one line and marked where it was cut.
fn one_line(text: &str, most: usize) -> (String, String) {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: Vec<char> = words.chars().collect();
    if line.len() <= most {
        let whole: String = line.iter().collect();
        return (whole.clone(), whole);
    }
    let end: String = line[line.len() - most..].iter().collect();
    let start: String = line[..most].iter().collect();
    (format!("…{end}"), format!("{start}…"))
}

/// One line of `assay results`.
pub fn result_line(suite: &Suite, row: &ResultRow) -> Value {
    let variant = suite.variant(row.row.variant);
    let (prompt, model) = (&suite.prompts[variant.prompt], &suite.models[variant.model]);
    let model_label = suite.model_label(variant.model);
    json!({
        "ordinal": row.row.ordinal,
        "generation": row.row.generation,
        "case": row.row.case_id,
        "prompt": prompt.name,
        "label": prompt.label,
        "model": model.name(),
        "model_label": model_label,
        "trial": row.row.trial,
        "outcome": row.row.outcome.word(),
        "error_kind": row.row.outcome.error_kind().map(|kind| kind.word()),
        "error": row.error,
        "score": row.row.score.map(|score| score.as_f64()),
        "scores": row.row.scores.iter().map(|named| json!({
            "type": named.scorer,
            "metric": named.metric,
            "weight": named.weight.as_f64(),
            "score": named.score.value.as_f64(),
            "pass": named.score.pass,
            "reason": named.score.reason,
        })).collect::<Vec<_>>(),
        "output": row.output.as_ref().map(output_text),
        "finish_reason": row.finish_reason,
        "input_tokens": row.row.usage.input_tokens,
        "output_tokens": row.row.usage.output_tokens,
        "cost_usd": row.row.cost.map(|cost| cost.usd()),
        "latency_ms": row.row.latency_us.map(|micros| micros as f64 / 1_000.0),
        "attempts": row.attempts,
        "tags": row.row.tags,
        "finished_at": row.finished_at.map(civil),
    })
}

/// An answer as text; bytes that are none show their replacement character.
pub fn output_text(output: &assay_common::job::Output) -> String {
    match output {
        assay_common::job::Output::Text(text) => text.clone(),
        assay_common::job::Output::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A moment in RFC 3339, in UTC, to the millisecond.
pub fn civil(moment: Micros) -> String {
    Timestamp::from_microsecond(moment.0).map_or_else(|_| moment.0.to_string(), |time| format!("{time:.3}"))
}
