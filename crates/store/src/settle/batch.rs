//! A batch of settlements as the rows it may become, and which of those its jobs take.

use std::collections::HashMap;

use assay_common::id::MemberId;
use assay_common::job::{Call, Finished, Hint, JobKey, Parked, Settlement};

use super::held::Held;
use crate::error::StoreError;
use crate::row::{integer, to_json};

/// A batch taken apart into the rows it may become, each in key order.
pub(super) struct Batch {
    /// Every job named, once: run and ordinal.
    pub(super) jobs: Vec<(String, i64)>,
    /// Results to insert.
    pub(super) results: Vec<ResultRow>,
    /// Jobs to make pending.
    pub(super) parked: Vec<ParkedRow>,
    /// Lines of the ledger.
    pub(super) calls: Vec<CallRow>,
}

/// A result to insert.
pub(super) struct ResultRow {
    /// Its run's id.
    pub(super) run: String,
    /// Its scores as JSON.
    pub(super) scores: String,
    /// All else.
    pub(super) finished: Finished,
}

/// A job to make pending.
pub(super) struct ParkedRow {
    /// Its run's id.
    pub(super) run: String,
    /// All else.
    pub(super) parked: Parked,
}

/// A line of the ledger.
pub(super) struct CallRow {
    /// Its run's id.
    pub(super) run: String,
    /// The job it was made for.
    pub(super) key: JobKey,
    /// Its place among the calls of that claim.
    pub(super) seq: i64,
    /// All else.
    pub(super) call: Call,
}

impl Batch {
    /// Takes settlements apart.
    pub(super) fn of(mut settlements: Vec<Settlement>) -> Result<Self, StoreError> {
        // Stable: of two results for one job in a batch the first stays the first.
        settlements.sort_by_key(Settlement::key);
        let mut batch = Self { jobs: Vec::new(), results: Vec::new(), parked: Vec::new(), calls: Vec::new() };
        for settlement in settlements {
            let key = settlement.key();
            let run = key.run.to_string();
            let job = (run.clone(), integer(key.ordinal));
            if batch.jobs.last() != Some(&job) {
                batch.jobs.push(job);
            }
            match settlement {
                Settlement::Finished(finished) => {
                    batch.add_calls(&run, key, &finished.calls);
                    let scores = to_json(&finished.scores)?;
                    batch.results.push(ResultRow { run, scores, finished: *finished });
                }
                Settlement::Parked(parked) => {
                    batch.add_calls(&run, key, &parked.calls);
                    batch.parked.push(ParkedRow { run, parked });
                }
            }
        }
        Ok(batch)
    }

    fn add_calls(&mut self, run: &str, key: JobKey, calls: &[Call]) {
        for of_claim in calls.chunk_by(|one, next| one.attempt == next.attempt) {
            let rows = (0..).zip(of_claim).map(|(seq, call)| CallRow {
                run: run.to_owned(),
                key,
                seq,
                call: call.clone(),
            });
            self.calls.extend(rows);
        }
    }
}

impl ResultRow {
    /// Whether the job, as it is found, takes this.
    pub(super) fn is_accepted(&self, jobs: &HashMap<Hint, Held>) -> bool {
        find(jobs, self.finished.key).is_some_and(|job| job.takes_result(self.finished.key.generation))
    }
}

impl ParkedRow {
    /// Whether the job, as it is found, takes this.
    pub(super) fn is_accepted(&self, jobs: &HashMap<Hint, Held>, member: MemberId) -> bool {
        let Parked { key, attempt, .. } = self.parked;
        find(jobs, key).is_some_and(|job| job.takes_parking(key.generation, member, attempt))
    }
}

fn find(jobs: &HashMap<Hint, Held>, key: JobKey) -> Option<&Held> {
    jobs.get(&Hint { run: key.run, ordinal: key.ordinal })
}
