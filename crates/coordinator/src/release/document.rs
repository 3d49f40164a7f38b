//! The shapes that go out, in `--json` and in the API. Moments are RFC 3339, in UTC.

use assay_common::clock::Micros;
use assay_common::id::{Digest, RunId};
use assay_common::prompt::PromptBody;
use assay_common::verdict::{Decision, RuleVerdict};
use assay_store::{
    Incident, IncidentEvent, IncidentKind, Prompt, Provenance, Release, ReleaseKind, Verdict, Version,
};
use serde::{Deserialize, Serialize};

use crate::report::civil;

/// A prompt, and what is live of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PromptDocument {
    /// What suites call it.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The number of its newest version.
    pub versions: i64,
    /// When a version of it was first frozen.
    pub created_at: String,
    /// What is live, a channel each.
    pub live: Vec<LiveEntry>,
}

/// What is live on a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LiveEntry {
    /// The channel.
    pub channel: String,
    /// The version's number.
    pub version: i64,
    /// The version.
    pub digest: Digest,
    /// Since when.
    pub released_at: String,
    /// Who put it there.
    pub released_by: String,
}

/// A version, but for its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionEntry {
    /// The prompt.
    pub prompt: String,
    /// Its number in this store.
    pub version: i64,
    /// Its identity in every store.
    pub digest: Digest,
    /// What its author said of it.
    pub message: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The commit it was frozen from.
    pub commit: Option<String>,
    /// When this store first froze it.
    pub frozen_at: String,
}

/// A version with everything that is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionDocument {
    /// The version.
    #[serde(flatten)]
    pub entry: VersionEntry,
    /// Who answers for the prompt.
    pub owner: Option<String>,
    /// The content: `text`, or `chat` as a list of messages.
    #[serde(flatten)]
    pub body: PromptBody,
    /// The channels it is live on.
    pub live_on: Vec<String>,
    /// What gates said of it, newest first.
    pub verdicts: Vec<VerdictEntry>,
}

/// A recorded verdict, with everything it holds for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerdictEntry {
    /// The run.
    pub run: RunId,
    /// The candidate's prompt.
    pub prompt: String,
    /// The candidate's number in this store.
    pub version: Option<i64>,
    /// The candidate.
    pub digest: Digest,
    /// What it was compared with.
    pub baseline: Option<Digest>,
    /// The suite's name.
    pub suite: String,
    /// The suite revision.
    pub revision: Digest,
    /// The gate's revision.
    pub gate: Digest,
    /// The revision of what judged the answers.
    pub judge: Digest,
    /// What it came to.
    pub outcome: Decision,
    /// Every rule with what was observed.
    pub rules: Vec<RuleVerdict>,
    /// When it was recorded.
    pub created_at: String,
    /// From when on it carries no promotion.
    pub expires_at: String,
}

/// What was released of a prompt, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryDocument {
    /// The prompt.
    pub prompt: String,
    /// The releases.
    pub releases: Vec<ReleaseEntry>,
}

/// A version put on a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReleaseEntry {
    /// The prompt.
    pub prompt: String,
    /// The channel.
    pub channel: String,
    /// Its place in the channel's history.
    pub release: i64,
    /// How it came to be live.
    pub kind: ReleaseKind,
    /// The version's number.
    pub version: i64,
    /// The version.
    pub digest: Digest,
    /// When.
    pub released_at: String,
    /// Who.
    pub released_by: String,
    /// From where.
    pub origin: String,
    /// Why, where it was said.
    pub reason: Option<String>,
    /// The verdict it stands on.
    pub verdict: Option<VerdictEntry>,
    /// The incident it opened, or those it recovers from, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<i64>,
}

/// What is live on a channel, with its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LiveDocument {
    /// The prompt.
    pub prompt: String,
    /// The channel.
    pub channel: String,
    /// The version's number.
    pub version: i64,
    /// The version.
    pub digest: Digest,
    /// Since when.
    pub released_at: String,
    /// The content: `text`, or `chat` as a list of messages.
    #[serde(flatten)]
    pub body: PromptBody,
}

/// Whether a content may be deployed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyDocument {
    /// The content.
    pub digest: Digest,
    /// The channel.
    pub channel: String,
    /// Whether it may.
    pub verified: bool,
    /// Why, or why not, for a person.
    pub reason: String,
}

/// How a rehearsed rollback went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RehearsalDocument {
    /// The prompt.
    pub prompt: String,
    /// The channel whose releases were rehearsed.
    pub channel: String,
    /// The scratch channel it was done on.
    pub scratch: String,
    /// The version that was rolled back.
    pub from: i64,
    /// The version it was rolled back to.
    pub to: i64,
    /// From the command to the older content being served.
    pub seconds: f64,
}

/// An incident. Lengths of time are in seconds, null where they have not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncidentDocument {
    /// 1, 2, 3, …
    pub number: i64,
    /// open, acknowledged or resolved.
    pub state: String,
    /// What opened it.
    pub kind: IncidentKind,
    /// The prompt.
    pub prompt: String,
    /// The channel.
    pub channel: String,
    /// The version's number.
    pub version: i64,
    /// The version.
    pub digest: Digest,
    /// What is wrong.
    pub summary: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Who opened it.
    pub opened_by: String,
    /// When the version went live.
    pub began_at: String,
    /// When it was opened.
    pub opened_at: String,
    /// When somebody took it up.
    pub acknowledged_at: Option<String>,
    /// When the version was off the channel, where it has not come back there since.
    pub recovered_at: Option<String>,
    /// The release that took it off.
    pub rollback: Option<i64>,
    /// When it was closed.
    pub resolved_at: Option<String>,
    /// What it came from.
    pub cause: Option<String>,
    /// From the version going live to the incident.
    pub seconds_to_detect: f64,
    /// From the incident to somebody taking it up.
    pub seconds_to_acknowledge: Option<f64>,
    /// From the incident to the version being off the channel; where nothing was rolled back, to its end.
    pub seconds_to_recover: Option<f64>,
    /// Whether it was open, and what was to open one is noted with it; only in answer to that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub noted: bool,
    /// What happened, in order; only of a single incident.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventEntry>,
}

/// One thing that happened to an incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventEntry {
    /// When.
    pub at: String,
    /// Who.
    pub actor: String,
    /// opened, noted, acknowledged, linked, unlinked, resolved or reopened.
    pub action: String,
    /// What was said.
    pub detail: String,
}

impl PromptDocument {
    /// A prompt and what is live of it.
    pub fn of(prompt: &Prompt, live: &[&Release]) -> Self {
        Self {
            name: prompt.name.clone(),
            owner: prompt.owner.clone(),
            versions: prompt.versions,
            created_at: civil(prompt.created_at),
            live: live.iter().map(|release| LiveEntry::of(release)).collect(),
        }
    }
}

impl LiveEntry {
    fn of(release: &Release) -> Self {
        Self {
            channel: release.channel.clone(),
            version: release.number,
            digest: release.digest.clone(),
            released_at: civil(release.released_at),
            released_by: release.released_by.clone(),
        }
    }
}

impl VersionEntry {
    /// The entry of a row.
    pub fn of(version: &Version) -> Self {
        let Provenance { message, author, commit } = version.provenance.clone();
        Self {
            prompt: version.prompt.clone(),
            version: version.number,
            digest: version.digest.clone(),
            message,
            author,
            commit,
            frozen_at: civil(version.frozen_at),
        }
    }
}

impl VerdictEntry {
    /// The entry of a row.
    pub fn of(verdict: &Verdict) -> Self {
        Self {
            run: verdict.run,
            prompt: verdict.prompt.clone(),
            version: verdict.evidence.version,
            digest: verdict.version.clone(),
            baseline: verdict.baseline.clone(),
            suite: verdict.suite.clone(),
            revision: verdict.revision.clone(),
            gate: verdict.gate.clone(),
            judge: verdict.judge.clone(),
            outcome: verdict.state,
            rules: verdict.evidence.rules.clone(),
            created_at: civil(verdict.created_at),
            expires_at: civil(verdict.expires_at),
        }
    }
}

impl ReleaseEntry {
    /// The entry of a row, with the verdict it stands on.
    pub fn of(release: &Release, verdict: Option<&Verdict>) -> Self {
        Self {
            prompt: release.prompt.clone(),
            channel: release.channel.clone(),
            release: release.seq,
            kind: release.kind,
            version: release.number,
            digest: release.digest.clone(),
            released_at: civil(release.released_at),
            released_by: release.released_by.clone(),
            origin: release.origin.clone(),
            reason: release.reason.clone(),
            verdict: verdict.map(VerdictEntry::of),
            incidents: Vec::new(),
        }
    }
}

impl LiveDocument {
    /// What a release put on a channel.
    pub fn of(release: &Release, body: PromptBody) -> Self {
        Self {
            prompt: release.prompt.clone(),
            channel: release.channel.clone(),
            version: release.number,
            digest: release.digest.clone(),
            released_at: civil(release.released_at),
            body,
        }
    }
}

impl IncidentDocument {
    /// An incident with what happened to it.
    pub fn of(incident: &Incident, events: &[IncidentEvent]) -> Self {
        let opening = &incident.opening;
        let after = |from: Micros, to: Micros| to.since(from).as_secs_f64();
        let recovered = incident.recovered_at.or(incident.resolved_at);
        let state = match (incident.resolved_at, incident.acknowledged_at) {
            (Some(_), _) => "resolved",
            (None, Some(_)) => "acknowledged",
            (None, None) => "open",
        };
        Self {
            number: incident.number,
            state: state.to_owned(),
            kind: opening.kind,
            prompt: opening.prompt.clone(),
            channel: opening.channel.clone(),
            version: opening.version,
            digest: opening.digest.clone(),
            summary: opening.summary.clone(),
            owner: opening.owner.clone(),
            opened_by: opening.opened_by.clone(),
            began_at: civil(opening.began_at),
            opened_at: civil(opening.opened_at),
            acknowledged_at: incident.acknowledged_at.map(civil),
            recovered_at: incident.recovered_at.map(civil),
            rollback: incident.rollback,
            resolved_at: incident.resolved_at.map(civil),
            cause: incident.cause.clone(),
            seconds_to_detect: after(opening.began_at, opening.opened_at),
            seconds_to_acknowledge: incident.acknowledged_at.map(|at| after(opening.opened_at, at)),
            seconds_to_recover: recovered.map(|at| after(opening.opened_at, at)),
            noted: false,
            events: events
                .iter()
                .map(|event| EventEntry {
                    at: civil(event.at),
                    actor: event.actor.clone(),
                    action: event.action.clone(),
                    detail: event.detail.clone(),
                })
                .collect(),
        }
    }
}
