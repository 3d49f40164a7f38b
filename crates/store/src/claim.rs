//! Claim: a job taken before anything is paid for it. One transaction for a batch of hints.

mod decide;

use std::collections::{BTreeSet, HashMap, HashSet};

use assay_common::case::Case;
use assay_common::clock::Micros;
use assay_common::committed::Committed;
use assay_common::id::MemberId;
use assay_common::job::{Answer, Decline, Grant, Hint, JobKey, Response, Tries};

use self::decide::{Company, Decision, Held, decide};
use crate::bulk::{Bulk, executed, fetched, packed};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Durability, Locking, Speaks as _, locking, writing};
use crate::row::{integer, json, parsed, whole};

pub(crate) const SQL: &[&str] = &[JOINED.sqlite, JOINED.postgres, HOLDS, START_RUN];
pub(crate) static BULKS: &[&Bulk] = &[&CLAIMABLE, &TAKE, &CASES, &RESPONSES, &EXISTING];

// Keeps a burial waiting until the claim is committed, so that it frees these jobs too.
const JOINED: Locking = locking!("SELECT beat FROM members WHERE id = $1", "FOR KEY SHARE");

// Naming the runs lets the index `jobs_running` find them.
const HOLDS: &str = "
    SELECT ordinal FROM jobs
    WHERE state = 'running' AND member = $1
        AND run_id IN (SELECT id FROM runs WHERE state IN ('running', 'paused', 'cancelling'))
    LIMIT 1";

// Rows are locked in key order. A row that another claimer has locked is passed over: it is his. The runs are held
// against `cancel`, which waits for claims before it returns.
static CLAIMABLE: Bulk = Bulk::new(
    "WITH given (run_id, ordinal) AS (VALUES",
    "($, $)",
    ") SELECT jobs.run_id, jobs.ordinal, jobs.generation, jobs.position, jobs.variant, jobs.trial, jobs.state,
        jobs.not_before, jobs.member, jobs.attempt, jobs.tries, jobs.ambiguous, jobs.malformed, jobs.crash_claims,
        jobs.first_claimed_at, runs.state AS run_state, runs.started_at AS run_started_at, suite_revisions.dataset
    FROM given CROSS JOIN jobs CROSS JOIN runs CROSS JOIN suite_revisions
    WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal AND runs.id = jobs.run_id
        AND suite_revisions.revision = runs.revision
    ORDER BY jobs.run_id, jobs.ordinal",
)
.locking("FOR UPDATE OF jobs SKIP LOCKED FOR KEY SHARE OF runs")
.packing(18);

// Joined rather than `IN (VALUES …)`, for which SQLite would read the whole table.
static TAKE: Bulk = Bulk::new(
    "WITH claimer (member, claimed_at) AS (VALUES ($, $)), given (run_id, ordinal) AS (VALUES",
    "($, $)",
    ") UPDATE jobs SET state = 'running', member = claimer.member, attempt = jobs.attempt + 1,
        first_claimed_at = COALESCE(jobs.first_claimed_at, claimer.claimed_at)
    FROM given CROSS JOIN claimer WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal",
);

const START_RUN: &str = "UPDATE runs SET started_at = $2 WHERE id = $1 AND started_at IS NULL";

static CASES: Bulk = Bulk::new(
    "WITH given (dataset, position) AS (VALUES",
    "($, $)",
    ") SELECT cases.dataset, cases.position, cases.case_id, cases.cluster, cases.tags, cases.vars
    FROM given CROSS JOIN cases WHERE cases.dataset = given.dataset AND cases.position = given.position",
);

static RESPONSES: Bulk = Bulk::new(
    "WITH given (run_id, ordinal, generation) AS (VALUES",
    "($, $, $)",
    ") SELECT responses.run_id, responses.ordinal, responses.content
    FROM given CROSS JOIN responses WHERE responses.run_id = given.run_id AND responses.ordinal = given.ordinal
        AND responses.generation = given.generation",
);

static EXISTING: Bulk = Bulk::new(
    "WITH given (run_id, ordinal) AS (VALUES",
    "($, $)",
    ") SELECT jobs.run_id, jobs.ordinal
    FROM given CROSS JOIN jobs WHERE jobs.run_id = given.run_id AND jobs.ordinal = given.ordinal",
);

impl Store {
    /// Claims the jobs that `hints` point at for `member`, and answers each hint, in the order they came. A hint that
    /// comes twice in a batch is answered `Busy` the second time. A member that claims a job it holds gets the same
    /// grant again. A job for which an answer was kept is granted with it. One that is suspected is declined as such:
    /// it is for [`Store::claim_alone`].
    ///
    /// # Errors
    /// [`StoreError::NotJoined`] when the member was buried or never joined: nobody would free what it holds.
    pub async fn claim(
        &self,
        member: MemberId,
        hints: Vec<Hint>,
        now: Micros,
    ) -> Result<Vec<(Hint, Answer)>, StoreError> {
        if hints.is_empty() {
            return Ok(Vec::new());
        }
        self.claim_in(Company::Others, member, hints, now).await
    }

    /// Claims one job, suspected or not, for a member that holds nothing else, and claims nothing more before it is
    /// settled. A suspected job is declined as such where the member does hold something.
    ///
    /// # Errors
    /// [`StoreError::NotJoined`], as [`Store::claim`].
    pub async fn claim_alone(&self, member: MemberId, hint: Hint, now: Micros) -> Result<Answer, StoreError> {
        let answers = self.claim_in(Company::None, member, vec![hint], now).await?;
        let answer = answers.into_iter().next().map(|(_, answer)| answer);
        answer.ok_or_else(|| StoreError::Unreadable(format!("no answer to the claim of {hint:?}")))
    }

    async fn claim_in(
        &self,
        company: Company,
        member: MemberId,
        hints: Vec<Hint>,
        now: Micros,
    ) -> Result<Vec<(Hint, Answer)>, StoreError> {
        self.find_responses(&hints).await?;
        let wanted: BTreeSet<_> = hints.iter().copied().collect();
        let wanted: Vec<_> =
            wanted.into_iter().map(|hint| (hint.run.to_string(), integer(hint.ordinal))).collect();
        let holder = member.to_string();
        let claimed = writing!(self, Durability::Process, |conn| {
            let query = sqlx::query_scalar(JOINED.text(conn.dialect())).bind(&holder);
            let joined: Option<i64> = query.fetch_optional(&mut *conn).await?;
            if joined.is_none() {
                return Err(StoreError::NotJoined { member });
            }
            let holds: Option<i64> = match company {
                Company::Others => None,
                Company::None => sqlx::query_scalar(HOLDS).bind(&holder).fetch_optional(&mut *conn).await?,
            };
            let company = if holds.is_some() { Company::Others } else { company };
            let rows = packed!(conn, CLAIMABLE() as Claimable, &wanted, |(run, ordinal)| (run, ordinal));
            let jobs = decided(rows, member, company, now)?;
            let taken: Vec<_> = jobs.iter().filter(|(_, decision)| *decision == Decision::Take).collect();
            executed!(conn, TAKE(&holder, now.0), &taken, |(job, _)| (&job.run_id, job.ordinal));
            for run in not_started(&taken) {
                sqlx::query(START_RUN).bind(run).bind(now.0).execute(&mut *conn).await?;
            }
            let granted = granted(&jobs);
            let wanted_cases = cases_of(&granted);
            let cases =
                fetched!(conn, CASES() as CaseRow, &wanted_cases, |(dataset, position)| (dataset, position));
            let responses = fetched!(conn, RESPONSES() as (String, i64, String), &granted, |job| (
                &job.run_id,
                job.ordinal,
                job.generation
            ));
            let absent = absent(&wanted, &jobs);
            let others =
                fetched!(conn, EXISTING() as (String, i64), &absent, |(run, ordinal)| (run, ordinal));
            Ok(Claimed { jobs, cases, responses, others })
        })?;
        let committed = Committed::after_commit();
        let mut answers = claimed.answers(now, committed)?;
        let answer = |hint| {
            let busy = Answer::Declined(Decline::Busy, committed);
            let unknown = Answer::Declined(Decline::Unknown, committed);
            (hint, answers.insert(hint, busy).unwrap_or(unknown))
        };
        Ok(hints.into_iter().map(answer).collect())
    }
}

/// A row of [`CLAIMABLE`], in the order of its columns.
#[derive(serde::Deserialize, sqlx::FromRow)]
struct Claimable {
    run_id: String,
    ordinal: i64,
    generation: i64,
    position: i64,
    variant: i64,
    trial: i64,
    state: String,
    not_before: i64,
    member: Option<String>,
    attempt: i64,
    tries: i64,
    ambiguous: i64,
    malformed: i64,
    crash_claims: i64,
    first_claimed_at: Option<i64>,
    run_state: String,
    run_started_at: Option<i64>,
    dataset: String,
}

/// A row of [`CASES`].
#[derive(sqlx::FromRow)]
struct CaseRow {
    dataset: String,
    position: i64,
    case_id: String,
    cluster: Option<String>,
    tags: String,
    vars: String,
}

/// What a claim came to, committed.
struct Claimed {
    /// The jobs that this transaction could look at.
    jobs: Vec<(Claimable, Decision)>,
    /// The cases of those that were granted.
    cases: Vec<CaseRow>,
    /// The answers kept for them: run, ordinal and content.
    responses: Vec<(String, i64, String)>,
    /// Jobs that exist and were locked by another transaction.
    others: Vec<(String, i64)>,
}

fn decided(
    rows: Vec<Claimable>,
    member: MemberId,
    company: Company,
    now: Micros,
) -> Result<Vec<(Claimable, Decision)>, StoreError> {
    let decide_row = |row: Claimable| {
        let held = Held {
            state: parsed(&row.state, "jobs.state")?,
            run: parsed(&row.run_state, "runs.state")?,
            not_before: Micros(row.not_before),
            member: row.member.as_deref().map(|id| parsed(id, "jobs.member")).transpose()?,
            crash_claims: whole(row.crash_claims, "jobs.crash_claims")?,
        };
        Ok((row, decide(&held, member, company, now)))
    };
    rows.into_iter().map(decide_row).collect()
}

/// Runs whose first job is taken now.
fn not_started<'a>(taken: &[&'a (Claimable, Decision)]) -> BTreeSet<&'a str> {
    let fresh = taken.iter().filter(|(job, _)| job.run_started_at.is_none());
    fresh.map(|(job, _)| job.run_id.as_str()).collect()
}

/// The jobs that are granted.
fn granted(jobs: &[(Claimable, Decision)]) -> Vec<&Claimable> {
    let granted = jobs.iter().filter(|(_, decision)| !matches!(decision, Decision::Decline(_)));
    granted.map(|(job, _)| job).collect()
}

/// The cases of these jobs, each once.
fn cases_of(granted: &[&Claimable]) -> Vec<(String, i64)> {
    let cases: BTreeSet<_> = granted.iter().map(|job| (job.dataset.clone(), job.position)).collect();
    cases.into_iter().collect()
}

/// What was asked for and not found: unknown, or locked by another transaction.
fn absent(wanted: &[(String, i64)], jobs: &[(Claimable, Decision)]) -> Vec<(String, i64)> {
    let found: HashSet<_> = jobs.iter().map(|(job, _)| (job.run_id.as_str(), job.ordinal)).collect();
    wanted.iter().filter(|(run, ordinal)| !found.contains(&(run.as_str(), *ordinal))).cloned().collect()
}

impl Claimed {
    fn answers(self, now: Micros, committed: Committed) -> Result<HashMap<Hint, Answer>, StoreError> {
        let hint = |run: &str, ordinal| -> Result<Hint, StoreError> {
            Ok(Hint { run: parsed(run, "jobs.run_id")?, ordinal: whole(ordinal, "jobs.ordinal")? })
        };
        let mut cases = HashMap::with_capacity(self.cases.len());
        for row in self.cases {
            let case = Case {
                id: row.case_id,
                cluster: row.cluster,
                tags: json(&row.tags, "cases.tags")?,
                vars: json(&row.vars, "cases.vars")?,
            };
            cases.insert((row.dataset, row.position), case);
        }
        let mut responses = HashMap::with_capacity(self.responses.len());
        for (run, ordinal, content) in self.responses {
            responses.insert(hint(&run, ordinal)?, json(&content, "responses.content")?);
        }
        let mut answers = HashMap::with_capacity(self.jobs.len());
        for (job, decision) in self.jobs {
            let hint = hint(&job.run_id, job.ordinal)?;
            let response = responses.remove(&hint);
            let answer = match decision {
                Decision::Decline(why) => Answer::Declined(why, committed),
                Decision::Take => Answer::Granted(Box::new(grant(hint, job, 1, now, &cases, response)?)),
                Decision::Repeat => Answer::Granted(Box::new(grant(hint, job, 0, now, &cases, response)?)),
            };
            answers.insert(hint, answer);
        }
        for (run, ordinal) in self.others {
            answers.insert(hint(&run, ordinal)?, Answer::Declined(Decline::Busy, committed));
        }
        Ok(answers)
    }
}

/// The grant of a job that was read before this claim; `claims`: how many it adds.
fn grant(
    hint: Hint,
    job: Claimable,
    claims: i64,
    now: Micros,
    cases: &HashMap<(String, i64), Case>,
    response: Option<Response>,
) -> Result<Grant, StoreError> {
    let place = (job.dataset, job.position);
    let case = cases.get(&place).cloned();
    let case = case.ok_or_else(|| {
        StoreError::Unreadable(format!("dataset {} has no case at position {}", place.0, place.1))
    })?;
    Ok(Grant {
        key: JobKey {
            run: hint.run,
            ordinal: hint.ordinal,
            generation: whole(job.generation, "jobs.generation")?,
        },
        attempt: whole(job.attempt + claims, "jobs.attempt")?,
        variant: whole(job.variant, "jobs.variant")?,
        trial: whole(job.trial, "jobs.trial")?,
        tries: Tries {
            counted: whole(job.tries, "jobs.tries")?,
            ambiguous: whole(job.ambiguous, "jobs.ambiguous")?,
            malformed: whole(job.malformed, "jobs.malformed")?,
        },
        first_claimed: job.first_claimed_at.map_or(now, Micros),
        case,
        response: response.map(Box::new),
    })
}
