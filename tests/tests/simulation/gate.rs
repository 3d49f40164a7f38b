//! Gates that look again and again: how they are drawn, and their oracle. What a run was ended for, and what it was given, is held
//! against the same rows judged afresh. Results that a retry has replaced are seen by nobody afterwards: of such a run only what was planned is held to.

use assay_common::gate::{Amount, Bound, Estimand, Gate, Metric, Rule, Tier};
use assay_common::score::Millionths;
use assay_common::suite::Suite;
use assay_common::verdict::{Decision, Verdict};
use assay_coordinator::verdict::{Aggregation, Extents, Ruling};
use assay_store::{Attempt, ResultRow, Run, RunState};

use crate::chance::Chance;
use crate::plan::FEWEST_CASES;

/// A gate that looks again and again: one that ends its run as soon as it is decided, one that has it go on with more cases and
/// more trials while it is not, or both. Three of four answers pass, so it passes, fails, or never knows.
pub(crate) fn draw(chance: &Chance) -> Gate {
    let (stop_early, tops_up) = chance.one_of(&[(true, false), (false, true), (true, true)]);
    let (most, percent) = (chance.number(4..40), chance.one_of(&[30, 75, 97]));
    let max_repeats = chance.one_of(&[None, Some(2)]).filter(|_| tops_up);
    Gate { max_repeats, ..on_pass_rate(stop_early, tops_up.then_some(most), percent) }
}

/// A gate on the pass rate, which draws so many cases at most where it draws more.
pub(crate) fn on_pass_rate(stop_early: bool, max_cases: Option<u64>, percent: i64) -> Gate {
    Gate {
        confidence: Millionths(800_000),
        stop_early,
        max_error_rate: None,
        min_cases: max_cases.map(|_| FEWEST_CASES),
        max_cases,
        max_repeats: None,
        expires_seconds: None,
        nothing_live: None,
        rules: vec![Rule {
            name: format!("pass_rate min {percent} %"),
            metric: Metric::PassRate,
            slice: Default::default(),
            bound: Bound::Min(Amount(percent * 10_000_000)),
            tier: Tier::Critical,
            estimand: Estimand::Population,
        }],
    }
}

/// What is known of a run with such a gate that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged<'r> {
    pub(crate) run: &'r Run,
    pub(crate) suite: &'r Suite,
    /// Its results, by ordinal.
    pub(crate) rows: &'r [ResultRow],
    /// Each time that it was given more.
    pub(crate) attempts: &'r [Attempt],
    /// What a report says of it now.
    pub(crate) verdict: Option<&'r Verdict>,
}

/// What must hold of it.
pub(crate) fn judge(Judged { run, suite, rows, attempts, verdict }: Judged<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut fail = |what: String| wrong.push(format!("run {}: {what}: {run:?}", run.id));
    let Some(gate) = suite.gate.as_ref().filter(|gate| gate.looks_again()) else { return wrong };
    let mut planned = suite.first_jobs().unwrap_or(0);
    for attempt in attempts {
        if attempt.jobs != planned || attempt.outcome != Decision::Inconclusive.word() {
            fail(format!("top-up: after {planned} jobs it was given more for {attempt:?}"));
        }
        planned = suite.topped_up(planned).unwrap_or(planned);
    }
    let most = suite.product().jobs().unwrap_or(0) * u64::from(gate.max_repeats.unwrap_or(1).max(1));
    if run.planned != planned || run.planned > most {
        fail(format!("top-up: {} jobs are planned, not {planned} of {most} at most", run.planned));
    }
    if run.stopped_early && (!gate.stop_early || run.state != RunState::Completed) {
        fail("stop: it was ended by a gate that may not, or is not complete".to_owned());
    }
    if rows.iter().any(|row| row.row.generation > 0) {
        return wrong;
    }
    for attempt in attempts {
        let given = rows.partition_point(|row| row.row.ordinal < attempt.jobs);
        let ruling = afresh(suite, &rows[..given]);
        if !ruling.is_some_and(|ruling| ruling.wants_more) {
            fail(format!("top-up: {attempt:?} needed no more, it is {ruling:?}"));
        }
    }
    if run.stopped_early {
        let settled = (1..=rows.len()).find_map(|jobs| prefix(suite, &rows[..jobs])?.settled);
        let said = run.reason.as_deref().unwrap_or_default();
        match (settled, verdict) {
            (Some(decision), Some(verdict)) if verdict.outcome == decision => {
                if !said.starts_with(&format!("its gate came to {} after ", decision.word())) {
                    fail(format!("stop: its rows come to {decision:?}, it was ended for {said:?}"));
                }
            }
            found => fail(format!("stop: judged afresh it comes to {found:?}, it was ended for {said:?}")),
        }
    } else if run.state == RunState::Completed
        // Who cancels a run in which nothing that was planned is missing leaves it complete.
        && run.reason.is_none()
        && suite.topped_up(run.planned).is_some()
        && afresh(suite, rows).is_some_and(|ruling| ruling.wants_more)
    {
        fail("top-up: it could use more, there is more, and it is complete".to_owned());
    }
    wrong
}

/// What these rows come to, as the first of a run that goes on.
fn prefix(suite: &Suite, rows: &[ResultRow]) -> Option<Ruling> {
    Ruling::of(&folded(suite, rows)?)
}

/// What these rows come to, as all that were planned.
fn afresh(suite: &Suite, rows: &[ResultRow]) -> Option<Ruling> {
    let mut seen = folded(suite, rows)?;
    seen.catch_up();
    Ruling::of(&seen)
}

fn folded(suite: &Suite, rows: &[ResultRow]) -> Option<Aggregation<'static>> {
    let mut seen = Aggregation::watching(suite.clone(), &Extents::uncounted(suite)?);
    rows.iter().for_each(|row| seen.push(&row.row));
    Some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::smallest;

    /// Each way in which a run is not what its gate should have made of it is found.
    #[test]
    fn what_a_gate_should_not_have_done_is_found() {
        let check =
            |[stop_early, tops_up]: [bool; 2], broken: &str, change: fn(&mut Run, &mut Vec<Attempt>)| {
                let suite =
                    Suite { gate: Some(on_pass_rate(stop_early, tops_up.then_some(12), 75)), ..smallest() };
                let mut run = crate::oracle::tests::run();
                run.planned = suite.first_jobs().unwrap();
                let mut attempts = Vec::new();
                change(&mut run, &mut attempts);
                let (rows, attempts) = (&[][..], &attempts[..]);
                let found = judge(Judged { run: &run, suite: &suite, rows, attempts, verdict: None });
                assert_eq!(found.is_empty(), broken.is_empty(), "{found:?}");
                assert!(found.iter().all(|what| what.contains(broken)), "{broken} is not {found:?}");
            };
        check([true, false], "", |_, _| ());
        check([true, false], "top-up: 4 jobs are planned, not 3", |run, _| run.planned += 1);
        check([true, false], "more for Attempt", |_, attempts| {
            let (outcome, judged_at) = ("pass".to_owned(), Default::default());
            attempts.push(Attempt { jobs: 3, cases: 3, trials: 1, outcome, judged_at });
        });
        check([false, true], "stop: ", |run, _| run.stopped_early = true);
        check([true, false], "judged afresh it comes to (None", |run, _| run.stopped_early = true);
    }
}
