//! Judging: when the run of a sweep is over, each version it swept is held against its baseline, on each channel and model.
//! One that got worse opens an incident of its owner; enough clean sweeps resolve it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use assay_common::id::{Digest, RunId};
use assay_common::suite::{Suite, Variant};
use assay_store::{
    AuditEntry, IncidentKind, Judged, Look, LookOutcome, NewIncident, Opened, RunState, Schedule, StoreError,
    Sweep, Target,
};
use serde_json::json;

use super::baseline::Reference;
use super::sweeper::{Sweeper, actor};
use super::timetable::Timetable;
use super::{prompts_of, terms_of};
use crate::report::civil;
use crate::verdict::drift::{self, Held, Shares};
use crate::verdict::stats::Drift;

/// Bets of the detector.
const BETS: u32 = 20;
/// Years between two false alarms, over all that is swept.
const YEARS: f64 = 5.0;
/// Sweeps of a year at least: those of a night.
const NIGHTS: f64 = 365.0;
/// Looks that are read back: those of the sweeps since the last that was clean, on all models.
const LOOKED_BACK: u32 = 400;
/// Units of a dataset that are read at a time.
const PAGE: u32 = 10_000;

/// The clusters of a dataset, by position.
pub(super) type Units = BTreeMap<u64, String>;

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
                self.open(schedule, sweep, target, &mut judged).await?;
                if let Some(reference) = reference {
                    self.resolve(schedule, sweep, (target, reference), &mut judged).await?;
                }
            }
        }
        let told = judged.clone();
        if let Some(opened) = self.store.judge_sweep(self.mandate, judged).await? {
            tell(&told, &opened);
        }
        Ok(true)
    }

    /// A look for each target and model.
    async fn looks(
        &self,
        schedule: &Schedule,
        sweep: &Sweep,
        run: &assay_store::Run,
        references: &[Option<Reference>],
        units: Option<&Units>,
    ) -> Result<Vec<Look>, StoreError> {
        let missing = || StoreError::Unreadable(format!("the suite of run {} is missing", run.id));
        let suite = self.store.suite(run.revision.clone()).await?.ok_or_else(missing)?;
        let night = shares(self.store.trials(run.id).await?);
        let threshold = self.threshold(schedule).await?;
        let mut looks = Vec::new();
        for (target, reference) in sweep.targets.iter().zip(references) {
            let before = match reference {
                Some(reference) => shares(self.store.trials(reference.run).await?),
                None => BTreeMap::new(),
            };
            let known = self.known(schedule, target).await?;
            for model in 0..suite.models.len() {
                let none = Shares::new();
                let prompt = &target.prompt;
                let now = shares_of(&suite, &night, prompt, &target.digest, model).unwrap_or_default();
                let then = reference.as_ref().and_then(|reference| {
                    shares_of(&reference.suite, &before, prompt, &reference.digest, model)
                });
                let held = drift::hold(then.as_ref().unwrap_or(&none), &now, units);
                let mut look = Look {
                    prompt: target.prompt.clone(),
                    channel: target.channel.clone(),
                    model: suite.model_label(model),
                    digest: target.digest.clone(),
                    round: sweep.round,
                    fired_at: sweep.fired_at,
                    baseline: reference.as_ref().map(|reference| reference.run),
                    frozen: reference.as_ref().is_some_and(|reference| reference.frozen),
                    cases: held.cases,
                    missing: held.missing,
                    difference: held.difference,
                    slack: held.difference.map(|_| held.slack),
                    z: held.z,
                    evidence: None,
                    threshold: None,
                    detector: None,
                    outcome: LookOutcome::Unknown,
                };
                decide(&mut look, &held, reference.as_ref(), &known, threshold)?;
                looks.push(look);
            }
        }
        Ok(looks)
    }

    /// The clusters of a dataset, by position; `None` where it has none.
    async fn units(&self, suite: &Suite) -> Result<Option<Units>, StoreError> {
        if !suite.dataset.clustered {
            return Ok(None);
        }
        let mut units = Units::new();
        loop {
            let first = units.len() as u64;
            let page = self.store.units(suite.dataset.digest.clone(), first, PAGE).await?;
            if page.is_empty() {
                return Ok(Some(units));
            }
            units.extend((first..).zip(page));
        }
    }

    /// The value at which a detector of the schedule alarms, so that all detectors together do so falsely once in
    /// [`YEARS`].
    async fn threshold(&self, schedule: &Schedule) -> Result<f64, StoreError> {
        let schedules = self.store.schedules().await?;
        let streams: usize = schedules
            .iter()
            .filter(|other| !other.paused || other.name == schedule.name)
            .map(|other| prompts_of(&other.suite).len() * other.channels.len() * other.suite.models.len())
            .sum();
        let table = Timetable::parse(&schedule.cron, &schedule.zone).ok();
        let yearly = table.map_or(NIGHTS, |table| table.yearly(self.clock.now()).max(NIGHTS));
        Ok(YEARS * yearly * streams.max(1) as f64)
    }

    /// The latest looks of a schedule at a target, newest first. One that was removed and had this name asked something else:
    /// what it found counts only if that was under the same terms.
    async fn known(&self, schedule: &Schedule, target: &Target) -> Result<Vec<Look>, StoreError> {
        let mut looks =
            self.store.looks_on(&target.prompt, &target.channel, &schedule.name, LOOKED_BACK).await?;
        let mut terms: BTreeMap<RunId, bool> = BTreeMap::new();
        for run in looks.iter().filter_map(|look| look.baseline) {
            if let Entry::Vacant(entry) = terms.entry(run) {
                let suite = match self.store.run(run).await? {
                    Some(run) => self.store.suite(run.revision).await?,
                    None => None,
                };
                entry.insert(suite.is_some_and(|suite| terms_of(&suite) == schedule.terms));
            }
        }
        looks.retain(|look| look.baseline.is_none_or(|run| terms[&run]));
        Ok(looks)
    }

    /// Opens an incident of a target that got worse and is still live.
    async fn open(
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

    /// Resolves the incidents that the schedule opened on a target's channel, after enough clean sweeps of what is live there,
    /// held against what was good before the incident, or was found to be as good as that.
    async fn resolve(
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
        let by = actor(&schedule.name);
        let known = self.known(schedule, target).await?;
        let models = now.len();
        for incident in self.store.open_regressions(&target.prompt, &target.channel).await? {
            if incident.opened_by != by || sweep.fired_at <= incident.opened_at {
                continue;
            }
            let mut found = known
                .iter()
                .filter(|look| look.outcome == LookOutcome::Worse && look.digest == incident.digest)
                .peekable();
            if found.peek().is_none() {
                continue;
            }
            let is_older = reference.asked_at < incident.began_at;
            if !reference.stood && !is_older && !found.any(|look| look.baseline == Some(reference.run)) {
                continue;
            }
            // Newest first; the looks of a sweep stand together.
            let clean = known
                .iter()
                .take_while(|look| look.outcome == LookOutcome::Clean && look.fired_at > incident.opened_at)
                .count();
            let sweeps = clean / models + 1;
            if sweeps < schedule.clean_sweeps as usize {
                continue;
            }
            let cause = match incident.recovered_at {
                Some(_) => format!("rolled back; {sweeps} clean sweeps in a row since"),
                None => format!("{sweeps} clean sweeps in a row"),
            };
            let number = incident.number;
            let subject = number.to_string();
            let entry = self.entry(&by, "a sweep", "incident.resolve", &subject, json!({"reason": cause}));
            judged.resolves.push((number, cause, entry));
        }
        Ok(())
    }
}

/// What a look comes to. Only planned sweeps feed the detector: a second round is asked for because the first was bad.
fn decide(
    look: &mut Look,
    held: &Held,
    reference: Option<&Reference>,
    known: &[Look],
    threshold: f64,
) -> Result<(), StoreError> {
    let (Some(difference), Some(reference)) = (held.difference, reference) else { return Ok(()) };
    let same = |other: &&Look| {
        (&other.model, &other.digest, other.baseline) == (&look.model, &look.digest, Some(reference.run))
    };
    if look.round > 1 {
        let first = known.iter().find(same).map(|other| other.outcome);
        let confirmed = held.is_suspicious() && first == Some(LookOutcome::Suspicious);
        look.outcome = match confirmed {
            true => LookOutcome::Worse,
            false if difference < -held.slack => LookOutcome::Low,
            false => LookOutcome::Clean,
        };
        return Ok(());
    }
    let mut alarmed = false;
    if reference.frozen {
        let last = known.iter().filter(|other| other.round == 1).find(same);
        // After an alarm, and against another baseline, it begins anew.
        let last = last.filter(|other| other.outcome != LookOutcome::Worse);
        let mut detector = match last.and_then(|last| last.detector.as_deref()) {
            Some(state) => serde_json::from_str(state)
                .map_err(|error| StoreError::Unreadable(format!("looks.detector: {error}")))?,
            None => Drift::new(held.slack, BETS),
        };
        detector.push(held.night.iter().copied());
        // No database and no JSON knows more.
        let evidence = detector.roberts().min(f64::MAX);
        alarmed = evidence >= threshold;
        (look.evidence, look.threshold) = (Some(evidence), Some(threshold));
        look.detector = if alarmed { None } else { serde_json::to_string(&detector).ok() };
    }
    look.outcome = match () {
        () if alarmed => LookOutcome::Worse,
        // The baseline was below it as well: that makes two in a row.
        () if held.is_suspicious() && reference.doubted => LookOutcome::Worse,
        () if held.is_suspicious() => LookOutcome::Suspicious,
        () if difference < -held.slack => LookOutcome::Low,
        () => LookOutcome::Clean,
    };
    Ok(())
}

/// What a version came to on a model; `None`: it was not asked.
pub(super) fn shares_of(
    suite: &Suite,
    found: &BTreeMap<u32, Shares>,
    prompt: &str,
    digest: &Digest,
    model: usize,
) -> Option<Shares> {
    let prompt = suite.prompts.iter().position(|entry| entry.name == prompt && entry.digest == *digest)?;
    let variant = u32::try_from(suite.variant_index(Variant { prompt, model })).ok()?;
    Some(found.get(&variant).cloned().unwrap_or_default())
}

/// Judged trials by variant and position.
pub(super) fn shares(trials: Vec<assay_store::CaseTrials>) -> BTreeMap<u32, Shares> {
    let mut shares: BTreeMap<u32, Shares> = BTreeMap::new();
    for case in trials {
        shares.entry(case.variant).or_default().insert(case.position, (case.passed, case.trials));
    }
    shares
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

fn tell(judged: &Judged, opened: &[Opened]) {
    let schedule = &judged.schedule;
    for look in &judged.looks {
        let (what, outcome) = (format!("{} on {}", look.prompt, look.channel), look.outcome.word());
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
            incident.prompt,
            incident.version,
            incident.channel
        );
    }
    for (number, cause, AuditEntry { actor, .. }) in &judged.resolves {
        tracing::info!(incident.number = number, "incident {number} is resolved by {actor}: {cause}");
    }
}
