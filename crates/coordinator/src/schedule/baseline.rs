//! Baselines: whenever a version is live that a schedule sweeps and nobody has measured, it is, with at least five trials a
//! case. A version that comes back has the one it had.

use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_store::{NewBaseline, RunState, Schedule, StoreError, Target};
use serde_json::json;

use super::sweeper::{Sweeper, actor};
use super::{live, suite_of, terms_of};

/// Trials of a case in a baseline at least: with fewer its own error, which all sweeps share, raises false alarms.
pub(super) const TRIALS: u32 = 5;

/// What a version is held against.
pub(super) struct Reference {
    pub(super) run: RunId,
    pub(super) suite: Suite,
    /// Whether it was measured for that; else it is the run that the version was promoted on.
    pub(super) frozen: bool,
}

impl Sweeper<'_> {
    /// Makes the runs of the baselines that a schedule lacks. `renew`: also of those that were cancelled.
    pub async fn measure(&mut self, schedule: &Schedule, renew: bool) -> Result<Vec<RunId>, StoreError> {
        let mut asked = Vec::new();
        if schedule.paused {
            return Ok(asked);
        }
        for release in live(self.store, schedule).await? {
            let known = self.store.baseline(&release.prompt, &release.digest, &schedule.terms).await?;
            if let Some((run, _)) = known {
                let run = if renew { self.store.run(run).await? } else { None };
                if run.is_none_or(|run| run.state != RunState::Cancelled) {
                    continue;
                }
            }
            let mut suite = suite_of(self.store, schedule, [&release]).await?;
            suite.repeats = suite.repeats.max(TRIALS);
            let now = self.clock.now();
            self.store.freeze_suite(suite.clone(), now).await?;
            let run = self.run_of(&suite, now);
            let id = run.id;
            let what = format!("{}@{}", release.prompt, release.number);
            let detail = json!({"schedule": schedule.name, "version": release.number, "run": id.to_string()});
            let by = actor(&schedule.name);
            let entry = self.entry(&by, "a version that is live", "baseline.ask", &release.prompt, detail);
            let baseline = NewBaseline {
                prompt: release.prompt,
                digest: release.digest,
                terms: schedule.terms.clone(),
                run,
            };
            if self.store.ask_baseline(self.mandate, baseline, entry).await? {
                tracing::info!(run.id = %id, prompt.version = %what, "measuring the baseline of {what}: run {id}");
                asked.push(id);
            }
        }
        Ok(asked)
    }

    /// The runs that measure what a schedule sweeps now, and are not over.
    pub async fn measuring(&self, schedule: &Schedule) -> Result<Vec<RunId>, StoreError> {
        let mut open = Vec::new();
        for release in live(self.store, schedule).await? {
            let known = self.store.baseline(&release.prompt, &release.digest, &schedule.terms).await?;
            let Some((id, _)) = known else { continue };
            if self.store.run(id).await?.is_some_and(|run| !run.state.is_over()) && !open.contains(&id) {
                open.push(id);
            }
        }
        Ok(open)
    }

    /// What a version is held against: its baseline, else, until that is there, the run that it was promoted on.
    pub(super) async fn reference(
        &self,
        schedule: &Schedule,
        target: &Target,
    ) -> Result<Option<Reference>, StoreError> {
        if let Some((id, _)) = self.store.baseline(&target.prompt, &target.digest, &schedule.terms).await?
            && let Some(found) = self.completed(id, true).await?
        {
            return Ok(Some(found));
        }
        let live = self.store.live(&target.prompt, &target.channel, None).await?;
        let evidence = live.filter(|live| live.digest == target.digest).and_then(|live| live.verdict_run);
        let Some(run) = evidence else { return Ok(None) };
        let found = self.completed(run, false).await?;
        Ok(found.filter(|found| terms_of(&found.suite) == schedule.terms))
    }

    async fn completed(&self, id: RunId, frozen: bool) -> Result<Option<Reference>, StoreError> {
        let run = self.store.run(id).await?;
        let over = |run: &assay_store::Run| run.state == RunState::Completed && run.pruned_at.is_none();
        let Some(run) = run.filter(over) else { return Ok(None) };
        let suite = self.store.suite(run.revision.clone()).await?;
        Ok(suite.map(|suite| Reference { run: id, suite, frozen }))
    }
}
