//! Settle: what became of held jobs, recorded exactly once. One transaction for a batch, however often it is sent.

mod batch;
mod held;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use assay_common::clock::Micros;
use assay_common::committed::Committed;
use assay_common::id::MemberId;
use assay_common::job::{Hint, Settlement};
use assay_common::outcome::ErrorKind;

use self::batch::{Batch, CallRow, ResultRow};
use self::held::Held;
use crate::bulk::{Bulk, executed, fetched, packed};
use crate::cancel::cancel_returned;
use crate::error::StoreError;
use crate::member::given_back_at;
use crate::open::Store;
use crate::pools::writing;
use crate::reserve::FREE_RESERVATIONS;
use crate::response::FORGET_RESPONSES;
use crate::row::{integer, output_columns, parsed, plain, whole};

pub(crate) const SQL: &[&str] = &[COUNT, PAY];
pub(crate) static BULKS: &[&Bulk] = &[&SETTLEABLE, &INSERT_RESULTS, &END_JOBS, &PARK_JOBS, &INSERT_CALLS];

// Locked in key order, and waited for: a burial or a cancellation of these jobs comes before or after, never between.
static SETTLEABLE: Bulk = Bulk::new(
    "WITH given (run_id, ordinal) AS (VALUES",
    "($, $)",
    ") SELECT jobs.run_id, jobs.ordinal, jobs.generation, jobs.state, jobs.member, jobs.attempt
    FROM given CROSS JOIN jobs WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal
    ORDER BY jobs.run_id, jobs.ordinal",
)
.locking("FOR UPDATE OF jobs")
.repeatable()
.packing(6);

static INSERT_RESULTS: Bulk = Bulk::new(
    "INSERT INTO results (run_id, ordinal, generation, attempt, variant, outcome, error_kind, error, score, latency_us,
        input_tokens, output_tokens, cost_nano, finish_reason, finished_at, scores, output, output_bytes) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $, $, $, $, $, $)",
    "ON CONFLICT DO NOTHING RETURNING run_id, ordinal, outcome",
)
.repeatable();

static END_JOBS: Bulk = Bulk::new(
    "WITH given (run_id, ordinal, outcome) AS (VALUES",
    "($, $, $)",
    ") UPDATE jobs SET state = 'terminal', outcome = given.outcome, member = NULL
    FROM given WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal",
)
.repeatable();

// A job that a result in the same batch has ended is no longer running, and stays ended.
static PARK_JOBS: Bulk = Bulk::new(
    "WITH given (run_id, ordinal, not_before, tries, ambiguous, malformed) AS (VALUES",
    "($, $, $, $, $, $)",
    ") UPDATE jobs SET state = 'pending', member = NULL, not_before = given.not_before, tries = given.tries,
        ambiguous = given.ambiguous, malformed = given.malformed
    FROM given WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal AND jobs.state = 'running'",
)
.repeatable();

static INSERT_CALLS: Bulk = Bulk::new(
    "INSERT INTO calls (run_id, ordinal, generation, attempt, seq, member, started_at, duration_us, class, status,
        input_tokens, output_tokens, cost_nano, billed, recorded_at) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $, $, $)",
    "ON CONFLICT DO NOTHING RETURNING run_id, cost_nano",
)
.repeatable();

// What was wanting is there once costs have turned out smaller than what was set aside for them.
const COUNT: &str = "
    UPDATE runs SET passed = passed + $2, failed = failed + $3, errored = errored + $4, cost_nano = cost_nano + $5,
        reserved_nano = reserved_nano - $6,
        short_nano = CASE WHEN cost_nano + $5 + reserved_nano - $6 + short_nano <= budget_nano THEN NULL
            ELSE short_nano END
    WHERE id = $1";

// What a call cost counts against the day on which it was set aside for.
const PAY: &str = "
    UPDATE spending SET cost_nano = cost_nano + $3, reserved_nano = reserved_nano - $4
    WHERE account = $1 AND day = $2";

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
        let ended: Vec<_> = settlements.iter().filter_map(Settlement::ended).collect();
        let batch = Batch::of(settlements)?;
        let holder = member.to_string();
        writing!(self, |conn| {
            let rows =
                packed!(conn, SETTLEABLE() as Settleable, &batch.jobs, |(run, ordinal)| (run, ordinal));
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
                row.finished.cost.map(|cost| cost.0),
                row.finished.finish_reason.as_deref().map(plain),
                row.finished.finished_at.0,
                &row.scores,
                output_columns(row.finished.output.as_ref()).0,
                output_columns(row.finished.output.as_ref()).1,
            ));
            executed!(conn, END_JOBS(), &inserted, |(run, ordinal, outcome)| (run, ordinal, outcome));
            for of_run in batch.results.chunk_by(|one, next| one.run == next.run) {
                let ordinal = |row: &ResultRow| integer(row.finished.key.ordinal);
                // Sorted by key.
                let (first, last) = (&of_run[0], &of_run[of_run.len() - 1]);
                let range = (ordinal(first), ordinal(last));
                executed!(conn, FORGET_RESPONSES(&first.run, range.0, range.1), of_run, |row| (ordinal(row)));
            }
            let parked: Vec<_> = batch.parked.iter().filter(|row| row.is_accepted(&jobs, member)).collect();
            executed!(conn, PARK_JOBS(), &parked, |row| (
                &row.run,
                integer(row.parked.key.ordinal),
                given_back_at(row.parked.not_before),
                i64::from(row.parked.tries.counted),
                i64::from(row.parked.tries.ambiguous),
                i64::from(row.parked.tries.malformed)
            ));
            for run in parked.iter().map(|row| &row.run).collect::<BTreeSet<_>>() {
                cancel_returned!(conn, run);
            }
            let paid = fetched!(conn, INSERT_CALLS() as (String, Option<i64>), &batch.calls, |row| (
                &row.run,
                integer(row.key.ordinal),
                i64::from(row.key.generation),
                i64::from(row.call.attempt),
                row.seq,
                &holder,
                row.call.started_at.0,
                row.call.duration_us,
                &*row.call.class,
                row.call.status.map(i64::from),
                row.call.usage.input_tokens.map(integer),
                row.call.usage.output_tokens.map(integer),
                row.call.cost.map(|cost| cost.0),
                row.call.billed,
                now.0,
            ));
            let accounted: Vec<_> = batch.calls.iter().filter(|row| row.call.frees).collect();
            let mut freed: Vec<FreedRow> = Vec::new();
            for of_run in accounted.chunk_by(|one, next| one.run == next.run) {
                let ordinal = |row: &CallRow| integer(row.key.ordinal);
                let (first, last) = (of_run[0], of_run[of_run.len() - 1]);
                let range = (ordinal(first), ordinal(last));
                freed.append(&mut fetched!(
                    conn,
                    FREE_RESERVATIONS(&first.run, range.0, range.1) as FreedRow,
                    of_run,
                    |row| (ordinal(row), i64::from(row.key.generation), i64::from(row.call.attempt), row.seq)
                ));
            }
            for (run, counts) in counts(&inserted, &paid, &freed) {
                sqlx::query(COUNT)
                    .bind(run)
                    .bind(counts.passed)
                    .bind(counts.failed)
                    .bind(counts.errored)
                    .bind(counts.cost_nano)
                    .bind(counts.freed_nano)
                    .execute(&mut *conn)
                    .await?;
            }
            for ((account, day), bill) in bills(&freed, &accounted) {
                let query = sqlx::query(PAY).bind(account).bind(day);
                query.bind(bill.cost_nano).bind(bill.freed_nano).execute(&mut *conn).await?;
            }
            Ok(())
        })?;
        if let Some(journal) = self.journal() {
            journal.forget(ended);
        }
        Ok(Committed::after_commit())
    }
}

/// A row of [`SETTLEABLE`], in the order of its columns.
#[derive(serde::Deserialize, sqlx::FromRow)]
struct Settleable {
    run_id: String,
    ordinal: i64,
    generation: i64,
    state: String,
    member: Option<String>,
    attempt: i64,
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

/// A reservation that was removed.
#[derive(sqlx::FromRow)]
struct FreedRow {
    run_id: String,
    ordinal: i64,
    generation: i64,
    attempt: i64,
    seq: i64,
    amount_nano: i64,
    account: Option<String>,
    day: Option<i64>,
}

/// What a batch adds to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: i64,
    failed: i64,
    errored: i64,
    cost_nano: i64,
    freed_nano: i64,
}

/// Adds up what was really inserted, by run, in the order in which runs are locked.
fn counts<'a>(
    inserted: &'a [(String, i64, String)],
    paid: &'a [(String, Option<i64>)],
    freed: &'a [FreedRow],
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
    for row in freed {
        counts.entry(&row.run_id).or_default().freed_nano += row.amount_nano;
    }
    counts
}

/// What a batch adds to an account's day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bill {
    cost_nano: i64,
    freed_nano: i64,
}

/// Adds up what reservations turned into, by account and day, in the order in which those are locked. A reservation is
/// removed once, so each call is on one bill once.
fn bills<'a>(freed: &'a [FreedRow], calls: &[&CallRow]) -> BTreeMap<(&'a str, i64), Bill> {
    let capped: Vec<_> =
        freed.iter().filter_map(|row| Some((row, row.account.as_deref()?, row.day?))).collect();
    if capped.is_empty() {
        return BTreeMap::new();
    }
    let name = |call: &&CallRow| {
        let (key, attempt) = (call.key, i64::from(call.call.attempt));
        (call.run.clone(), integer(key.ordinal), i64::from(key.generation), attempt, call.seq)
    };
    let costs: HashMap<_, _> = calls.iter().map(|call| (name(call), call.call.cost)).collect();
    let mut bills: BTreeMap<(&str, i64), Bill> = BTreeMap::new();
    for (row, account, day) in capped {
        let name = (row.run_id.clone(), row.ordinal, row.generation, row.attempt, row.seq);
        let cost = costs.get(&name).copied().flatten();
        let bill = bills.entry((account, day)).or_default();
        bill.cost_nano += cost.map_or(0, |cost| cost.0);
        bill.freed_nano += row.amount_nano;
    }
    bills
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freed(run: &str, amount_nano: i64, account: Option<&str>) -> FreedRow {
        let (run_id, account) = (run.to_owned(), account.map(str::to_owned));
        let day = account.as_ref().map(|_| 3);
        FreedRow { run_id, ordinal: 0, generation: 0, attempt: 1, seq: 0, amount_nano, account, day }
    }

    #[test]
    fn counts_what_was_inserted_by_run() {
        let inserted = [("b", "passed"), ("a", "failed"), ("b", "errored"), ("b", "passed")];
        let inserted = inserted.map(|(run, outcome)| (run.to_owned(), 0, outcome.to_owned()));
        let paid = [("b".to_owned(), Some(5)), ("b".to_owned(), None), ("c".to_owned(), Some(7))];
        let freed = [freed("b", 9, None), freed("b", 2, None)];
        let counts: Vec<_> = counts(&inserted, &paid, &freed).into_iter().collect();
        let expected = |passed, failed, errored, cost_nano, freed_nano| Counts {
            passed,
            failed,
            errored,
            cost_nano,
            freed_nano,
        };
        assert_eq!(
            counts,
            [("a", expected(0, 1, 0, 0, 0)), ("b", expected(2, 0, 1, 5, 11)), ("c", expected(0, 0, 0, 7, 0))]
        );
    }
}
