//! Schedules by hand: added, paused, resumed, removed, fired.

use assay_common::clock::Micros;
use assay_common::suite::{Priority, Suite};
use assay_common::visible::is_one_line;
use assay_store::{Mandate, Schedule, ScheduleChange, Store};
use rand::RngExt as _;
use serde_json::json;

use super::document::{FiredDocument, ScheduleDocument, SweepEntry};
use super::sweeper::{Fired, Sweeper};
use super::timetable::Timetable;
use super::{live, terms_of};
use crate::release::{Desk, ReleaseError, channel};
use crate::suite::hint::did_you_mean;

/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Channels of one schedule at most.
const MAX_CHANNELS: usize = 20;
/// Clean sweeps that can be demanded.
const CLEAN_SWEEPS: std::ops::RangeInclusive<u32> = 1..=100;
/// Sweeps that are shown.
const SHOWN: u32 = 20;

/// A schedule to add.
#[derive(Clone, Debug)]
pub struct NewSchedule {
    /// What it is called.
    pub name: String,
    /// The suite, frozen; its cases and recorded answers are stored.
    pub suite: Suite,
    /// When it is due.
    pub cron: String,
    /// The time zone of that.
    pub zone: String,
    /// What it sweeps.
    pub channels: Vec<String>,
    /// After so many clean sweeps in a row an incident that it opened is resolved.
    pub clean_sweeps: u32,
}

/// Every schedule with its latest sweep.
pub async fn list(store: &Store, now: Micros) -> Result<Vec<ScheduleDocument>, ReleaseError> {
    let mut documents = Vec::new();
    for schedule in store.schedules().await? {
        documents.push(document(store, &schedule, now, 1).await?);
    }
    Ok(documents)
}

/// A schedule with its latest sweeps and what they found.
pub async fn show(store: &Store, name: &str, now: Micros) -> Result<ScheduleDocument, ReleaseError> {
    let schedule = find(store, name).await?;
    document(store, &schedule, now, SHOWN).await
}

async fn document(
    store: &Store,
    schedule: &Schedule,
    now: Micros,
    sweeps: u32,
) -> Result<ScheduleDocument, ReleaseError> {
    let mut entries = Vec::new();
    for sweep in store.sweeps(&schedule.name, sweeps).await? {
        let looks = store.looks(&schedule.name, sweep.seq).await?;
        entries.push(SweepEntry::of(&sweep, &looks));
    }
    let table = Timetable::parse(&schedule.cron, &schedule.zone).ok();
    let next = table.filter(|_| !schedule.paused).and_then(|table| table.next_due(now));
    Ok(ScheduleDocument::of(schedule, next, entries))
}

/// A schedule by its name; what is not there is answered with what is near.
pub async fn find(store: &Store, name: &str) -> Result<Schedule, ReleaseError> {
    if let Some(schedule) = store.schedule(name).await? {
        return Ok(schedule);
    }
    let names: Vec<_> = store.schedules().await?.into_iter().map(|schedule| schedule.name).collect();
    let hint = match names.as_slice() {
        [] => Some("`assay schedule add` makes one".to_owned()),
        names => did_you_mean(name, names.iter().map(String::as_str)),
    };
    Err(ReleaseError::Unknown { what: format!("there is no schedule `{name}`"), hint })
}

impl Desk<'_> {
    /// Adds a schedule. What it names has to be there: prompts and channels, each under no near name.
    pub async fn add_schedule(&mut self, new: NewSchedule) -> Result<ScheduleDocument, ReleaseError> {
        let now = self.clock.now();
        let name = new.name.trim().to_owned();
        if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) || !is_one_line(&name) {
            return Err(ReleaseError::Input(format!(
                "a schedule has a name of one line, of 1 to {MAX_NAME_CHARS} characters"
            )));
        }
        let table = Timetable::parse(&new.cron, &new.zone).map_err(ReleaseError::Input)?;
        if table.next_due(now).is_none() {
            return Err(ReleaseError::Input(format!("`{}` is never due", new.cron)));
        }
        if !CLEAN_SWEEPS.contains(&new.clean_sweeps) {
            return Err(ReleaseError::Input("1 to 100 clean sweeps can resolve an incident".to_owned()));
        }
        let mut channels = new.channels;
        channels.sort_unstable();
        channels.dedup();
        if channels.is_empty() || channels.len() > MAX_CHANNELS {
            return Err(ReleaseError::Input(format!("a schedule sweeps 1 to {MAX_CHANNELS} channels")));
        }
        for name in &channels {
            channel::known(self.store, name).await?;
        }
        let schedule = Schedule {
            terms: terms_of(&new.suite),
            suite: Suite { gate: None, priority: Priority::Sweep, ..new.suite },
            name,
            channels,
            cron: new.cron,
            zone: new.zone,
            clean_sweeps: new.clean_sweeps,
            paused: false,
            due_from: now,
            created_at: now,
            created_by: self.by.clone(),
        };
        if live(self.store, &schedule).await?.is_empty() {
            return Err(ReleaseError::State(format!(
                "no prompt of the suite is live on {}: there is nothing to sweep; `assay prompt list` shows what is live",
                schedule.channels.join(", ")
            )));
        }
        let detail = json!({"cron": schedule.cron, "zone": schedule.zone, "channels": schedule.channels, "suite": schedule.suite.name});
        let entry = self.entry("schedule.add", schedule.name.clone(), detail);
        if !self.store.add_schedule(schedule.clone(), entry).await? {
            return Err(ReleaseError::State(format!(
                "there is a schedule `{}` already; remove it first, or choose another name",
                schedule.name
            )));
        }
        document(self.store, &schedule, now, 1).await
    }

    /// Nothing of a schedule is due any more; what is under way ends.
    pub async fn pause_schedule(&mut self, name: &str) -> Result<ScheduleDocument, ReleaseError> {
        self.change_schedule(name, ScheduleChange::Pause, "schedule.pause").await?;
        show(self.store, name, self.clock.now()).await
    }

    /// What is due from now on is fired; what was meanwhile is not.
    pub async fn resume_schedule(&mut self, name: &str) -> Result<ScheduleDocument, ReleaseError> {
        self.change_schedule(name, ScheduleChange::Resume, "schedule.resume").await?;
        show(self.store, name, self.clock.now()).await
    }

    /// Removes a schedule; its runs and incidents stay. Returns what it was.
    pub async fn remove_schedule(&mut self, name: &str) -> Result<ScheduleDocument, ReleaseError> {
        let was = show(self.store, name, self.clock.now()).await?;
        self.change_schedule(name, ScheduleChange::Remove, "schedule.remove").await?;
        Ok(was)
    }

    /// Changes it; that it stands so already is no error.
    async fn change_schedule(
        &mut self,
        name: &str,
        change: ScheduleChange,
        action: &str,
    ) -> Result<(), ReleaseError> {
        let schedule = find(self.store, name).await?;
        let entry = self.entry(action, schedule.name.clone(), json!({}));
        self.store.change_schedule(schedule.name, change, entry).await?;
        Ok(())
    }

    /// Fires a schedule now, whether or not it is paused; whoever leads drives the run.
    pub async fn fire_schedule(&mut self, name: &str) -> Result<FiredDocument, ReleaseError> {
        let schedule = find(self.store, name).await?;
        let mut sweeper = Sweeper::new(self.store, self.clock.clone(), Mandate::Own, self.rng.random());
        let planned = self.clock.now();
        match sweeper.fire(&schedule, planned, &self.by, &self.origin).await? {
            Fired::Run(run) => Ok(FiredDocument::of(&schedule.name, planned, run)),
            Fired::NothingLive => Err(ReleaseError::State(format!(
                "nothing that `{name}` sweeps is live on {}",
                schedule.channels.join(", ")
            ))),
            Fired::NotNow => Err(ReleaseError::State(format!(
                "a sweep of `{name}` is under way; `assay schedule show {name}` names its run"
            ))),
        }
    }
}
