//! Incidents of sweeps: one is opened where a version got worse, and ends after clean sweeps.

use assay_common::clock::Micros;
use assay_store::{
    IncidentKind, Judged, Look, LookOutcome, NewIncident, Schedule, StoreError, Sweep, Target,
};
use serde_json::json;

use super::baseline::Reference;
use super::look::evidence_of_recovery;
use super::sweeper::{Sweeper, actor};
use crate::report::civil;

/// What the evidence that a loss is over has to come to: where it is not, that happens once in twenty times at most.
const OVER: f64 = 20.0;

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

    /// Resolves the incidents that the schedule opened on a target's channel, after enough clean sweeps of what is live there: in a
    /// row, or, where some between were not clean, once all of them rule out that it is still worse. They have to be held against what
    /// was good before the incident, or was found to be as good as that.
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
        let evidence = now.iter().filter_map(|look| evidence_of_recovery(look)).reduce(f64::min);
        let by = actor(&schedule.name);
        let known = self.known(schedule, target).await?;
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
            let wanted = schedule.clean_sweeps as usize;
            let is_ruled_out = evidence.is_some_and(|evidence| evidence >= OVER);
            let swept = match clean_sweeps(&known, opening.opened_at) {
                [in_a_row, _] if in_a_row >= wanted => format!("{in_a_row} clean sweeps in a row"),
                [_, in_all] if in_all >= wanted && is_ruled_out => {
                    format!("{in_all} clean sweeps, and all of them rule out that it is still worse")
                }
                _ => continue,
            };
            let cause = match incident.recovered_at {
                Some(_) => format!("rolled back; since then {swept}"),
                None => swept,
            };
            let number = incident.number;
            let subject = number.to_string();
            let entry = self.entry(&by, "a sweep", "incident.resolve", &subject, json!({"reason": cause}));
            judged.resolves.push((number, cause, entry));
        }
        Ok(())
    }
}

/// Clean sweeps after a moment, with one that was just found clean: in a row up to now, and in all since the last that was worse.
/// `known` are the looks before it, newest first; those of a sweep stand together.
fn clean_sweeps(known: &[Look], after: Micros) -> [usize; 2] {
    let sweeps: Vec<bool> = known
        .chunk_by(|one, other| one.fired_at == other.fired_at)
        .take_while(|looks| {
            looks.iter().all(|look| look.fired_at > after && look.outcome != LookOutcome::Worse)
        })
        .filter(|looks| looks.iter().all(|look| look.round == 1))
        .map(|looks| looks.iter().all(|look| look.outcome == LookOutcome::Clean))
        .collect();
    [
        1 + sweeps.iter().take_while(|is_clean| **is_clean).count(),
        1 + sweeps.iter().filter(|is_clean| **is_clean).count(),
    ]
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

#[cfg(test)]
mod tests {
    use assay_common::id::Digest;

    use super::*;

    /// Sweeps of one model in their order, a letter each: clean, low, suspicious, worse, or a clean second (`2`) round; then a clean
    /// one.
    fn check(swept: &str, expected: [usize; 2]) {
        let look = |(at, letter): (i64, char)| Look {
            prompt: "p".to_owned(),
            channel: "production".to_owned(),
            model: "m".to_owned(),
            digest: Digest::of(b"one"),
            round: if letter == '2' { 2 } else { 1 },
            fired_at: Micros(at),
            baseline: None,
            frozen: true,
            cases: 1,
            missing: 0,
            difference: None,
            slack: None,
            z: None,
            evidence: None,
            threshold: None,
            detector: None,
            recovery: None,
            outcome: match letter {
                'l' => LookOutcome::Low,
                's' => LookOutcome::Suspicious,
                'w' => LookOutcome::Worse,
                _ => LookOutcome::Clean,
            },
        };
        let mut known: Vec<_> = (0..).zip(swept.chars()).map(look).collect();
        known.reverse();
        assert_eq!(clean_sweeps(&known, Micros(0)), expected, "{swept}");
    }

    #[test]
    fn clean_sweeps_are_counted_since_the_last_that_was_worse() {
        check("w", [1, 1]);
        check("wcc", [3, 3]);
        check("wclc", [2, 3]);
        check("wcccl", [1, 4]);
        check("wccwc", [2, 2]);
        check("wcs2c", [2, 3]);
        // What was before the incident is not counted.
        check("c", [1, 1]);
        check("ccc", [3, 3]);
    }
}
