//! The oracle: what must hold of a run that is over, from its rows and the providers' bill; and at every look before.
//!
//! `fleet`: what must hold of the fleet, whatever its runs come to

pub(crate) mod fleet;

use std::collections::BTreeMap;
use std::time::Duration;

use assay_common::job::CONVICTED_AFTER;
use assay_common::outcome::{ErrorKind, Outcome};
use assay_store::{OutcomeRow, ResultRow, Run, RunState};

use crate::provider::Job;

/// How long a process that the store answers may go on with a run that was cancelled.
pub(crate) const TWO_HEARTBEATS: Duration = Duration::from_secs(2);

/// A call as the oracle judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) job: Job,
    pub(crate) attempt: u32,
    /// What it cost, in nano-dollars.
    pub(crate) cost: i64,
    /// Whether a reply said so.
    pub(crate) told: bool,
    /// Whether its end was seen by whoever asked.
    pub(crate) seen: bool,
    /// Whether it brought an answer.
    pub(crate) answered: bool,
    /// Whether anything befell the process that asked: what it knew may be lost.
    pub(crate) troubled: bool,
    /// How long after the run's cancellation had answered it began; `None`: before, or of a run that was not cancelled.
    pub(crate) after_cancel: Option<Duration>,
    /// Whether its process too began after that.
    pub(crate) newborn: bool,
    /// Whether everything that its process asked the store for in [`TWO_HEARTBEATS`] before it was answered, and soon.
    pub(crate) heard: bool,
}

impl Call {
    /// Whether whoever made it must have known that its run was cancelled.
    fn is_unwanted(&self) -> bool {
        let told = |after| after > TWO_HEARTBEATS && self.heard && !self.troubled;
        self.after_cancel.is_some_and(|after| self.newborn || told(after))
    }
}

/// What must hold of a run at every moment: I2, I7.
pub(crate) fn look(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("run {}: {what}: {run:?}", run.id));
        }
    };
    must(run.done() <= run.cursor && run.cursor <= run.planned, "I2: terminal ≤ expanded ≤ planned");
    must(run.cost.0 >= 0 && run.reserved.0 >= 0, "I7: nothing is owed");
    let bound = run.budget.is_none_or(|budget| run.cost.0 + run.reserved.0 <= budget.0);
    must(bound, "I7: spent + set aside ≤ budget");
    wrong
}

/// What must hold of a run and of its jobs by their states, at every moment: I2.
pub(crate) fn look_at_jobs(run: &Run, mut states: BTreeMap<String, u64>) -> Vec<String> {
    let wrong = format!("run {}: I2: its jobs are {states:?}: {run:?}", run.id);
    let [pending, running, terminal] =
        ["pending", "running", "terminal"].map(|state| states.remove(state).unwrap_or(0));
    let holds = pending + running + terminal == run.cursor && terminal == run.done() && states.is_empty();
    (!holds).then_some(wrong).into_iter().collect()
}

/// What must hold of a run and of its jobs that have ended, at every moment: I2, I15.
pub(crate) fn look_at_outcomes<'r>(
    run: &Run,
    ended: impl Iterator<Item = &'r OutcomeRow> + Clone,
) -> Vec<String> {
    let count = |is: fn(&Outcome) -> bool| ended.clone().filter(|row| is(&row.outcome)).count() as u64;
    let recount = [
        count(|outcome| *outcome == Outcome::Passed),
        count(|outcome| *outcome == Outcome::Failed),
        count(|outcome| matches!(outcome, Outcome::Errored(_))),
        count(|outcome| *outcome == Outcome::Cancelled),
    ];
    let mut wrong = Vec::new();
    if recount != [run.passed, run.failed, run.errored, run.cancelled] {
        wrong.push(format!("run {}: I15: its jobs are {recount:?}, its counts are not: {run:?}", run.id));
    }
    if ended.clone().any(|row| row.ordinal >= run.cursor) {
        wrong.push(format!("run {}: I2: a job behind its cursor has ended: {run:?}", run.id));
    }
    wrong
}

/// What befell a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// Whether a provider gave it any reason to err.
    pub(crate) errors: bool,
    /// Lives of processes that anything befell.
    pub(crate) troubled: u32,
}

/// How the jobs of a run ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'r> {
    /// Each in its generation.
    pub(crate) rows: &'r [ResultRow],
    /// In generations before it.
    pub(crate) earlier: &'r [ResultRow],
}

/// What must hold of a run that is over. `expected`: what its answers are worth.
pub(crate) fn judge(
    run: &Run,
    Rows { rows, earlier }: &Rows<'_>,
    calls: &[Call],
    expected: impl Fn(&ResultRow) -> Outcome,
    befell: Circumstances,
) -> Vec<String> {
    let mut wrong = look(run);
    wrong.extend(look_at_outcomes(run, rows.iter().map(|row| &row.row)));
    let mut fail = |what: String| wrong.push(format!("run {}: {what}", run.id));
    let ordinals: Vec<_> = rows.iter().map(|row| row.row.ordinal).collect();
    if ordinals != (0..run.cursor).collect::<Vec<_>>() {
        fail(format!("I1: of {} expanded jobs these have an outcome: {ordinals:?}", run.cursor));
    }
    let whole = run.cursor == run.planned && run.cancelled == 0;
    if run.state == RunState::Completed && !whole && !run.stopped_early {
        fail(format!("I1: complete with less than was planned: {run:?}"));
    }
    let mut by_job: BTreeMap<Job, Vec<&Call>> = BTreeMap::new();
    calls.iter().for_each(|call| by_job.entry(call.job).or_default().push(call));
    for row in *rows {
        let job = (run.id, row.row.ordinal, row.row.generation);
        let calls = by_job.remove(&job).unwrap_or_default();
        let claims = judge_claims(row, &calls, befell);
        for what in judge_job(row, &calls, expected(row), befell).into_iter().chain(claims) {
            fail(format!("job {}: {what}", row.row.ordinal));
        }
    }
    for row in *earlier {
        let (ordinal, generation) = (row.row.ordinal, row.row.generation);
        if !matches!(row.row.outcome, Outcome::Errored(_)) {
            fail(format!("I3: job {ordinal} was asked again and had not errored: {:?}", row.row.outcome));
        }
        let calls = by_job.remove(&(run.id, ordinal, generation)).unwrap_or_default();
        for what in judge_job(row, &calls, expected(row), befell) {
            fail(format!("job {ordinal} of generation {generation}: {what}"));
        }
    }
    for job in by_job.into_keys() {
        fail(format!("I5: {job:?} was called and is no job"));
    }
    if let Some(call) = calls.iter().find(|call| call.is_unwanted()) {
        fail(format!("I16: whoever made this call must have known of the cancellation: {call:?}"));
    }
    let surely: i64 =
        calls.iter().filter(|call| call.told && call.seen && !call.troubled).map(|call| call.cost).sum();
    let at_most: i64 = calls.iter().filter(|call| call.told).map(|call| call.cost).sum();
    if !(surely..=at_most).contains(&run.cost.0) {
        fail(format!("I6: {} is on its books, the bill says {surely} to {at_most}", run.cost.0));
    }
    wrong
}

fn judge_job(row: &ResultRow, calls: &[&Call], expected: Outcome, befell: Circumstances) -> Vec<String> {
    let mut wrong = Vec::new();
    let outcome = row.row.outcome;
    match outcome {
        Outcome::Passed | Outcome::Failed if outcome != expected => {
            wrong.push(format!("I9: it {} and should have {}", outcome.word(), expected.word()));
        }
        Outcome::Passed | Outcome::Failed if !calls.iter().any(|call| call.answered) => {
            wrong.push("I5: it has a result and was never answered".to_owned());
        }
        // A job whose claims keep ending with their members may be what kills them.
        Outcome::Errored(ErrorKind::Poison) => {}
        Outcome::Errored(_) if !befell.errors => {
            wrong.push(format!("I9: nothing failed, and it is {outcome:?}"));
        }
        _ => {}
    }
    let surely = calls.iter().filter(|call| call.seen && !call.troubled).count() as u64;
    if row.calls < surely || row.calls > calls.len() as u64 {
        wrong.push(format!(
            "I4: {} calls are on its ledger, the bill says {surely} to {}",
            row.calls,
            calls.len()
        ));
    }
    // An answer that reached a process which lived on is kept or recorded: nobody pays for it again.
    let kept = calls.iter().position(|call| call.answered && !call.troubled);
    if kept.is_some_and(|kept| calls[kept + 1..].iter().any(|call| call.attempt > calls[kept].attempt)) {
        wrong.push("I26: it was answered, and asked again".to_owned());
    }
    wrong
}

/// What must hold of the claims of a job in the generation that it is in.
fn judge_claims(row: &ResultRow, calls: &[&Call], befell: Circumstances) -> Vec<String> {
    let mut wrong = Vec::new();
    let poison = row.row.outcome == Outcome::Errored(ErrorKind::Poison);
    if poison && row.crash_claims < CONVICTED_AFTER {
        wrong.push(format!("I17: it is called poison after {} deaths", row.crash_claims));
    }
    if row.crash_claims > befell.troubled {
        wrong.push(format!(
            "I17: {} of its claims are said to have ended with their member, and {} members were in trouble",
            row.crash_claims, befell.troubled
        ));
    }
    if calls.iter().any(|call| call.attempt == 0 || call.attempt > row.claims) {
        wrong.push(format!("I5: it was called under a claim that is not among its {}", row.claims));
    }
    wrong
}

#[cfg(test)]
pub(crate) mod tests {
    use assay_common::clock::Micros;
    use assay_common::id::{Digest, RunId};
    use assay_common::money::NanoUsd;
    use assay_common::suite::Priority;
    use assay_store::OutcomeRow;
    use uuid::Uuid;

    use super::*;

    fn run_id() -> RunId {
        RunId::new(Uuid::from_u128(1))
    }

    /// A run of two jobs that passed, at 5 nano-dollars each.
    pub(crate) fn run() -> Run {
        Run {
            id: run_id(),
            suite_name: "lucky".to_owned(),
            revision: Digest::of(b"lucky"),
            state: RunState::Completed,
            reason: None,
            seed: [0; 32],
            planned: 2,
            cursor: 2,
            expanded: true,
            passed: 2,
            failed: 0,
            errored: 0,
            cancelled: 0,
            cost: NanoUsd(10),
            budget: Some(NanoUsd(20)),
            reserved: NanoUsd(0),
            short: None,
            priority: Priority::Normal,
            created_at: Micros(0),
            started_at: None,
            finished_at: None,
            deadline_at: Micros(1),
            pruned_at: None,
            trace: None,
            stopped_early: false,
        }
    }

    fn row(ordinal: u64) -> ResultRow {
        let row = OutcomeRow {
            ordinal,
            generation: 0,
            variant: 0,
            trial: 1,
            position: ordinal,
            case_id: ordinal.to_string(),
            cluster: None,
            tags: BTreeMap::new(),
            outcome: Outcome::Passed,
            score: None,
            scores: Vec::new(),
            usage: Default::default(),
            cost: Some(NanoUsd(5)),
            latency_us: None,
        };
        ResultRow {
            row,
            error_kind: None,
            error: None,
            output: None,
            finish_reason: None,
            attempts: 1,
            claims: 1,
            crash_claims: 0,
            calls: 1,
            finished_at: None,
        }
    }

    fn call(ordinal: u64) -> Call {
        Call {
            job: (run_id(), ordinal, 0),
            attempt: 1,
            cost: 5,
            told: true,
            seen: true,
            answered: true,
            troubled: false,
            after_cancel: None,
            newborn: false,
            heard: true,
        }
    }

    #[test]
    fn every_job_stands_before_the_cursor() {
        let check = |states: &[(&str, u64)], holds: bool| {
            let states = states.iter().map(|(state, jobs)| ((*state).to_owned(), *jobs)).collect();
            let found = look_at_jobs(&run(), states);
            assert_eq!(found.is_empty(), holds, "{found:?}");
            assert!(found.iter().all(|what| what.contains("I2:")));
        };
        check(&[("terminal", 2)], true);
        check(&[("terminal", 1)], false);
        check(&[("terminal", 1), ("pending", 1)], false);
        check(&[("terminal", 2), ("running", 1)], false);
        check(&[("terminal", 2), ("lost", 1)], false);
    }

    /// Each way in which a history is wrong is found, under the name of what it breaks.
    #[test]
    fn every_broken_promise_is_found() {
        type Books = (Run, Vec<ResultRow>, Vec<Call>);
        let check = |broken: &[&str], change: fn(&mut Books)| {
            let mut books = (run(), vec![row(0), row(1)], vec![call(0), call(1)]);
            change(&mut books);
            let (run, mut rows, calls) = books;
            let befell = Circumstances { errors: false, troubled: 1 };
            // Whoever stands there a second time stands there in an earlier generation.
            let earlier = rows.split_off(rows.len().min(2));
            let rows = Rows { rows: &rows, earlier: &earlier };
            let found = judge(&run, &rows, &calls, |_| Outcome::Passed, befell);
            for name in broken {
                assert!(found.iter().any(|what| what.contains(name)), "{name} is not among {found:?}");
            }
            assert_eq!(found.is_empty(), broken.is_empty(), "{found:?}");
        };
        check(&[], |_| ());
        check(&["I1:", "I15:"], |(_, rows, _)| _ = rows.pop());
        check(&["I1:"], |(run, _, _)| run.planned = 3);
        // A gate that has decided may leave the rest out.
        check(&[], |(run, _, _)| (run.planned, run.stopped_early) = (3, true));
        check(&["I2:"], |(run, _, _)| run.failed = 1);
        check(&["I2:"], |(_, rows, _)| rows[1].row.ordinal = 2);
        check(&["I4:"], |(_, rows, _)| rows[0].calls = 2);
        check(&["I4:"], |(_, rows, _)| rows[0].calls = 0);
        check(&["I5:"], |(_, _, calls)| calls[0].attempt = 2);
        check(&["I5:"], |(_, _, calls)| calls[0].job.1 = 7);
        check(&["I5:", "I6:"], |(_, _, calls)| _ = calls.remove(0));
        check(&["I6:"], |(run, _, _)| run.cost = NanoUsd(9));
        check(&["I6:"], |(run, _, _)| run.cost = NanoUsd(11));
        check(&["I7:"], |(run, _, _)| run.reserved = NanoUsd(11));
        check(&["I9:"], |(run, rows, _)| {
            rows[0].row.outcome = Outcome::Failed;
            (run.passed, run.failed) = (1, 1);
        });
        check(&["I9:"], |(run, rows, _)| {
            rows[0].row.outcome = Outcome::Errored(ErrorKind::Provider);
            (run.passed, run.errored) = (1, 1);
        });
        check(&["I17:"], |(run, rows, _)| {
            rows[0].row.outcome = Outcome::Errored(ErrorKind::Poison);
            (run.passed, run.errored) = (1, 1);
        });
        check(&["I17:"], |(_, rows, _)| rows[0].crash_claims = 3);
        check(&[], |(_, _, calls)| calls[0].after_cancel = Some(TWO_HEARTBEATS));
        check(&["I16:"], |(_, _, calls)| calls[0].after_cancel = Some(TWO_HEARTBEATS * 2));
        check(&["I16:"], |(_, _, calls)| {
            (calls[0].after_cancel, calls[0].newborn) = (Some(Duration::ZERO), true);
        });
        // Whom nobody answered could not know.
        check(&[], |(_, _, calls)| {
            (calls[0].after_cancel, calls[0].heard) = (Some(TWO_HEARTBEATS * 2), false);
        });
        check(&["I26:"], |(run, rows, calls)| {
            calls.push(Call { attempt: 2, ..call(0) });
            (rows[0].claims, rows[0].calls, run.cost) = (2, 2, NanoUsd(15));
        });
        check(&["I3:"], |(_, rows, calls)| {
            rows.push(row(1));
            rows[1].row.generation = 1;
            calls[1].job.2 = 1;
            rows[2].calls = 0;
        });
        // Paid for twice, since whoever was answered first died with it.
        check(&[], |(_, rows, calls)| {
            calls[0].troubled = true;
            calls.push(Call { attempt: 2, ..call(0) });
            rows[0].claims = 2;
        });
    }
}
