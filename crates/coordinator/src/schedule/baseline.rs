//! Baselines: whenever a version is live that a schedule sweeps and nobody has measured, it is, with at least five trials a
//! case. A version that comes back has the one it had. One that is worse than what the version was promoted on is not believed.

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use assay_common::suite::Suite;
use assay_common::visible::visible_line;
use assay_store::{LookOutcome, NewBaseline, Release, Run, RunState, Schedule, StoreError, Target};
use serde_json::json;

use super::shares::{Units, shares, shares_of};
use super::sweeper::{Sweeper, actor};
use super::{live, suite_of, terms_of};
use crate::verdict::drift;

/// Trials of a case in a baseline at least: with fewer its own error, which all sweeps share, raises false alarms.
pub(super) const TRIALS: u32 = 5;

/// What a version is held against.
pub(super) struct Reference {
    pub(super) run: RunId,
    /// When that was asked for.
    pub(super) asked_at: Micros,
    pub(super) suite: Suite,
    /// The version that was measured: this one, or, where nothing older tells of it, the one that was live before.
    pub(super) digest: Digest,
    /// Whether it was measured for that; else it is the run that the version was promoted on.
    pub(super) frozen: bool,
    /// What was measured before says the same.
    pub(super) stood: bool,
    /// There is a baseline, and it is worse than this, which was measured before it.
    pub(super) doubted: bool,
}

impl Sweeper<'_> {
    /// Makes the runs of the baselines that a schedule lacks. `renew`: also of those that were cancelled.
    pub async fn measure(&mut self, schedule: &Schedule, renew: bool) -> Result<Vec<RunId>, StoreError> {
        let mut asked = Vec::new();
        for release in live(self.store, schedule).await? {
            let known = self.store.baseline(&release.prompt, &release.digest, &schedule.terms).await?;
            let replaces = match known {
                None => None,
                Some(_) if !renew => continue,
                Some((run, _)) => {
                    let Some(run) = self.store.run(run).await? else { continue };
                    let is_void = run.state == RunState::Cancelled;
                    if !is_void && !self.is_passed_over(schedule, &release, &run).await? {
                        continue;
                    }
                    Some(run.id)
                }
            };
            let mut suite = suite_of(self.store, schedule, [&release]).await?;
            suite.repeats = suite.repeats.max(TRIALS);
            let now = self.clock.now();
            self.store.freeze_suite(suite.clone(), now).await?;
            let run = self.run_of(&suite, now);
            let id = run.id;
            let what = format!("{}@{}", visible_line(&release.prompt), release.number);
            let detail = json!({"schedule": schedule.name, "version": release.number, "run": id.to_string()});
            let by = actor(&schedule.name);
            let entry = self.entry(&by, "a version that is live", "baseline.ask", &release.prompt, detail);
            let baseline = NewBaseline {
                prompt: release.prompt,
                digest: release.digest,
                terms: schedule.terms.clone(),
                run,
                replaces,
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

    /// Whether a baseline was doubted, and the version has since been found as good as before: it is measured anew.
    async fn is_passed_over(
        &self,
        schedule: &Schedule,
        release: &Release,
        baseline: &Run,
    ) -> Result<bool, StoreError> {
        let Some(over) = baseline.finished_at.filter(|_| baseline.state == RunState::Completed) else {
            return Ok(false);
        };
        let models = u32::try_from(schedule.suite.models.len()).unwrap_or(u32::MAX);
        let latest = self.store.looks_on(&release.prompt, &release.channel, &schedule.name, models).await?;
        let Some(first) = latest.first() else { return Ok(false) };
        let of_it = latest.iter().filter(|look| look.fired_at == first.fired_at);
        Ok(of_it.into_iter().all(|look| {
            look.digest == release.digest
                && !look.frozen
                && look.outcome == LookOutcome::Clean
                && look.fired_at > over
        }))
    }

    /// What a version is held against: its baseline, else, until that is there, the run that it was promoted on. A baseline
    /// that was measured on a model that had got worse already would call that healthy: one that is worse than what was
    /// measured before it counts for nothing.
    pub(super) async fn reference(
        &self,
        schedule: &Schedule,
        target: &Target,
        units: Option<&Units>,
    ) -> Result<Option<Reference>, StoreError> {
        let evidence = self.promoted_on(schedule, target).await?;
        let known = self.store.baseline(&target.prompt, &target.digest, &schedule.terms).await?;
        let baseline = match known {
            Some((id, _)) => self.completed(id, &target.digest, true).await?,
            None => None,
        };
        let Some(baseline) = baseline else { return Ok(evidence) };
        let before = match evidence {
            Some(evidence) => Some(evidence),
            None => self.before_incident(schedule, target).await?,
        };
        let Some(before) = before else { return Ok(Some(baseline)) };
        Ok(Some(match self.is_below(&baseline, &before, target, units).await? {
            true => Reference { doubted: true, ..before },
            false => Reference { stood: true, ..baseline },
        }))
    }

    /// The latest run under the schedule's terms on which this version was released anywhere.
    async fn promoted_on(
        &self,
        schedule: &Schedule,
        target: &Target,
    ) -> Result<Option<Reference>, StoreError> {
        let releases = self.store.releases(&target.prompt, None).await?;
        let mut runs: Vec<_> = releases
            .into_iter()
            .filter(|release| release.digest == target.digest)
            .filter_map(|release| release.verdict_run)
            .collect();
        runs.dedup();
        for run in runs {
            let found = self.completed(run, &target.digest, false).await?;
            if let Some(found) = found.filter(|found| terms_of(&found.suite) == schedule.terms) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The baseline of the version that an open regression of the channel took away: what was good before it.
    async fn before_incident(
        &self,
        schedule: &Schedule,
        target: &Target,
    ) -> Result<Option<Reference>, StoreError> {
        for incident in self.store.open_regressions(&target.prompt, &target.channel).await? {
            let digest = &incident.opening.digest;
            let known = self.store.baseline(&target.prompt, digest, &schedule.terms).await?;
            let Some((run, _)) = known.filter(|_| *digest != target.digest) else { continue };
            if let Some(found) = self.completed(run, digest, false).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether a baseline is below what was measured before it, beyond chance, on any model.
    async fn is_below(
        &self,
        baseline: &Reference,
        before: &Reference,
        target: &Target,
        units: Option<&Units>,
    ) -> Result<bool, StoreError> {
        let now = shares(self.store.trials(baseline.run).await?);
        let then = shares(self.store.trials(before.run).await?);
        Ok((0..baseline.suite.models.len()).any(|model| {
            let now = shares_of(&baseline.suite, &now, &target.prompt, &baseline.digest, model);
            let then = shares_of(&before.suite, &then, &target.prompt, &before.digest, model);
            then.zip(now).is_some_and(|(then, now)| drift::hold(&then, &now, units).is_suspicious())
        }))
    }

    async fn completed(
        &self,
        id: RunId,
        digest: &Digest,
        frozen: bool,
    ) -> Result<Option<Reference>, StoreError> {
        let run = self.store.run(id).await?;
        let over = |run: &Run| run.state == RunState::Completed && run.pruned_at.is_none();
        let Some(run) = run.filter(over) else { return Ok(None) };
        let suite = self.store.suite(run.revision.clone()).await?;
        Ok(suite.map(|suite| Reference {
            run: id,
            asked_at: run.created_at,
            suite,
            digest: digest.clone(),
            frozen,
            stood: false,
            doubted: false,
        }))
    }
}
