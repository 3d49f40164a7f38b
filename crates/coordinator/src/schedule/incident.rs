//! Incidents of sweeps: one is opened where a version got worse, and ends once sweeps have shown that it is over.

use assay_store::{
    IncidentKind, Judged, Look, LookOutcome, NewIncident, Schedule, StoreError, Sweep, Target,
};
use serde_json::json;

use super::baseline::Reference;
use super::look::evidence_of_recovery;
use super::sweeper::{Sweeper, actor};
use crate::report::civil;

/// What the evidence that a loss is over has to come to: where it is not, that happens once in twenty times at most.
pub(super) const OVER: f64 = 20.0;

impl Sweeper<'_> {
    /// Opens an incident of a target that got worse and is still live.
    pub(super) async fn open_incident(
        &mut self,
        schedule: &Schedule,
        sweep: &Sweep,
        target: &Target,
        judged: &mut Judged,
    ) -> Result<(), StoreError> {
        let worse: Vec<&Look> = judged
            .looks
            .iter()
            .filter(|look| is_of(look, target) && look.outcome == LookOutcome::Worse)
            .collect();
        let Some(first) = worse.first() else { return Ok(()) };
        let live = self.store.live(&target.prompt, &target.channel, None).await?;
        let Some(live) = live.filter(|live| live.digest == target.digest) else { return Ok(()) };
        let known = self.known(schedule, target).await?;
        let clean = known.iter().find(|look| {
            look.digest == target.digest && look.outcome == LookOutcome::Clean && look.model == first.model
        });
        let told: Vec<_> = worse.iter().map(|look| summary(look)).collect();
        let run = sweep.run.map_or_else(String::new, |run| format!(", run {run}"));
        let summary = format!(
            "{}; sweep of schedule {} at {}{run}",
            told.join("; "),
            sweep.schedule,
            civil(sweep.planned_at)
        );
        let owner = self.store.prompt(&target.prompt).await?.and_then(|prompt| prompt.owner);
        let by = actor(&sweep.schedule);
        let detail = json!({"channel": target.channel, "version": target.number, "reason": summary});
        let entry = self.entry(&by, "a sweep", "incident.open", &target.prompt, detail);
        let incident = NewIncident {
            prompt: target.prompt.clone(),
            channel: target.channel.clone(),
            version: target.number,
            digest: target.digest.clone(),
            kind: IncidentKind::Regression,
            summary,
            owner,
            began_at: clean.map_or(live.released_at, |look| look.fired_at.max(live.released_at)),
            opened_at: entry.at,
            opened_by: by,
        };
        judged.opens.push((incident, entry));
        Ok(())
    }

    /// Resolves the incidents that the schedule opened on a target's channel, after enough clean sweeps of what is live there that
    /// rule out that it still is worse. They have to be held against what was good before the incident, or was found to be as good
    /// as that.
    pub(super) async fn resolve_incidents(
        &mut self,
        schedule: &Schedule,
        sweep: &Sweep,
        (target, reference): (&Target, &Reference),
        judged: &mut Judged,
    ) -> Result<(), StoreError> {
        let now: Vec<_> = judged.looks.iter().filter(|look| is_of(look, target)).collect();
        if now.is_empty() || now.iter().any(|look| look.outcome != LookOutcome::Clean) || sweep.round > 1 {
            return Ok(());
        }
        // A clean sweep may be luck, where there are few cases.
        if now.iter().filter_map(|look| evidence_of_recovery(look)).any(|evidence| evidence < OVER) {
            return Ok(());
        }
        let by = actor(&schedule.name);
        let known = self.known(schedule, target).await?;
        let models = now.len();
        for incident in self.store.open_regressions(&target.prompt, &target.channel).await? {
            let opening = &incident.opening;
            if opening.opened_by != by || sweep.fired_at <= opening.opened_at {
                continue;
            }
            let mut found = known
                .iter()
                .filter(|look| look.outcome == LookOutcome::Worse && look.digest == opening.digest)
                .peekable();
            if found.peek().is_none() {
                continue;
            }
            let is_older = reference.asked_at < opening.began_at;
            if !reference.stood && !is_older && !found.any(|look| look.baseline == Some(reference.run)) {
                continue;
            }
            // Newest first; the looks of a sweep stand together.
            let clean = known
                .iter()
                .take_while(|look| look.outcome == LookOutcome::Clean && look.fired_at > opening.opened_at)
                .count();
            let sweeps = clean / models + 1;
            if sweeps < schedule.clean_sweeps as usize {
                continue;
            }
            let cause = match incident.recovered_at {
                Some(_) => format!(
                    "rolled back; {sweeps} clean sweeps in a row since rule out that it is still worse"
                ),
                None => format!("{sweeps} clean sweeps in a row rule out that it is still worse"),
            };
            let number = incident.number;
            let subject = number.to_string();
            let entry = self.entry(&by, "a sweep", "incident.resolve", &subject, json!({"reason": cause}));
            judged.resolves.push((number, cause, entry));
        }
        Ok(())
    }
}

fn is_of(look: &Look, target: &Target) -> bool {
    (&look.prompt, &look.channel, &look.digest) == (&target.prompt, &target.channel, &target.digest)
}

fn summary(look: &Look) -> String {
    let points = look.difference.unwrap_or_default() * 100.0;
    let on = format!("{points:+.1} points against its baseline on {} with {} cases", look.model, look.cases);
    match (look.evidence, look.threshold) {
        (Some(evidence), Some(threshold)) => {
            format!("the pass rate stands {on}: evidence {evidence:.0}, alarm at {threshold:.0}")
        }
        _ => format!("the pass rate stands {on}, twice in a row beyond chance"),
    }
}
