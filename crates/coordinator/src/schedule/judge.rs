//! Judging: when the run of a sweep is over, each version it swept is held against its baseline (`look`). One that got worse opens
//! an incident of its owner; enough clean sweeps resolve it (`incident`).

use assay_common::visible::visible_line;
use assay_store::{AuditEntry, Judged, LookOutcome, Opened, RunState, StoreError, Sweep};

use super::sweeper::Sweeper;

impl Sweeper<'_> {
    /// Looks at a sweep whose run is over; `false` while it is not.
    pub async fn judge(&mut self, sweep: &Sweep) -> Result<bool, StoreError> {
        let run = match sweep.run {
            Some(run) => self.store.run(run).await?,
            None => None,
        };
        if run.as_ref().is_some_and(|run| !run.state.is_over()) {
            return Ok(false);
        }
        let schedule = self.store.schedule(&sweep.schedule).await?;
        let mut references = Vec::new();
        let looks = match (&schedule, run) {
            // One that was stopped says nothing.
            (Some(schedule), Some(run)) if run.state == RunState::Completed => {
                let units = self.units(&schedule.suite).await?;
                for target in &sweep.targets {
                    references.push(self.reference(schedule, target, units.as_ref()).await?);
                }
                self.looks(schedule, sweep, &run, &references, units.as_ref()).await?
            }
            _ => Vec::new(),
        };
        let mut judged = Judged {
            schedule: sweep.schedule.clone(),
            seq: sweep.seq,
            at: self.clock.now(),
            suspicious: looks.iter().any(|look| look.outcome == LookOutcome::Suspicious),
            looks,
            opens: Vec::new(),
            resolves: Vec::new(),
        };
        if let Some(schedule) = &schedule {
            for (target, reference) in sweep.targets.iter().zip(&references) {
                self.open_incident(schedule, sweep, target, &mut judged).await?;
                if let Some(reference) = reference {
                    self.resolve_incidents(schedule, sweep, (target, reference), &mut judged).await?;
                }
            }
        }
        let told = judged.clone();
        if let Some(opened) = self.store.judge_sweep(self.mandate, judged).await? {
            tell(&told, &opened);
        }
        Ok(true)
    }
}

fn tell(judged: &Judged, opened: &[Opened]) {
    let schedule = &judged.schedule;
    for look in &judged.looks {
        let (what, outcome) =
            (format!("{} on {}", visible_line(&look.prompt), look.channel), look.outcome.word());
        let difference = look.difference.unwrap_or_default();
        tracing::info!(
            schedule.name = schedule,
            difference,
            outcome,
            "schedule {schedule} found {what} {outcome} on {}",
            look.model
        );
    }
    for (opened, (incident, _)) in opened.iter().zip(&judged.opens) {
        let (number, summary) = (opened.number(), &incident.summary);
        tracing::warn!(
            incident.number = number,
            "incident {number}: {}@{} on {}: {summary}",
            visible_line(&incident.prompt),
            incident.version,
            incident.channel
        );
    }
    for (number, cause, AuditEntry { actor, .. }) in &judged.resolves {
        tracing::info!(incident.number = number, "incident {number} is resolved by {actor}: {cause}");
    }
}
