//! Sweeps: what was fired of a schedule, and what came of it.
//!
//! **Invariant:** a planned time is fired once, and one sweep of a schedule is under way at a time. A sweep, its run and its
//! row of the audit are one transaction; so are its looks and the incidents they open and resolve.

use std::fmt;
use std::str::FromStr;

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use serde::{Deserialize, Serialize};

use crate::audit::{AuditEntry, append_audit};
use crate::error::StoreError;
use crate::incident::{IncidentChange, NewIncident, Opened, change_incident, open_incident};
use crate::leader::{Mandate, assert_mandate};
use crate::open::Store;
use crate::pools::{reading, writing};
use crate::row::{integer, json, parsed, plain, to_json, whole};
use crate::run::{NewRun, insert_run};
use crate::schedule::HOLD_SCHEDULE;

pub(crate) const SQL: &[&str] = &[FIRE, SEQ, JUDGE, PUT_LOOK, UNJUDGED, LAST_FIRED, SWEEPS, LOOKS, LOOKS_ON];

/// A version that is swept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The prompt.
    pub prompt: String,
    /// Where it is live.
    pub channel: String,
    /// The version's number.
    pub number: i64,
    /// The version.
    pub digest: Digest,
}

/// A planned time of a schedule that was fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The schedule.
    pub schedule: String,
    /// The time for which it was due.
    pub planned_at: Micros,
    /// 1; 2: what was suspicious in the first is asked again.
    pub round: u32,
    /// Its place among the sweeps of the schedule, from 1.
    pub seq: u64,
    /// When it was fired.
    pub fired_at: Micros,
    /// The schedule itself, or who asked for it by hand.
    pub fired_by: String,
    /// What was live where.
    pub targets: Vec<Target>,
    /// Its run; `None`: nothing was live.
    pub run: Option<RunId>,
    /// When it was looked at.
    pub judged_at: Option<Micros>,
    /// Whether a second round is wanted.
    pub suspicious: bool,
}

/// A sweep to fire.
#[derive(Clone, Debug)]
pub struct NewSweep {
    /// The schedule.
    pub schedule: String,
    /// The time for which it is due.
    pub planned_at: Micros,
    /// 1 or 2.
    pub round: u32,
    /// When it is fired.
    pub fired_at: Micros,
    /// The schedule itself, or who asks for it by hand.
    pub fired_by: String,
    /// What is live where.
    pub targets: Vec<Target>,
    /// Its run; `None`: nothing is live, and with that it is over.
    pub run: Option<NewRun>,
}

const FIRE: &str = "
    INSERT INTO sweeps (schedule, planned_at, round, seq, fired_at, fired_by, targets, run_id, judged_at, suspicious)
    SELECT $1, $2, $3, (SELECT COALESCE(MAX(seq), 0) + 1 FROM sweeps WHERE schedule = $1), $4, $5, $6, $7, $8, FALSE
    WHERE NOT EXISTS (SELECT 1 FROM sweeps WHERE schedule = $1 AND judged_at IS NULL)
    ON CONFLICT DO NOTHING";

impl Store {
    /// Fires a planned time of a schedule. `false`, and nothing changed: it was fired before, another sweep of the schedule is
    /// under way, or the schedule is gone.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended; nothing is done then.
    pub async fn fire_sweep(
        &self,
        mandate: Mandate,
        sweep: NewSweep,
        entry: AuditEntry,
    ) -> Result<bool, StoreError> {
        let targets = to_json(&sweep.targets)?;
        writing!(self, |conn| {
            assert_mandate!(conn, mandate);
            let held = sqlx::query(HOLD_SCHEDULE).bind(&sweep.schedule).execute(&mut *conn).await?;
            if held.rows_affected() == 0 {
                return Ok(false);
            }
            let over = sweep.run.is_none().then_some(sweep.fired_at.0);
            let query = sqlx::query(FIRE).bind(&sweep.schedule).bind(sweep.planned_at.0);
            let query = query.bind(i64::from(sweep.round)).bind(sweep.fired_at.0);
            let query = query.bind(plain(&sweep.fired_by)).bind(&targets);
            let query = query.bind(sweep.run.as_ref().map(|run| run.id.to_string())).bind(over);
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            if let Some(run) = &sweep.run {
                insert_run!(conn, run);
            }
            append_audit!(conn, &entry);
            Ok(true)
        })
    }
}

/// What a look at a version came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LookOutcome {
    /// Not below its baseline by more than the slack.
    Clean,
    /// Below it by more; not enough to be sure.
    Low,
    /// Below it by more than chance explains: asked again at once.
    Suspicious,
    /// Worse than its baseline.
    Worse,
    /// There was nothing to compare.
    Unknown,
}

impl LookOutcome {
    const ALL: [Self; 5] = [Self::Clean, Self::Low, Self::Suspicious, Self::Worse, Self::Unknown];

    /// The word in rows and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Low => "low",
            Self::Suspicious => "suspicious",
            Self::Worse => "worse",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for LookOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for LookOutcome {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|outcome| outcome.word() == word);
        found.ok_or_else(|| format!("`{word}` is no outcome of a look"))
    }
}

/// What a sweep came to for one version on one channel and model.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The prompt.
    pub prompt: String,
    /// The channel.
    pub channel: String,
    /// The model's label.
    pub model: String,
    /// The version.
    pub digest: Digest,
    /// The round of its sweep.
    pub round: u32,
    /// When that was fired.
    pub fired_at: Micros,
    /// The run it was held against.
    pub baseline: Option<RunId>,
    /// Whether that is a baseline of five trials a case.
    pub frozen: bool,
    /// Units with a result on both sides.
    pub cases: u64,
    /// Units of the baseline without a result.
    pub missing: u64,
    /// Mean pass rate minus that of the baseline.
    pub difference: Option<f64>,
    /// The loss that raises no alarm.
    pub slack: Option<f64>,
    /// The difference in standard errors.
    pub z: Option<f64>,
    /// The detector's value after it; `None`: it did not look.
    pub evidence: Option<f64>,
    /// The value at which it alarms.
    pub threshold: Option<f64>,
    /// The detector's state, as JSON.
    pub detector: Option<String>,
    /// The evidence that a loss is over, since the last look that was worse, as JSON; `None`: none was.
    pub recovery: Option<String>,
    /// What it came to.
    pub outcome: LookOutcome,
}

/// What came of a sweep whose run is over.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The schedule.
    pub schedule: String,
    /// The sweep's place in it.
    pub seq: u64,
    /// When it was looked at.
    pub at: Micros,
    /// Whether a second round is wanted.
    pub suspicious: bool,
    /// The looks.
    pub looks: Vec<Look>,
    /// Incidents that they open.
    pub opens: Vec<(NewIncident, AuditEntry)>,
    /// Incidents that they resolve: number and cause.
    pub resolves: Vec<(i64, String, AuditEntry)>,
}

const JUDGE: &str = "
    UPDATE sweeps SET judged_at = $3, suspicious = $4 WHERE schedule = $1 AND seq = $2 AND judged_at IS NULL";

const PUT_LOOK: &str = "
    INSERT INTO looks (schedule, seq, prompt, channel, model, digest, round, fired_at, baseline, frozen, cases, missing,
        difference, slack, z, evidence, threshold, detector, recovery, outcome)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

impl Store {
    /// Records what came of a sweep, once: the incidents it opened or added a note to. `None`: it was recorded before.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] when the mandate has ended; nothing is done then.
    pub async fn judge_sweep(
        &self,
        mandate: Mandate,
        judged: Judged,
    ) -> Result<Option<Vec<Opened>>, StoreError> {
        writing!(self, |conn| {
            assert_mandate!(conn, mandate);
            let query = sqlx::query(JUDGE).bind(&judged.schedule).bind(integer(judged.seq));
            let query = query.bind(judged.at.0).bind(judged.suspicious);
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(None);
            }
            for look in &judged.looks {
                let query = sqlx::query(PUT_LOOK).bind(&judged.schedule).bind(integer(judged.seq));
                let query = query.bind(&look.prompt).bind(&look.channel).bind(&look.model);
                let query = query.bind(look.digest.as_str()).bind(i64::from(look.round));
                let query = query.bind(look.fired_at.0).bind(look.baseline.map(|run| run.to_string()));
                let query = query.bind(look.frozen).bind(integer(look.cases)).bind(integer(look.missing));
                let query = query.bind(look.difference).bind(look.slack).bind(look.z).bind(look.evidence);
                let query = query.bind(look.threshold).bind(&look.detector).bind(&look.recovery);
                query.bind(look.outcome.word()).execute(&mut *conn).await?;
            }
            let mut opened = Vec::with_capacity(judged.opens.len());
            for (incident, entry) in &judged.opens {
                opened.push(open_incident!(conn, incident));
                append_audit!(conn, entry);
            }
            for (number, cause, entry) in &judged.resolves {
                let change = IncidentChange::Resolve { cause: cause.clone() };
                // Somebody may have resolved it a moment ago.
                let _ = change_incident!(conn, *number, &change, cause, entry);
            }
            Ok(Some(opened))
        })
    }
}

#[derive(sqlx::FromRow)]
struct SweepRow {
    schedule: String,
    planned_at: i64,
    round: i64,
    seq: i64,
    fired_at: i64,
    fired_by: String,
    targets: String,
    run_id: Option<String>,
    judged_at: Option<i64>,
    suspicious: bool,
}

impl SweepRow {
    fn into_sweep(self) -> Result<Sweep, StoreError> {
        Ok(Sweep {
            schedule: self.schedule,
            planned_at: Micros(self.planned_at),
            round: whole(self.round, "sweeps.round")?,
            seq: whole(self.seq, "sweeps.seq")?,
            fired_at: Micros(self.fired_at),
            fired_by: self.fired_by,
            targets: json(&self.targets, "sweeps.targets")?,
            run: self.run_id.map(|run| parsed(&run, "sweeps.run_id")).transpose()?,
            judged_at: self.judged_at.map(Micros),
            suspicious: self.suspicious,
        })
    }
}

const UNJUDGED: &str = "
    SELECT schedule, planned_at, round, seq, fired_at, fired_by, targets, run_id, judged_at, suspicious
    FROM sweeps WHERE judged_at IS NULL ORDER BY schedule";

const SWEEPS: &str = "
    SELECT schedule, planned_at, round, seq, fired_at, fired_by, targets, run_id, judged_at, suspicious
    FROM sweeps WHERE schedule = $1 ORDER BY seq DESC LIMIT $2";

// A clock that has jumped back has planned times ahead of it that were fired: those before now count.
const LAST_FIRED: &str = "
    SELECT CAST(MAX(planned_at) AS BIGINT) FROM sweeps WHERE schedule = $1 AND planned_at <= $2";

const SEQ: &str = "SELECT seq FROM sweeps WHERE schedule = $1 AND planned_at = $2 AND round = $3";

impl Store {
    /// The sweeps whose run was not looked at yet.
    pub async fn unjudged_sweeps(&self) -> Result<Vec<Sweep>, StoreError> {
        let rows: Vec<SweepRow> =
            reading!(self, |conn| { Ok(sqlx::query_as(UNJUDGED).fetch_all(&mut *conn).await?) })?;
        rows.into_iter().map(SweepRow::into_sweep).collect()
    }

    /// The latest sweeps of a schedule, newest first.
    pub async fn sweeps(&self, schedule: &str, limit: u32) -> Result<Vec<Sweep>, StoreError> {
        let rows: Vec<SweepRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(SWEEPS).bind(schedule).bind(i64::from(limit)).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(SweepRow::into_sweep).collect()
    }

    /// The latest planned time of a schedule, up to `now`, that was fired.
    pub async fn last_fired(&self, schedule: &str, now: Micros) -> Result<Option<Micros>, StoreError> {
        let at: Option<i64> = reading!(self, |conn| {
            Ok(sqlx::query_scalar(LAST_FIRED).bind(schedule).bind(now.0).fetch_one(&mut *conn).await?)
        })?;
        Ok(at.map(Micros))
    }

    /// Whether a round of a planned time was fired.
    pub async fn was_fired(&self, schedule: &str, planned: Micros, round: u32) -> Result<bool, StoreError> {
        let seq: Option<i64> = reading!(self, |conn| {
            let query = sqlx::query_scalar(SEQ).bind(schedule).bind(planned.0).bind(i64::from(round));
            Ok(query.fetch_optional(&mut *conn).await?)
        })?;
        Ok(seq.is_some())
    }
}

#[derive(sqlx::FromRow)]
struct LookRow {
    prompt: String,
    channel: String,
    model: String,
    digest: String,
    round: i64,
    fired_at: i64,
    baseline: Option<String>,
    frozen: bool,
    cases: i64,
    missing: i64,
    difference: Option<f64>,
    slack: Option<f64>,
    z: Option<f64>,
    evidence: Option<f64>,
    threshold: Option<f64>,
    detector: Option<String>,
    recovery: Option<String>,
    outcome: String,
}

impl LookRow {
    fn into_look(self) -> Result<Look, StoreError> {
        Ok(Look {
            prompt: self.prompt,
            channel: self.channel,
            model: self.model,
            digest: parsed(&self.digest, "looks.digest")?,
            round: whole(self.round, "looks.round")?,
            fired_at: Micros(self.fired_at),
            baseline: self.baseline.map(|run| parsed(&run, "looks.baseline")).transpose()?,
            frozen: self.frozen,
            cases: whole(self.cases, "looks.cases")?,
            missing: whole(self.missing, "looks.missing")?,
            difference: self.difference,
            slack: self.slack,
            z: self.z,
            evidence: self.evidence,
            threshold: self.threshold,
            detector: self.detector,
            recovery: self.recovery,
            outcome: parsed(&self.outcome, "looks.outcome")?,
        })
    }
}

const LOOKS: &str = "
    SELECT prompt, channel, model, digest, round, fired_at, baseline, frozen, cases, missing, difference, slack, z, evidence,
        threshold, detector, recovery, outcome
    FROM looks WHERE schedule = $1 AND seq = $2 ORDER BY prompt, channel, model";

const LOOKS_ON: &str = "
    SELECT prompt, channel, model, digest, round, fired_at, baseline, frozen, cases, missing, difference, slack, z, evidence,
        threshold, detector, recovery, outcome
    FROM looks WHERE prompt = $1 AND channel = $2 AND schedule = $3 ORDER BY seq DESC LIMIT $4";

impl Store {
    /// The looks of a sweep.
    pub async fn looks(&self, schedule: &str, seq: u64) -> Result<Vec<Look>, StoreError> {
        let rows: Vec<LookRow> = reading!(self, |conn| {
            Ok(sqlx::query_as(LOOKS).bind(schedule).bind(integer(seq)).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(LookRow::into_look).collect()
    }

    /// The latest looks of a schedule at a prompt on a channel, newest first.
    pub async fn looks_on(
        &self,
        prompt: &str,
        channel: &str,
        schedule: &str,
        limit: u32,
    ) -> Result<Vec<Look>, StoreError> {
        let rows: Vec<LookRow> = reading!(self, |conn| {
            let query = sqlx::query_as(LOOKS_ON).bind(prompt).bind(channel).bind(schedule);
            Ok(query.bind(i64::from(limit)).fetch_all(&mut *conn).await?)
        })?;
        rows.into_iter().map(LookRow::into_look).collect()
    }
}
