//! Prompts, versions, releases and incidents, for people.

use std::fmt::Write as _;

use assay_common::prompt::PromptBody;
use assay_common::visible::{visible, visible_line};
use assay_coordinator::release::document::{
    HistoryDocument, IncidentDocument, PromptDocument, ReleaseEntry, VerdictEntry, VersionDocument,
    VersionEntry,
};
use assay_store::ReleaseKind;

use super::table;

/// What stands where nothing is known.
const NOTHING: &str = "–";

/// A table of prompts.
pub(crate) fn prompts(prompts: &[PromptDocument]) -> String {
    if prompts.is_empty() {
        return "no prompts yet; run a suite with `assay run SUITE`\n".to_owned();
    }
    let mut table = table(&["PROMPT", "OWNER", "VERSIONS", "LIVE"], &[2]);
    for prompt in prompts {
        let live: Vec<_> =
            prompt.live.iter().map(|live| format!("{}: {}", live.channel, live.version)).collect();
        let live = if live.is_empty() { NOTHING.to_owned() } else { live.join(", ") };
        table.add_row([
            visible_line(&prompt.name).into_owned(),
            or_nothing(prompt.owner.as_deref()),
            prompt.versions.to_string(),
            live,
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// A table of versions.
pub(crate) fn versions(versions: &[VersionEntry]) -> String {
    let mut table = table(&["VERSION", "DIGEST", "FROZEN", "AUTHOR", "COMMIT", "MESSAGE"], &[]);
    for version in versions {
        table.add_row([
            format!("{}@{}", visible_line(&version.prompt), version.version),
            version.digest.short().to_owned(),
            version.frozen_at.clone(),
            or_nothing(version.author.as_deref()),
            version.commit.as_deref().map_or_else(|| NOTHING.to_owned(), short),
            or_nothing(version.message.as_deref()),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// A version with its content and its verdicts.
pub(crate) fn version(version: &VersionDocument) -> String {
    let VersionDocument { entry, owner, body, live_on, verdicts } = version;
    let mut text = format!("{}@{}  {}\n", visible_line(&entry.prompt), entry.version, entry.digest);
    let mut line = |name: &str, said: Option<&str>| {
        if let Some(said) = said {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<9}{}", visible_line(said));
        }
    };
    let live = live_on.join(", ");
    line("owner", owner.as_deref());
    line("author", entry.author.as_deref());
    line("message", entry.message.as_deref());
    line("commit", entry.commit.as_deref());
    line("frozen", Some(&entry.frozen_at));
    line("live on", Some(live.as_str()).filter(|live| !live.is_empty()));
    for verdict in verdicts {
        let _ = writeln!(text, "verdict  {}", self::verdict(verdict));
    }
    text.push('\n');
    match body {
        PromptBody::Text(content) => text.push_str(content),
        PromptBody::Chat(messages) => {
            for message in messages {
                let _ = writeln!(text, "{}:\n{}", message.role.word(), message.content);
            }
        }
    }
    format!("{}\n", visible(text.trim_end()))
}

fn verdict(verdict: &VerdictEntry) -> String {
    let against =
        verdict.baseline.as_ref().map_or_else(String::new, |digest| format!(" against {}", digest.short()));
    format!(
        "{}{against} in run {} of `{}`, until {}",
        verdict.outcome.word(),
        verdict.run,
        verdict.suite,
        verdict.expires_at
    )
}

/// A table of releases.
pub(crate) fn history(history: &HistoryDocument) -> String {
    if history.releases.is_empty() {
        return format!("nothing of {} was released\n", visible_line(&history.prompt));
    }
    let mut table =
        table(&["CHANNEL", "RELEASE", "VERSION", "KIND", "WHEN", "WHO", "ON WHAT EVIDENCE"], &[1]);
    for release in &history.releases {
        table.add_row([
            release.channel.clone(),
            release.release.to_string(),
            format!("{}@{}", visible_line(&release.prompt), release.version),
            release.kind.word().to_owned(),
            release.released_at.clone(),
            visible_line(&release.released_by).into_owned(),
            visible_line(&evidence(release)).into_owned(),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

fn evidence(release: &ReleaseEntry) -> String {
    let run = release.verdict.as_ref().map(|verdict| format!("run {} passed", verdict.run));
    let said: Vec<_> = run.into_iter().chain(release.reason.clone()).collect();
    if said.is_empty() { NOTHING.to_owned() } else { said.join("; ") }
}

/// What a release came to, a sentence a line.
pub(crate) fn release(release: &ReleaseEntry) -> String {
    let again = if release.kind == ReleaseKind::Rollback { " again" } else { "" };
    let mut text = format!(
        "{}@{} ({}) is live on {}{again}: release {}",
        visible_line(&release.prompt),
        release.version,
        release.digest.short(),
        visible_line(&release.channel),
        release.release
    );
    let _ = match &release.verdict {
        Some(verdict) if release.kind == ReleaseKind::Override => write!(
            text,
            "\nits verdict of run {} passed: promoting it without --override would have done, and opened no incident",
            verdict.run
        ),
        Some(verdict) => write!(text, ", on the verdict of run {}", verdict.run),
        None => Ok(()),
    };
    text.push('\n');
    for incident in &release.incidents {
        let what = match release.kind {
            ReleaseKind::Override => "is open",
            _ => "is recovered from; `assay incident resolve` it with its cause",
        };
        let _ = writeln!(text, "incident {incident} {what}");
    }
    text
}

/// A table of incidents.
pub(crate) fn incidents(incidents: &[IncidentDocument]) -> String {
    if incidents.is_empty() {
        return "no incident is open\n".to_owned();
    }
    let mut table = table(&["INCIDENT", "STATE", "VERSION", "CHANNEL", "OWNER", "OPENED", "WHAT"], &[0]);
    for incident in incidents {
        table.add_row([
            incident.number.to_string(),
            incident.state.clone(),
            format!("{}@{}", visible_line(&incident.prompt), incident.version),
            incident.channel.clone(),
            or_nothing(incident.owner.as_deref()),
            incident.opened_at.clone(),
            visible_line(&incident.summary).into_owned(),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// An incident with everything that happened to it.
pub(crate) fn incident(incident: &IncidentDocument) -> String {
    let IncidentDocument { number, state, prompt, version, channel, summary, .. } = incident;
    let (prompt, summary) = (visible_line(prompt), visible_line(summary));
    let mut text = String::new();
    if incident.noted {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "no incident was opened: this was noted with incident {number}, which somebody has opened of the same version; \
             resolve that first if it is about something else"
        );
    }
    let _ = writeln!(text, "incident {number} is {state}: {prompt}@{version} on {channel}: {summary}");
    let owner = visible_line(incident.owner.as_deref().unwrap_or("nobody"));
    let seconds = |length: Option<f64>| length.map_or_else(|| "not yet".to_owned(), |s| format!("{s:.1} s"));
    let _ = writeln!(
        text,
        "owner {owner}; to detect {}, to acknowledge {}, to recover {}",
        seconds(Some(incident.seconds_to_detect)),
        seconds(incident.seconds_to_acknowledge),
        seconds(incident.seconds_to_recover)
    );
    if let Some(cause) = incident.cause.as_ref().filter(|_| state == "resolved") {
        let _ = writeln!(text, "cause: {}", visible_line(cause));
    }
    for event in &incident.events {
        let detail = if event.detail.is_empty() { String::new() } else { format!(": {}", event.detail) };
        let said = format!("{} by {}{detail}", event.action, event.actor);
        let _ = writeln!(text, "  {}  {}", event.at, visible_line(&said));
    }
    text
}

fn or_nothing(text: Option<&str>) -> String {
    text.map_or_else(|| NOTHING.to_owned(), |text| visible_line(text).into_owned())
}

/// The beginning of a commit, with the mark of changed files.
fn short(commit: &str) -> String {
    let (name, mark) = match commit.strip_suffix("-dirty") {
        Some(name) => (name, "-dirty"),
        None => (commit, ""),
    };
    visible_line(&format!("{}{mark}", name.get(..12).unwrap_or(name))).into_owned()
}
