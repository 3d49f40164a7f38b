//! Schedules: a suite sweeps what is live in time, and what got worse becomes an incident.
//!
//! ```text
//! due ── fire: a run of what is live ── over ── judge: held against the baseline ── clean │ suspicious: asked again at once
//!  │                                                                                       └ worse: an incident
//!  └── baseline: of each version that is live, five trials a case, once
//! ```
//!
//! - [`timetable`]: when a schedule is due; pure
//! - [`sweeper`]: one step over all schedules; the leader makes them, and `assay schedule run-now`
//!   - `baseline`: what is live and was not measured is; `fire`: what is due becomes a run
//!   - `judge`: its run is over: `shares` of trials that passed, a `look` at each version, and the `incident` that it opens or ends
//! - [`desk`]: added, paused, resumed, removed, fired by hand
//! - [`document`]: the shapes that go out
//!
//! How a sweep is held against a baseline is [`crate::verdict::drift`]. **Invariant:** nothing here reads a submitter's files;
//! the suite was frozen when the schedule was added.

mod baseline;
pub mod desk;
pub mod document;
mod fire;
mod incident;
mod judge;
mod look;
mod shares;
pub mod sweeper;
pub mod timetable;

pub use desk::{NewSchedule, list, show};
pub use sweeper::{Fired, Sweeper};
pub use timetable::Timetable;

use assay_common::id::Digest;
use assay_common::prompt::PromptEntry;
use assay_common::suite::{Priority, Suite};
use assay_store::{Release, Schedule, Store, StoreError};

/// What has to be equal for the results of two runs to be compared: cases, models, scorers and threshold.
pub fn terms_of(suite: &Suite) -> Digest {
    let terms = (&suite.dataset.digest, &suite.models, &suite.scorers, &suite.threshold);
    // String keys and finite numbers only, by type.
    Digest::of(&serde_json::to_vec(&terms).unwrap_or_default())
}

/// The prompts that a suite sweeps, each once.
pub(crate) fn prompts_of(suite: &Suite) -> Vec<&str> {
    let mut names: Vec<_> = suite.prompts.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What a schedule would sweep now: each prompt of it on each of its channels where a version is live.
async fn live(store: &Store, schedule: &Schedule) -> Result<Vec<Release>, StoreError> {
    let mut live = Vec::new();
    for prompt in prompts_of(&schedule.suite) {
        for channel in &schedule.channels {
            live.extend(store.live(prompt, channel, None).await?);
        }
    }
    Ok(live)
}

/// The suite of a schedule with these versions in place of its own, without its gate: a sweep decides nothing about a release.
async fn suite_of<'r>(
    store: &Store,
    schedule: &Schedule,
    versions: impl IntoIterator<Item = &'r Release>,
) -> Result<Suite, StoreError> {
    let mut prompts: Vec<PromptEntry> = Vec::new();
    for release in versions {
        let label = format!("{}@{}", release.prompt, release.number);
        if prompts.iter().any(|entry| entry.label == label) {
            continue;
        }
        let body = store.body(&release.prompt, release.number).await?;
        let body =
            body.ok_or_else(|| StoreError::Unreadable(format!("the content of {label} is missing")))?;
        prompts.push(PromptEntry {
            name: release.prompt.clone(),
            label,
            // The registry knows; what the suite said when it was frozen may be old.
            owner: None,
            baseline: false,
            digest: release.digest.clone(),
            body,
        });
    }
    Ok(Suite { prompts, gate: None, priority: Priority::Sweep, ..schedule.suite.clone() })
}
