//! Schedules: which suite is to sweep which channels, and when. [`crate::sweep`] is what comes of them.

use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_common::suite::Suite;

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{json, parsed, plain, to_json, whole};

pub(crate) const SQL: &[&str] =
    &[ADD, SCHEDULES, SCHEDULE, PAUSE, RESUME, REMOVE, FORGET_BASELINES, HOLD_SCHEDULE];

/// A suite that sweeps what is live.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Chosen by whoever added it.
    pub name: String,
    /// The suite as it was frozen. Of its prompts the names count: what is live takes their place.
    pub suite: Suite,
    /// The digest of what has to be equal for results to be compared.
    pub terms: Digest,
    /// The channels it sweeps.
    pub channels: Vec<String>,
    /// When it is due, as a cron expression.
    pub cron: String,
    /// The time zone of that, by its IANA name.
    pub zone: String,
    /// After so many clean sweeps in a row an incident that it opened is resolved.
    pub clean_sweeps: u32,
    /// Whether nothing is due.
    pub paused: bool,
    /// Times before it are not caught up with.
    pub due_from: Micros,
    /// When it was added.
    pub created_at: Micros,
    /// By whom.
    pub created_by: String,
}

const ADD: &str = "
    INSERT INTO schedules (name, suite, dataset, terms, channels, cron, zone, clean_sweeps, paused, due_from, created_at,
        created_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, FALSE, $9, $10, $11)
    ON CONFLICT DO NOTHING";

impl Store {
    /// Adds a schedule. `false`: there is one of that name, and nothing was changed.
    pub async fn add_schedule(&self, schedule: Schedule, entry: AuditEntry) -> Result<bool, StoreError> {
        let (suite, channels) = (to_json(&schedule.suite)?, to_json(&schedule.channels)?);
        writing!(self, |conn| {
            let query = sqlx::query(ADD).bind(&schedule.name).bind(&suite);
            let query = query.bind(schedule.suite.dataset.digest.as_str()).bind(schedule.terms.as_str());
            let query = query.bind(&channels).bind(&schedule.cron).bind(&schedule.zone);
            let query = query.bind(i64::from(schedule.clean_sweeps)).bind(schedule.due_from.0);
            let query = query.bind(schedule.created_at.0).bind(plain(&schedule.created_by));
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            append_audit!(conn, &entry);
            Ok(true)
        })
    }
}

#[derive(sqlx::FromRow)]
struct ScheduleRow {
    name: String,
    suite: String,
    terms: String,
    channels: String,
    cron: String,
    zone: String,
    clean_sweeps: i64,
    paused: bool,
    due_from: i64,
    created_at: i64,
    created_by: String,
}

impl ScheduleRow {
    fn into_schedule(self) -> Result<Schedule, StoreError> {
        Ok(Schedule {
            name: self.name,
            suite: json(&self.suite, "schedules.suite")?,
            terms: parsed(&self.terms, "schedules.terms")?,
            channels: json(&self.channels, "schedules.channels")?,
            cron: self.cron,
            zone: self.zone,
            clean_sweeps: whole(self.clean_sweeps, "schedules.clean_sweeps")?,
            paused: self.paused,
            due_from: Micros(self.due_from),
            created_at: Micros(self.created_at),
            created_by: self.created_by,
        })
    }
}

const SCHEDULES: &str = "
    SELECT name, suite, terms, channels, cron, zone, clean_sweeps, paused, due_from, created_at, created_by
    FROM schedules ORDER BY name";

const SCHEDULE: &str = "
    SELECT name, suite, terms, channels, cron, zone, clean_sweeps, paused, due_from, created_at, created_by
    FROM schedules WHERE name = $1";

impl Store {
    /// Every schedule, by name.
    pub async fn schedules(&self) -> Result<Vec<Schedule>, StoreError> {
        let rows: Vec<ScheduleRow> =
            reading!(self, |conn| { Ok(sqlx::query_as(SCHEDULES).fetch_all(&mut *conn).await?) })?;
        rows.into_iter().map(ScheduleRow::into_schedule).collect()
    }

    /// A schedule.
    pub async fn schedule(&self, name: &str) -> Result<Option<Schedule>, StoreError> {
        let row: Option<ScheduleRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(SCHEDULE).bind(name).fetch_optional(&mut *conn).await?)
        })?;
        row.map(ScheduleRow::into_schedule).transpose()
    }
}

/// A change of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleChange {
    /// Nothing is due any more.
    Pause,
    /// What is due from now on is fired.
    Resume,
    /// It is gone. Its sweeps stay, and the baselines that another schedule uses.
    Remove,
}

const PAUSE: &str = "UPDATE schedules SET paused = TRUE WHERE name = $1 AND paused = FALSE";
const RESUME: &str = "UPDATE schedules SET paused = FALSE, due_from = $2 WHERE name = $1 AND paused = TRUE";
const REMOVE: &str = "DELETE FROM schedules WHERE name = $1";
const FORGET_BASELINES: &str = "DELETE FROM baselines WHERE NOT EXISTS (SELECT 1 FROM schedules WHERE schedules.terms = baselines.terms)";

/// The row's lock puts what is fired of a schedule in an order.
pub(crate) const HOLD_SCHEDULE: &str = "UPDATE schedules SET name = name WHERE name = $1";

impl Store {
    /// Changes a schedule at the moment of `entry`. `false`: it is not there, or stands so already.
    pub async fn change_schedule(
        &self,
        name: String,
        change: ScheduleChange,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            let query = match change {
                ScheduleChange::Pause => sqlx::query(PAUSE).bind(&name),
                ScheduleChange::Resume => sqlx::query(RESUME).bind(&name).bind(entry.at.0),
                ScheduleChange::Remove => sqlx::query(REMOVE).bind(&name),
            };
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            if change == ScheduleChange::Remove {
                sqlx::query(FORGET_BASELINES).execute(&mut *conn).await?;
            }
            append_audit!(conn, &entry);
            Ok(true)
        })
    }
}
