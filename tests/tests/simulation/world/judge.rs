//! What the books of a world say in the end.

use assay_common::id::MemberId;
use assay_common::outcome::{ErrorKind, Outcome};
use assay_common::suite::Suite;
use assay_coordinator::report::assemble;
use assay_store::{ResultRow, Run, RunState};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Gates, START, World};
use crate::gate::{self, Judged};
use crate::oracle::{self, Call, Circumstances, Rows, fleet};
use crate::plan::asked;
use crate::provider::{Entry, expected};

impl World {
    /// What the books say in the end.
    pub(super) async fn judge(&self) {
        let store = &self.ground.store;
        let bill = self.ground.providers.bill();
        let troubled = self.ground.skies.troubled();
        let befell = Circumstances { errors: self.plan.providers_fail(), troubled };
        for (id, suite) in &self.runs {
            let run = store.run(*id).await.unwrap().expect("what was submitted is there");
            self.look_at_outcomes(&run).await;
            if !run.state.is_over() {
                continue;
            }
            let rows = store.results(*id, None, 1_000).await.unwrap();
            let earlier = store.earlier_results(*id, None, 1_000).await.unwrap();
            let poison = rows.iter().filter(|row| row.row.outcome == Outcome::Errored(ErrorKind::Poison));
            self.poison.lock().unwrap().extend(poison.map(|row| row.row.case_id.clone()));
            let cancelled = self.cancelled.lock().unwrap().get(id).copied();
            let calls = bill.iter().filter(|entry| entry.job.0 == *id);
            let by_people = run.state == RunState::Cancelled;
            let calls: Vec<_> = calls.map(|entry| judged(entry, cancelled, by_people)).collect();
            let expected = |row: &ResultRow| {
                let model = &suite.models[suite.variant(row.row.variant).model].model;
                expected(&asked(suite, row.row.variant, &row.row.case_id), model)
            };
            let rows_of_all = Rows { rows: &rows, earlier: &earlier };
            self.ground.tell(oracle::judge(&run, &rows_of_all, &calls, expected, befell));
            self.judge_gate(&run, suite, &rows).await;
            self.fenced(&run).await;
        }
        let known = store.runs(None, 100).await.unwrap().len();
        self.ground.tell(fleet::as_many(self.runs.len(), known));
    }

    /// What its gate made of a run, and what was written down of that, is what the same rows come to afresh.
    async fn judge_gate(&self, run: &Run, suite: &Suite, rows: &[ResultRow]) {
        if suite.gate.is_none() {
            return;
        }
        let store = &self.ground.store;
        let attempts = store.attempts(run.id).await.unwrap();
        let verdict = assemble(store, suite, run).await.unwrap().verdict;
        let judged = Judged { run, suite, rows, attempts: &attempts, verdict: verdict.as_ref() };
        self.ground.tell(gate::judge(judged));
        self.count(|gates| {
            gates.stopped += usize::from(run.stopped_early);
            gates.topped_up += attempts.len();
        });
        // Where nobody has come to it yet, and where the run was opened again since, there is none.
        let unjudged = store.unjudged_runs(100).await.unwrap();
        if unjudged.iter().any(|one| one.id == run.id) {
            return;
        }
        let fresh: Vec<_> = verdict.iter().flat_map(|verdict| &verdict.versions).collect();
        for recorded in store.verdicts_of_run(run.id).await.unwrap() {
            self.count(|gates| gates.verdicts += 1);
            if !fresh.contains(&&recorded.evidence) {
                self.ground.tell([format!("run {}: verdict {recorded:?}, afresh {fresh:?}", run.id)]);
            }
        }
    }

    fn count(&self, count: impl FnOnce(&mut Gates)) {
        count(&mut self.gates.lock().unwrap());
    }

    /// A leader of the past changes nothing (I18).
    async fn fenced(&self, run: &Run) {
        let store = &self.ground.store;
        let old = store.raise_epoch(MemberId::new(Uuid::from_u128(9)), START).await.unwrap();
        store.raise_epoch(MemberId::new(Uuid::from_u128(10)), START).await.unwrap();
        let refused = [
            store.finish(old, run.id, START).await.err(),
            store.expand(old, run.id, run.cursor, Vec::new(), true).await.err(),
            store.give_up(old, run.id, String::new(), START).await.err(),
            store.bury(old, MemberId::new(Uuid::from_u128(9)), START).await.err(),
        ];
        let now = store.run(run.id).await.unwrap();
        self.ground.tell(fleet::fenced(run, now.as_ref(), &refused));
    }
}

/// `by_people`: they cancelled the run, and nothing of it is ever asked again. What errored before a gate ended it may be.
fn judged(entry: &Entry, cancelled: Option<Instant>, by_people: bool) -> Call {
    let cancelled = cancelled.filter(|_| by_people || entry.job.2 == 0);
    Call {
        job: entry.job,
        attempt: entry.attempt,
        cost: entry.cost.0,
        told: entry.told,
        seen: entry.seen,
        answered: entry.answered,
        troubled: entry.line.is_troubled(),
        after_cancel: cancelled.and_then(|cancelled| entry.at.checked_duration_since(cancelled)),
        newborn: cancelled.is_some_and(|cancelled| entry.line.born > cancelled),
        heard: entry.heard,
    }
}
