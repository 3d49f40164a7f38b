//! Incidents by hand: opened, acknowledged, linked to the release that ended them, resolved with a cause, reopened.

use assay_common::visible::visible_line;
use assay_store::{Incident, IncidentChange, IncidentKind, NewIncident, Opened, Store};
use serde_json::json;

use super::channel;
use super::desk::{Desk, reason_of};
use super::document::IncidentDocument;
use super::error::ReleaseError;
use super::registry::{find, nothing_live};

/// The incidents, newest first; `all`: also those that are resolved.
pub async fn list(store: &Store, all: bool) -> Result<Vec<IncidentDocument>, ReleaseError> {
    let incidents = store.incidents(all).await?;
    Ok(incidents.iter().map(|incident| IncidentDocument::of(incident, &[])).collect())
}

/// An incident with what happened to it.
pub async fn show(store: &Store, number: i64) -> Result<IncidentDocument, ReleaseError> {
    let incident = one(store, number).await?;
    Ok(IncidentDocument::of(&incident, &store.incident_events(number).await?))
}

async fn one(store: &Store, number: i64) -> Result<Incident, ReleaseError> {
    let incident = store.incident(number).await?;
    incident.ok_or_else(|| ReleaseError::Unknown {
        what: format!("there is no incident {number}"),
        hint: Some("`assay incident list --all` shows them all".to_owned()),
    })
}

impl Desk<'_> {
    /// Opens an incident of what is live of a prompt on a channel, or notes it with the one that somebody has opened of it.
    pub async fn open_incident(
        &mut self,
        prompt: &str,
        on: &str,
        reason: &str,
    ) -> Result<IncidentDocument, ReleaseError> {
        let summary = reason_of(reason)?;
        channel::named(on)?;
        let prompt = find(self.store, prompt).await?;
        let Some(live) = self.store.live(&prompt.name, on, None).await? else {
            channel::known(self.store, on).await?;
            return Err(nothing_live(&prompt.name, on));
        };
        let detail = json!({"channel": on, "version": live.number, "reason": summary});
        let entry = self.entry("incident.open", prompt.name.clone(), detail);
        let incident = NewIncident {
            prompt: prompt.name,
            channel: live.channel,
            version: live.number,
            digest: live.digest,
            kind: IncidentKind::Manual,
            summary,
            owner: prompt.owner,
            began_at: live.released_at,
            opened_at: entry.at,
            opened_by: self.by.clone(),
        };
        let opened = self.store.open_incident(incident, entry).await?;
        let noted = matches!(opened, Opened::Known(_));
        Ok(IncidentDocument { noted, ..show(self.store, opened.number()).await? })
    }

    /// Somebody takes an incident up.
    pub async fn acknowledge(&mut self, number: i64) -> Result<IncidentDocument, ReleaseError> {
        self.change(number, "incident.ack", IncidentChange::Acknowledge, String::new()).await
    }

    /// Says which release took the version off the channel: `release`, else the first after it went live for the last time.
    pub async fn link(
        &mut self,
        number: i64,
        release: Option<i64>,
    ) -> Result<IncidentDocument, ReleaseError> {
        let incident = one(self.store, number).await?.opening;
        let releases = self.store.releases(&incident.prompt, Some(&incident.channel)).await?;
        // Newest first: those since the version was live there.
        let others = releases.iter().take_while(|other| other.digest != incident.digest);
        let others = others.filter(|other| release.is_none_or(|seq| other.seq == seq));
        let Some(other) = others.last() else {
            return Err(ReleaseError::State(format!(
                "no such release took {}@{} off {} since it went live; `assay prompt history {} --channel {}` lists them",
                incident.prompt, incident.version, incident.channel, incident.prompt, incident.channel
            )));
        };
        let change = IncidentChange::Link { seq: other.seq, at: other.released_at };
        self.change(number, "incident.link", change, other.linking()).await
    }

    /// An incident is over; `cause` says what it came from.
    pub async fn resolve(&mut self, number: i64, cause: &str) -> Result<IncidentDocument, ReleaseError> {
        let cause = reason_of(cause)?;
        let change = IncidentChange::Resolve { cause: cause.clone() };
        self.change(number, "incident.resolve", change, cause).await
    }

    /// An incident is not over after all.
    pub async fn reopen(&mut self, number: i64, reason: &str) -> Result<IncidentDocument, ReleaseError> {
        let reason = reason_of(reason)?;
        self.change(number, "incident.reopen", IncidentChange::Reopen, reason).await
    }

    async fn change(
        &mut self,
        number: i64,
        action: &str,
        change: IncidentChange,
        told: String,
    ) -> Result<IncidentDocument, ReleaseError> {
        let entry = self.entry(action, number.to_string(), json!({"reason": told}));
        if self.store.change_incident(number, change.clone(), told, entry).await? {
            return show(self.store, number).await;
        }
        let incident = show(self.store, number).await?;
        let state = &incident.state;
        Err(ReleaseError::State(match change {
            IncidentChange::Reopen if state == "resolved" => format!(
                "another incident of {}@{} on {} that the same opened ({}) is open",
                incident.prompt,
                incident.version,
                incident.channel,
                incident.kind.word()
            ),
            IncidentChange::Resolve { .. } => format!(
                "incident {number} is {state} already: {}",
                visible_line(incident.cause.as_deref().unwrap_or("no cause given"))
            ),
            IncidentChange::Link { seq, .. } if incident.rollback == Some(seq) && state != "resolved" => {
                format!("incident {number} is linked already, with release {seq}")
            }
            _ => format!("incident {number} is {state}"),
        }))
    }
}
