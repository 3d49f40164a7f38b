//! Results are read in pages and folded, so its memory does not grow with the number of cases; what they come to is a
//! [`Report`].

use std::collections::HashMap;
use std::time::Duration;

use assay_common::gate::Gate;
use assay_common::id::RunId;
use assay_common::outcome::ErrorKind;
use assay_common::suite::Suite;
use assay_common::verdict::{Decision, Verdict};
use assay_store::{OutcomeRow, Run, RunState, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::again::Again;
use super::excerpt::{self, one_line};
use super::shape::{Attempt, Errors, Report, RunSummary};
use crate::compare::text::changes;
use crate::flakes::quarantine;
use crate::run::extent::extents;
use crate::verdict::{Aggregation, Extents, Latencies, judge};

/// How many results are read at a time.
const PAGE: u32 = 2_000;
/// How many at a time while the run goes on: what lies behind a job that takes long is read again and again.
const FOLLOW_PAGE: u32 = 500;
/// How often a run that goes on is read along.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// Characters of an error beside its kind.
const ERROR_CHARS: usize = 160;

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
    /// What it was begun with.
    extents: Extents,
    /// How many jobs errored in each way, and the ordinal of the first.
    errors: HashMap<ErrorKind, (u64, u64)>,
    latencies: Latencies,
    /// Everything below it has been read.
    next: u64,
}

impl<'s> Reader<'s> {
    /// Before the first result.
    pub fn new(store: &'s Store, suite: &'s Suite, run: RunId) -> Self {
        Self {
            store,
            suite,
            run,
            aggregation: None,
            extents: Extents::default(),
            errors: HashMap::new(),
            latencies: Latencies::default(),
            next: 0,
        }
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
        self.read_on().await?;
        let quantiles = self.latencies.quantiles();
        let Some(aggregation) = self.aggregation else { unreachable!("it was begun to be read into") };
        let mut aggregate = aggregation.finish(&quantiles, &versions, run.planned);
        aggregate.stopped_early = run.stopped_early;
        let complete = run.state == RunState::Completed;
        let verdict = judge(suite, &aggregate, complete, &versions);
        if let Some(verdict) = &verdict {
            let word = verdict.outcome.word();
            tracing::info!(run.id = %run.id, verdict.outcome = word, "run {} comes to {word}", run.id);
        }
        let again =
            Again { store, suite, run, extents: &self.extents, quantiles: &quantiles, versions: &versions };
        let quarantine = quarantine::without(again, verdict.as_ref()).await?;
        let mut flips = Vec::with_capacity(aggregate.flips.len());
        for counted in &aggregate.flips {
            flips.push(excerpt::name(store, suite, run.id, counted).await?);
        }
        let errors = errors(store, run.id, self.errors).await?;
        let attempts = attempts(again, verdict.as_ref()).await?;
        Ok(Report {
            run: RunSummary::of(run),
            variants: aggregate.variants,
            verdict,
            attempts,
            quarantine,
            changes: changes(suite),
            flips,
            errors,
        })
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
            self.extents = extents(self.store, self.suite).await?;
            self.aggregation = Some(Aggregation::counted(self.suite, &self.extents));
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
        if let Some(micros) = row.latency_us {
            self.latencies.push(row.variant, micros);
        }
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

/// What was said before the run was given more, and what is said now. Where the run ended in between, what was said last stands
/// there with its evidence.
async fn attempts(again: Again<'_>, verdict: Option<&Verdict>) -> Result<Vec<Attempt>, StoreError> {
    let Again { store, suite, run, .. } = again;
    let Some(verdict) = verdict.filter(|_| suite.gate.as_ref().is_some_and(Gate::tops_up)) else {
        return Ok(Vec::new());
    };
    let mut attempts: Vec<_> = store
        .attempts(run.id)
        .await?
        .into_iter()
        .map(|attempt| Attempt {
            jobs: attempt.jobs,
            cases: attempt.cases,
            trials: attempt.trials,
            outcome: Decision::Inconclusive,
            verdict: None,
        })
        .collect();
    if let Some(whole) = attempts.last_mut().filter(|_| run.state == RunState::Cancelled) {
        whole.verdict = again.until(whole.jobs).await?;
    }
    let product = suite.product();
    attempts.push(Attempt {
        jobs: run.planned,
        cases: (run.planned / product.jobs_per_case().max(1)).min(product.cases),
        trials: product.place(run.planned.saturating_sub(1)).trial,
        outcome: verdict.outcome,
        verdict: None,
    });
    Ok(attempts)
}
