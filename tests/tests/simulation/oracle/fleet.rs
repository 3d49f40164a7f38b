//! The oracle of the fleet: what must hold of its queues, leaders, processes and submissions, whatever its runs come to.

use std::time::Duration;

use assay_common::id::RunId;
use assay_store::{Run, StoreError};

/// Hints that the queue of a pool holds where nobody is known to want more.
pub(crate) const LEAST_WINDOW: u64 = 128;
/// Hints of a pool that a worker takes in advance at most: as [`crate::plan::Plan::config`] says, three that are called, three
/// that are recorded, and two batches of claims.
const TAKEN_BY_A_WORKER: u64 = 3 + 3 + 64 + 64;
/// Seconds of its work that the queue of a pool holds.
const SECONDS_AHEAD: u64 = 5;

/// What bounds the hints that wait for the workers of a fleet in one queue: the most of each so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crowd {
    /// Coordinators: one that has just lost its lead may still send what it saw room for.
    pub(crate) leaders: u64,
    /// Workers, with those that are dead and not buried.
    pub(crate) workers: u64,
    /// Jobs that ended in a second.
    pub(crate) ended: u64,
    /// Hints that nobody needs, sent beside those of the leader.
    pub(crate) doubled: u64,
}

impl Crowd {
    /// Hints that a leader fills a queue up to.
    fn window(&self) -> u64 {
        LEAST_WINDOW.max(self.workers * TAKEN_BY_A_WORKER + self.ended * SECONDS_AHEAD)
    }

    /// Hints in one queue. Those in the hands of who dies are back in it at once.
    fn most(&self) -> u64 {
        self.leaders * self.window() + self.workers * TAKEN_BY_A_WORKER + self.doubled
    }
}

/// However long runs are, a queue holds a window of hints, and those that came back or were doubled (I10).
pub(crate) fn queue(pool: &str, depth: u64, crowd: &Crowd) -> Option<String> {
    let most = crowd.most();
    (depth > most).then(|| format!("I10: {depth} hints wait in {pool}, and {most} may: {crowd:?}"))
}

/// Everything that a leader of the past asked for was refused, and `before` is as it was (I18).
pub(crate) fn fenced(before: &Run, after: Option<&Run>, answers: &[Option<StoreError>]) -> Option<String> {
    let refused = answers.iter().all(|answer| matches!(answer, Some(StoreError::Deposed { .. })));
    let what = || format!("I18: a leader of the past was answered {answers:?}, {before:?} became {after:?}");
    (!refused || after != Some(before)).then(what)
}

/// A process ended because it was told to, in time and well: `None` of `ended` is one that did not end (I20).
pub(crate) fn ended(
    name: &str,
    told: bool,
    is_laptop: bool,
    ended: Option<&Result<(), String>>,
) -> Option<String> {
    match ended {
        Some(Ok(())) if told => None,
        // Whoever cannot say good-bye is buried later, with empty hands.
        Some(Err(error)) if told && error.starts_with("failed to leave") => None,
        // `assay run` ends when the store is away for longer than its patience, and says so.
        Some(Err(error)) if is_laptop && error.contains("cannot reach the store") => None,
        Some(ended) => Some(format!("I20: {name} ended with {ended:?}, told to: {told}")),
        None => Some(format!("I20: {name} was told to stop and did not")),
    }
}

/// Nobody who stopped is still a member (I20).
pub(crate) fn left(members: &[String], stopped: &[String]) -> Option<String> {
    let stayed: Vec<_> = members.iter().filter(|name| stopped.contains(name)).collect();
    (!stayed.is_empty()).then(|| format!("I20: these stopped and did not leave: {stayed:?}"))
}

/// Whoever submitted under one key was told of one run (I22).
pub(crate) fn one_run(told: &[RunId]) -> Option<String> {
    let differ = told.windows(2).any(|pair| pair[0] != pair[1]);
    differ.then(|| format!("I22: one key made the runs {told:?}"))
}

/// There are as many runs as keys (I22).
pub(crate) fn as_many(keys: usize, runs: usize) -> Option<String> {
    (keys != runs).then(|| format!("I22: {keys} runs were asked for, there are {runs}"))
}

/// When nothing has befallen the fleet for so long every run is over (I27).
pub(crate) fn all_over(runs: &[Run], since: Duration) -> Option<String> {
    let open: Vec<_> = runs.iter().filter(|run| !run.state.is_over()).collect();
    (!open.is_empty()).then(|| format!("I27: {since:?} after the last fault: {open:?}"))
}

#[cfg(test)]
mod tests {
    use assay_store::RunState;
    use uuid::Uuid;

    use super::*;
    use crate::oracle::tests::run;

    /// Each way in which a fleet breaks its promises is found, under the name of what it breaks.
    #[test]
    fn every_broken_promise_of_a_fleet_is_found() {
        let check = |broken: &str, found: Option<String>| {
            assert_eq!(found.is_none(), broken.is_empty(), "{found:?}");
            assert!(found.iter().all(|what| what.starts_with(broken)), "{broken} is not {found:?}");
        };
        let nobody = Crowd { leaders: 1, workers: 0, ended: 0, doubled: 0 };
        check("", queue("pool", 128, &nobody));
        check("I10:", queue("pool", 129, &nobody));
        check("", queue("pool", 129, &Crowd { doubled: 1, ..nobody }));
        let busy = Crowd { leaders: 1, workers: 2, ended: 10, doubled: 0 };
        check("", queue("pool", 2 * 134 + 50 + 2 * 134, &busy));
        check("I10:", queue("pool", 2 * 134 + 50 + 2 * 134 + 1, &busy));
        check("", queue("pool", 2 * 134 + 50 + 2 * 134 + 1, &Crowd { leaders: 2, ..busy }));

        let deposed = || Some(StoreError::Deposed { epoch: 1, current: 2 });
        let changed = Run { state: RunState::Cancelled, ..run() };
        check("", fenced(&run(), Some(&run()), &[deposed(), deposed()]));
        check("I18:", fenced(&run(), Some(&run()), &[deposed(), None]));
        check("I18:", fenced(&run(), Some(&changed), &[deposed()]));
        check("I18:", fenced(&run(), None, &[deposed()]));

        let failed = |error: &str| Err(error.to_owned());
        check("", ended("one", true, false, Some(&Ok(()))));
        check("", ended("one", true, false, Some(&failed("failed to leave: it is away"))));
        check("", ended("one", false, true, Some(&failed("cannot reach the store"))));
        check("I20:", ended("one", false, false, Some(&failed("cannot reach the store"))));
        check("I20:", ended("one", false, false, Some(&Ok(()))));
        check("I20:", ended("one", true, false, Some(&failed("failed to record"))));
        check("I20:", ended("one", true, false, None));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        check("", left(&names(&["one"]), &names(&["other"])));
        check("I20:", left(&names(&["one", "other"]), &names(&["other"])));

        let [one, other] = [1, 2].map(|n| RunId::new(Uuid::from_u128(n)));
        check("", one_run(&[one, one]));
        check("I22:", one_run(&[one, other]));
        check("", as_many(2, 2));
        check("I22:", as_many(2, 3));

        let open = Run { state: RunState::Running, ..run() };
        check("", all_over(&[run(), run()], Duration::ZERO));
        check("I27:", all_over(&[run(), open], Duration::ZERO));
    }
}
