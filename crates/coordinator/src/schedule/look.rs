//! Looking: what a sweep came to for each version on each channel and model, against its baseline.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_store::{Look, LookOutcome, Run, Schedule, StoreError, Sweep, Target};
use serde::de::DeserializeOwned;

use super::baseline::Reference;
use super::shares::{Units, shares, shares_of};
use super::sweeper::Sweeper;
use super::timetable::Timetable;
use super::{prompts_of, terms_of};
use crate::verdict::drift::{self, Held, Shares};
use crate::verdict::stats::{Drift, Recovery};

/// Bets of the detector, and of the evidence that a loss is over.
const BETS: u32 = 20;
/// Years between two false alarms, over all that is swept.
const YEARS: f64 = 5.0;
/// Sweeps of a year at least: those of a night.
const NIGHTS: f64 = 365.0;
/// Looks that are read back: those of the sweeps since the last that was clean, on all models.
const LOOKED_BACK: u32 = 400;
/// Units of a dataset that are read at a time.
const PAGE: u32 = 10_000;

impl Sweeper<'_> {
    /// A look for each target and model.
    pub(super) async fn looks(
        &self,
        schedule: &Schedule,
        sweep: &Sweep,
        run: &Run,
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
                    recovery: None,
                    outcome: LookOutcome::Unknown,
                };
                decide(&mut look, &held, reference.as_ref(), &known, threshold)?;
                look.recovery = recovery(&look, &held, &known)?;
                looks.push(look);
            }
        }
        Ok(looks)
    }

    /// The clusters of a dataset, by position; `None` where it has none.
    pub(super) async fn units(&self, suite: &Suite) -> Result<Option<Units>, StoreError> {
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
    pub(super) async fn known(&self, schedule: &Schedule, target: &Target) -> Result<Vec<Look>, StoreError> {
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
            Some(state) => read(state, "detector")?,
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

/// The evidence, as JSON, that a loss is over: since the last look that was worse, of what is live against what it is held against
/// now. `None` where none was worse.
fn recovery(look: &Look, held: &Held, known: &[Look]) -> Result<Option<String>, StoreError> {
    let Some(last) = known.iter().find(|other| other.model == look.model) else { return Ok(None) };
    let was_worse = last.outcome == LookOutcome::Worse;
    if !was_worse && last.recovery.is_none() {
        return Ok(None);
    }
    let goes_on = !was_worse && (&last.digest, last.baseline) == (&look.digest, look.baseline);
    let mut recovery = match last.recovery.as_deref().filter(|_| goes_on) {
        Some(state) => read(state, "recovery")?,
        None => Recovery::new(BETS),
    };
    // Trouble with a provider is not held against it: too few results say nothing.
    let is_whole = held.missing as f64 <= held.night.len() as f64 * held.slack / 2.0;
    if look.round == 1 && is_whole {
        recovery.push(held.night.iter().copied(), held.slack);
    }
    Ok(serde_json::to_string(&recovery).ok())
}

/// How strong the evidence of a look is that a loss is over.
pub(super) fn evidence_of_recovery(look: &Look) -> Option<f64> {
    let recovery: Recovery = serde_json::from_str(look.recovery.as_deref()?).ok()?;
    Some(recovery.evidence().min(f64::MAX))
}

/// A state that was written down with a look.
fn read<T: DeserializeOwned>(state: &str, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(state).map_err(|error| StoreError::Unreadable(format!("looks.{column}: {error}")))
}
