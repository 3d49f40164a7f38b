//! Settle: what became of held jobs, recorded exactly once. One transaction for a batch, however often it is sent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use assay_common::clock::Micros;
use assay_common::committed::Committed;
use assay_common::id::MemberId;
use assay_common::job::{Call, Finished, Hint, JobKey, Parked, Settlement};
use assay_common::outcome::ErrorKind;

use crate::bulk::{Bulk, executed, fetched};
use crate::cancel::cancel_pending;
use crate::error::StoreError;
use crate::job_state::JobState;
use crate::member::given_back_at;
use crate::open::Store;
use crate::pools::writing;
use crate::row::{integer, output_columns, parsed, plain, to_json, whole};

pub(crate) const SQL: &[&str] = &[COUNT];

// Locked in key order, and waited for: a burial or a cancellation of these jobs comes before or after, never between.
static SETTLEABLE: Bulk = Bulk::new(
    "WITH given (run_id, ordinal) AS (VALUES",
    "($, $)",
    ") SELECT jobs.run_id, jobs.ordinal, jobs.generation, jobs.state, jobs.member, jobs.attempt
    FROM given CROSS JOIN jobs WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal
    ORDER BY jobs.run_id, jobs.ordinal",
)
.locking("FOR UPDATE OF jobs");

static INSERT_RESULTS: Bulk = Bulk::new(
    "INSERT INTO results (run_id, ordinal, generation, attempt, variant, outcome, error_kind, error, score, latency_us,
        input_tokens, output_tokens, cost_nano, finish_reason, finished_at, scores, output, output_bytes) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $, $, $, $, $, $)",
    "ON CONFLICT DO NOTHING RETURNING run_id, ordinal, outcome",
);

static END_JOBS: Bulk = Bulk::new(
    "WITH given (run_id, ordinal, outcome) AS (VALUES",
    "($, $, $)",
    ") UPDATE jobs SET state = 'terminal', outcome = given.outcome, member = NULL
    FROM given WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal",
);

// A job that a result in the same batch has ended is no longer running, and stays ended.
static PARK_JOBS: Bulk = Bulk::new(
    "WITH given (run_id, ordinal, not_before, tries) AS (VALUES",
    "($, $, $, $)",
    ") UPDATE jobs SET state = 'pending', member = NULL, not_before = given.not_before, tries = given.tries
    FROM given WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal AND jobs.state = 'running'",
);

static INSERT_CALLS: Bulk = Bulk::new(
    "INSERT INTO calls (run_id, ordinal, generation, attempt, seq, member, started_at, duration_us, class, status,
        input_tokens, output_tokens, cost_nano, billed, recorded_at) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $, $, $)",
    "ON CONFLICT DO NOTHING RETURNING run_id, cost_nano",
);

const COUNT: &str = "
    UPDATE runs SET passed = passed + $2, failed = failed + $3, errored = errored + $4, cost_nano = cost_nano + $5
    WHERE id = $1";

impl Store {
    /// Records what became of jobs that `member` held, all or nothing.
    ///
    /// The first result that is committed wins, also one that comes after its claim was taken from its member; a later
    /// one changes nothing. A job is parked only by the claim that holds it. Every call goes to the ledger either way.
    /// The counts and the cost of a run grow by what was really inserted, so the same batch twice adds nothing.
    pub async fn settle(
        &self,
        member: MemberId,
        settlements: Vec<Settlement>,
        now: Micros,
    ) -> Result<Committed, StoreError> {
        let batch = Batch::of(settlements)?;
        let holder = member.to_string();
        writing!(self, |conn| {
            let rows =
                fetched!(conn, SETTLEABLE() as Settleable, &batch.jobs, |(run, ordinal)| (run, ordinal));
            let jobs = held(rows)?;
            let results: Vec<_> = batch.results.iter().filter(|row| row.is_accepted(&jobs)).collect();
            let inserted = fetched!(conn, INSERT_RESULTS() as (String, i64, String), &results, |row| (
                &row.run,
                integer(row.finished.key.ordinal),
                i64::from(row.finished.key.generation),
                i64::from(row.finished.attempt),
                i64::from(row.finished.variant),
                row.finished.outcome.word(),
                row.finished.outcome.error_kind().map(ErrorKind::word),
                row.finished.error.as_deref().map(plain),
                row.finished.score.map(|score| score.0),
                row.finished.latency_us,
                row.finished.usage.input_tokens.map(integer),
                row.finished.usage.output_tokens.map(integer),
                row.finished.calls.last().and_then(|call| call.cost).map(|cost| cost.0),
                row.finished.finish_reason.as_deref().map(plain),
                row.finished.finished_at.0,
                &row.scores,
                output_columns(row.finished.output.as_ref()).0,
                output_columns(row.finished.output.as_ref()).1,
            ));
            executed!(conn, END_JOBS(), &inserted, |(run, ordinal, outcome)| (run, ordinal, outcome));
            let parked: Vec<_> = batch.parked.iter().filter(|row| row.is_accepted(&jobs, member)).collect();
            executed!(conn, PARK_JOBS(), &parked, |row| (
                &row.run,
                integer(row.parked.key.ordinal),
                given_back_at(row.parked.not_before),
                i64::from(row.parked.tries)
            ));
            let paid = fetched!(conn, INSERT_CALLS() as (String, Option<i64>), &batch.calls, |row| (
                &row.run,
                integer(row.key.ordinal),
                i64::from(row.key.generation),
                i64::from(row.attempt),
                row.seq,
                &holder,
                row.call.started_at.0,
                row.call.duration_us,
                row.call.class,
                row.call.status.map(i64::from),
                row.call.usage.input_tokens.map(integer),
                row.call.usage.output_tokens.map(integer),
                row.call.cost.map(|cost| cost.0),
                row.call.billed,
                now.0,
            ));
            for (run, counts) in counts(&inserted, &paid) {
                sqlx::query(COUNT)
                    .bind(run)
                    .bind(counts.passed)
                    .bind(counts.failed)
                    .bind(counts.errored)
                    .bind(counts.cost_nano)
                    .execute(&mut *conn)
                    .await?;
            }
            for run in parked.iter().map(|row| &row.run).collect::<BTreeSet<_>>() {
                cancel_pending!(conn, run);
            }
            Ok(())
        })?;
        Ok(Committed::after_commit())
    }
}

/// A row of [`SETTLEABLE`].
#[derive(sqlx::FromRow)]
struct Settleable {
    run_id: String,
    ordinal: i64,
    generation: i64,
    state: String,
    member: Option<String>,
    attempt: i64,
}

/// A batch taken apart into the rows it may become, each in key order.
struct Batch {
    jobs: Vec<(String, i64)>,
    results: Vec<ResultRow>,
    parked: Vec<ParkedRow>,
    calls: Vec<CallRow>,
}

struct ResultRow {
    run: String,
    scores: String,
    finished: Finished,
}

struct ParkedRow {
    run: String,
    parked: Parked,
}

struct CallRow {
    run: String,
    key: JobKey,
    attempt: u32,
    seq: i64,
    call: Call,
}

impl Batch {
    fn of(mut settlements: Vec<Settlement>) -> Result<Self, StoreError> {
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
                    batch.add_calls(&run, key, finished.attempt, &finished.calls);
                    let scores = to_json(&finished.scores)?;
                    batch.results.push(ResultRow { run, scores, finished: *finished });
                }
                Settlement::Parked(parked) => {
                    batch.add_calls(&run, key, parked.attempt, &parked.calls);
                    batch.parked.push(ParkedRow { run, parked });
                }
            }
        }
        Ok(batch)
    }

    fn add_calls(&mut self, run: &str, key: JobKey, attempt: u32, calls: &[Call]) {
        let rows = (0..).zip(calls).map(|(seq, call)| CallRow {
            run: run.to_owned(),
            key,
            attempt,
            seq,
            call: call.clone(),
        });
        self.calls.extend(rows);
    }
}

/// A job as its settler finds it.
struct Held {
    generation: u32,
    state: JobState,
    member: Option<MemberId>,
    attempt: u32,
}

fn held(rows: Vec<Settleable>) -> Result<HashMap<Hint, Held>, StoreError> {
    let job = |row: Settleable| {
        let hint =
            Hint { run: parsed(&row.run_id, "jobs.run_id")?, ordinal: whole(row.ordinal, "jobs.ordinal")? };
        let held = Held {
            generation: whole(row.generation, "jobs.generation")?,
            state: parsed(&row.state, "jobs.state")?,
            member: row.member.as_deref().map(|id| parsed(id, "jobs.member")).transpose()?,
            attempt: whole(row.attempt, "jobs.attempt")?,
        };
        Ok((hint, held))
    };
    rows.into_iter().map(job).collect()
}

impl ResultRow {
    fn is_accepted(&self, jobs: &HashMap<Hint, Held>) -> bool {
        find(jobs, self.finished.key).is_some_and(|job| job.takes_result(self.finished.key.generation))
    }
}

impl ParkedRow {
    fn is_accepted(&self, jobs: &HashMap<Hint, Held>, member: MemberId) -> bool {
        let Parked { key, attempt, .. } = self.parked;
        find(jobs, key).is_some_and(|job| job.takes_parking(key.generation, member, attempt))
    }
}

fn find(jobs: &HashMap<Hint, Held>, key: JobKey) -> Option<&Held> {
    jobs.get(&Hint { run: key.run, ordinal: key.ordinal })
}

impl Held {
    /// Whoever holds it: a result is worth its money as long as there is none.
    fn takes_result(&self, generation: u32) -> bool {
        self.generation == generation && self.state != JobState::Terminal
    }

    /// Only under the claim that holds it: an older one knows nothing of what happened since.
    fn takes_parking(&self, generation: u32, member: MemberId, attempt: u32) -> bool {
        self.generation == generation
            && self.state == JobState::Running
            && self.member == Some(member)
            && self.attempt == attempt
    }
}

/// What a batch adds to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: i64,
    failed: i64,
    errored: i64,
    cost_nano: i64,
}

/// Adds up what was really inserted, by run, in the order in which runs are locked.
fn counts<'a>(
    inserted: &'a [(String, i64, String)],
    paid: &'a [(String, Option<i64>)],
) -> BTreeMap<&'a str, Counts> {
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    for (run, _, outcome) in inserted {
        let run = counts.entry(run).or_default();
        match outcome.as_str() {
            "passed" => run.passed += 1,
            "failed" => run.failed += 1,
            _ => run.errored += 1,
        }
    }
    for (run, cost) in paid {
        counts.entry(run).or_default().cost_nano += cost.unwrap_or(0);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_taken_until_there_is_one_and_a_parking_from_its_holder() {
        let me: MemberId = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".parse().unwrap();
        let other: MemberId = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c".parse().unwrap();
        let check = |generation, state, member, attempt, result: bool, parking: bool| {
            let job = Held { generation, state, member, attempt };
            assert_eq!((job.takes_result(1), job.takes_parking(1, me, 2)), (result, parking));
        };
        check(1, JobState::Running, Some(me), 2, true, true);
        check(1, JobState::Running, Some(me), 3, true, false);
        check(1, JobState::Running, Some(other), 2, true, false);
        check(1, JobState::Pending, None, 2, true, false);
        check(1, JobState::Terminal, None, 2, false, false);
        check(2, JobState::Running, Some(me), 2, false, false);
    }

    #[test]
    fn counts_what_was_inserted_by_run() {
        let inserted = [("b", "passed"), ("a", "failed"), ("b", "errored"), ("b", "passed")];
        let inserted = inserted.map(|(run, outcome)| (run.to_owned(), 0, outcome.to_owned()));
        let paid = [("b".to_owned(), Some(5)), ("b".to_owned(), None), ("c".to_owned(), Some(7))];
        let counts: Vec<_> = counts(&inserted, &paid).into_iter().collect();
        let expected = |passed, failed, errored, cost_nano| Counts { passed, failed, errored, cost_nano };
        assert_eq!(
            counts,
            [("a", expected(0, 1, 0, 0)), ("b", expected(2, 0, 1, 5)), ("c", expected(0, 0, 0, 7))]
        );
    }
}
