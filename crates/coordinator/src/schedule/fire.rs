//! Firing: what is live becomes a run, under the name of its planned time.

use assay_common::clock::Micros;
use assay_store::{LookOutcome, NewSweep, Release, Schedule, StoreError, Target};
use serde_json::json;

use super::sweeper::{Fired, Sweeper, actor};
use super::{live, suite_of};
use crate::report::civil;

impl Sweeper<'_> {
    /// Fires a planned time of a schedule.
    pub async fn fire(
        &mut self,
        schedule: &Schedule,
        planned: Micros,
        by: &str,
        from: &str,
    ) -> Result<Fired, StoreError> {
        let live = live(self.store, schedule).await?;
        self.fire_round(schedule, planned, 1, live, (by, from)).await
    }

    /// Asks what the latest sweep found suspicious once more, at once.
    pub async fn confirm(&mut self, schedule: &Schedule) -> Result<(), StoreError> {
        let Some(sweep) = self.store.sweeps(&schedule.name, 1).await?.pop() else { return Ok(()) };
        if !sweep.suspicious || sweep.judged_at.is_none() {
            return Ok(());
        }
        let looks = self.store.looks(&schedule.name, sweep.seq).await?;
        let mut again = live(self.store, schedule).await?;
        again.retain(|release| {
            looks.iter().any(|look| {
                look.outcome == LookOutcome::Suspicious
                    && (&look.prompt, &look.channel, &look.digest)
                        == (&release.prompt, &release.channel, &release.digest)
            })
        });
        let by = actor(&schedule.name);
        self.fire_round(schedule, sweep.planned_at, 2, again, (&by, "a suspicious sweep")).await?;
        Ok(())
    }

    async fn fire_round(
        &mut self,
        schedule: &Schedule,
        planned_at: Micros,
        round: u32,
        live: Vec<Release>,
        (by, from): (&str, &str),
    ) -> Result<Fired, StoreError> {
        let (name, now) = (&schedule.name, self.clock.now());
        let run = if live.is_empty() {
            None
        } else {
            let suite = suite_of(self.store, schedule, &live).await?;
            self.store.freeze_suite(suite.clone(), now).await?;
            Some(self.run_of(&suite, now))
        };
        let id = run.as_ref().map(|run| run.id);
        let targets = live.into_iter().map(|release| Target {
            prompt: release.prompt,
            channel: release.channel,
            number: release.number,
            digest: release.digest,
        });
        let planned = civil(planned_at);
        let detail = json!({"planned_at": planned, "round": round, "run": id.map(|id| id.to_string())});
        let entry = self.entry(by, from, "schedule.fire", name, detail);
        let sweep = NewSweep {
            schedule: name.clone(),
            planned_at,
            round,
            fired_at: now,
            fired_by: by.to_owned(),
            targets: targets.collect(),
            run,
        };
        if !self.store.fire_sweep(self.mandate, sweep, entry).await? {
            return Ok(Fired::NotNow);
        }
        Ok(match id {
            Some(run) => {
                tracing::info!(schedule.name = name, run.id = %run, "schedule {name} fired for {planned}: run {run}");
                Fired::Run(run)
            }
            None => {
                tracing::warn!(
                    schedule.name = name,
                    "schedule {name} fired for {planned}: nothing that it sweeps is live on {}",
                    schedule.channels.join(", ")
                );
                Fired::NothingLive
            }
        })
    }
}
