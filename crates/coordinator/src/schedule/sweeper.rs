//! One step over all schedules: what is over is judged, what is missing is measured, what is due is fired.
//!
//! What was missed, because nobody led or because the sweep before took too long, is fired once, for the latest of the times
//! missed. Times at which a schedule was paused are not caught up with. A clock that jumps fires nothing twice: a planned
//! time is a row.

use std::time::Duration;

use assay_common::clock::{Clock, Micros};
use assay_common::id::{AuditId, RunId};
use assay_common::suite::{Priority, Suite};
use assay_store::{AuditEntry, Mandate, NewRun, Schedule, Store, StoreError};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::timetable::Timetable;
use crate::run::begin::{Draw, new_run};

/// How often a leader looks at schedules.
pub const STEP_EVERY: Duration = Duration::from_secs(1);

/// Whoever fires and judges.
pub struct Sweeper<'s> {
    pub(super) store: &'s Store,
    pub(super) clock: Clock,
    pub(super) mandate: Mandate,
    rng: StdRng,
}

/// What came of firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fired {
    /// This run sweeps what is live.
    Run(RunId),
    /// Nothing is live: there is nothing to sweep.
    NothingLive,
    /// It was fired before, another sweep of the schedule is under way, or the schedule is gone.
    NotNow,
}

impl<'s> Sweeper<'s> {
    /// Whoever works on `store` under `mandate`. `seed` is what ids and orders are drawn from.
    pub fn new(store: &'s Store, clock: Clock, mandate: Mandate, seed: [u8; 32]) -> Self {
        Self { store, clock, mandate, rng: StdRng::from_seed(seed) }
    }

    /// One step over every schedule.
    pub async fn step(&mut self) -> Result<(), StoreError> {
        for sweep in self.store.unjudged_sweeps().await? {
            self.judge(&sweep).await?;
        }
        for schedule in self.store.schedules().await? {
            self.measure(&schedule, false).await?;
            self.confirm(&schedule).await?;
            if let Some(planned) = self.due(&schedule).await? {
                self.measure(&schedule, true).await?;
                let by = actor(&schedule.name);
                self.fire(&schedule, planned, &by, "the clock").await?;
            }
        }
        Ok(())
    }

    /// The planned time of a schedule that is to be fired now, if any.
    pub(super) async fn due(&self, schedule: &Schedule) -> Result<Option<Micros>, StoreError> {
        if schedule.paused {
            return Ok(None);
        }
        let now = self.clock.now();
        let table = Timetable::parse(&schedule.cron, &schedule.zone);
        let table =
            table.map_err(|why| StoreError::Unreadable(format!("schedule {}: {why}", schedule.name)))?;
        let Some(planned) = table.last_due(now) else { return Ok(None) };
        let fired = self.store.last_fired(&schedule.name, now).await?;
        Ok((planned > schedule.due_from && fired.is_none_or(|fired| planned > fired)).then_some(planned))
    }

    /// A run of a frozen suite.
    pub(super) fn run_of(&mut self, suite: &Suite, now: Micros) -> NewRun {
        new_run(suite, Priority::Sweep, now, Draw { id: self.rng.random(), seed: self.rng.random() }, None)
    }

    /// A row of the audit, of this moment.
    pub(super) fn entry(
        &mut self,
        by: &str,
        from: &str,
        action: &str,
        subject: &str,
        mut detail: Value,
    ) -> AuditEntry {
        let at = self.clock.now();
        let millis = u64::try_from(at.0 / 1_000).unwrap_or(0);
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &self.rng.random()).into_uuid();
        detail["from"] = Value::String(from.to_owned());
        AuditEntry {
            id: AuditId::new(id),
            at,
            actor: by.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail,
        }
    }
}

/// How a schedule is called where it acts by itself.
pub(super) fn actor(schedule: &str) -> String {
    format!("schedule {schedule}")
}
