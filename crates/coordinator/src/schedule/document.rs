//! The shapes of schedules that go out, in `--json` and in the API. Moments are RFC 3339, in UTC.

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use assay_common::model::Model;
use assay_common::suite::Suite;
use assay_common::visible::visible_line;
use assay_store::{Look, LookOutcome, Schedule, Sweep};
use serde::{Deserialize, Serialize};

use super::look::evidence_of_recovery;
use super::prompts_of;
use crate::report::civil;

/// A schedule with its latest sweeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScheduleDocument {
    /// What it is called.
    pub name: String,
    /// active or paused.
    pub state: String,
    /// The suite's name.
    pub suite: String,
    /// The prompts that it sweeps.
    pub prompts: Vec<String>,
    /// On which channels.
    pub channels: Vec<String>,
    /// When it is due.
    pub cron: String,
    /// The time zone of that.
    pub time_zone: String,
    /// When it is due next; null while it is paused.
    pub next_at: Option<String>,
    /// After so many clean sweeps in a row an incident that it opened is resolved.
    pub clean_sweeps: u32,
    /// When it was added.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
    /// Why its sweeps find less than they seem to, and what to do about it; for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Its sweeps, newest first: in a list the latest alone.
    pub sweeps: Vec<SweepEntry>,
}

/// A sweep and what it found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SweepEntry {
    /// The time for which it was due, or at which somebody asked for it.
    pub planned_at: String,
    /// 1; 2: what was suspicious in the first was asked again.
    pub round: u32,
    /// When it was fired.
    pub fired_at: String,
    /// The schedule itself, or who asked for it by hand.
    pub fired_by: String,
    /// Its run; null where nothing was live.
    pub run: Option<RunId>,
    /// When its run was over and looked at.
    pub judged_at: Option<String>,
    /// What it found of each version on each channel and model.
    pub looks: Vec<LookEntry>,
}

/// What a sweep found of a version on a channel and model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookEntry {
    /// The prompt.
    pub prompt: String,
    /// The channel.
    pub channel: String,
    /// The model.
    pub model: String,
    /// The version.
    pub digest: Digest,
    /// What it came to.
    pub outcome: LookOutcome,
    /// The run it was held against; null where there was none yet.
    pub baseline: Option<RunId>,
    /// Whether that was measured for it, with five trials a case; else it is the run of the promotion.
    pub frozen: bool,
    /// Cases, or clusters of them, with a result on both sides.
    pub cases: u64,
    /// Those of the baseline without one.
    pub missing: u64,
    /// Mean pass rate minus that of the baseline.
    pub difference: Option<f64>,
    /// The loss that raises no alarm.
    pub slack: Option<f64>,
    /// The detector's evidence of a loss, over all sweeps so far.
    pub evidence: Option<f64>,
    /// From where on it is an incident.
    pub threshold: Option<f64>,
    /// The evidence that a loss is over, over all sweeps since it was last found; null where none was. At 20 it is ruled out that it is not.
    #[serde(default)]
    pub recovery: Option<f64>,
}

/// A sweep that was asked for by hand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FiredDocument {
    /// The schedule.
    pub schedule: String,
    /// When it was asked for.
    pub planned_at: String,
    /// Its run.
    pub run: RunId,
}

impl ScheduleDocument {
    /// Of a row, when it is due next, and its sweeps.
    pub fn of(schedule: &Schedule, next: Option<Micros>, sweeps: Vec<SweepEntry>) -> Self {
        Self {
            name: schedule.name.clone(),
            state: if schedule.paused { "paused" } else { "active" }.to_owned(),
            suite: schedule.suite.name.clone(),
            prompts: prompts_of(&schedule.suite).into_iter().map(str::to_owned).collect(),
            channels: schedule.channels.clone(),
            cron: schedule.cron.clone(),
            time_zone: schedule.zone.clone(),
            next_at: next.map(civil),
            clean_sweeps: schedule.clean_sweeps,
            created_at: civil(schedule.created_at),
            created_by: schedule.created_by.clone(),
            warnings: warnings(&schedule.suite),
            sweeps,
        }
    }
}

/// Models that play back what they answered once: a sweep of them watches nothing.
fn warnings(suite: &Suite) -> Vec<String> {
    let recorded = suite.models.iter().filter(|model| model.recording.is_some());
    let warning = |model: &Model| {
        format!(
            "`{}` plays back recorded answers, which do not change: its sweeps find nothing, and come to `unknown` where the answers are \
             for labels of the suite, which a sweep does not use; sweep with a model that is asked anew each time",
            visible_line(&model.name())
        )
    };
    recorded.map(warning).collect()
}

impl SweepEntry {
    /// Of a row and its looks.
    pub fn of(sweep: &Sweep, looks: &[Look]) -> Self {
        Self {
            planned_at: civil(sweep.planned_at),
            round: sweep.round,
            fired_at: civil(sweep.fired_at),
            fired_by: sweep.fired_by.clone(),
            run: sweep.run,
            judged_at: sweep.judged_at.map(civil),
            looks: looks.iter().map(LookEntry::of).collect(),
        }
    }
}

impl LookEntry {
    fn of(look: &Look) -> Self {
        Self {
            prompt: look.prompt.clone(),
            channel: look.channel.clone(),
            model: look.model.clone(),
            digest: look.digest.clone(),
            outcome: look.outcome,
            baseline: look.baseline,
            frozen: look.frozen,
            cases: look.cases,
            missing: look.missing,
            difference: look.difference,
            slack: look.slack,
            evidence: look.evidence,
            threshold: look.threshold,
            recovery: evidence_of_recovery(look),
        }
    }
}

impl FiredDocument {
    /// Of a run that was made.
    pub fn of(schedule: &str, planned: Micros, run: RunId) -> Self {
        Self { schedule: schedule.to_owned(), planned_at: civil(planned), run }
    }
}
