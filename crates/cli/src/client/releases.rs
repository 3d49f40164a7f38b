//! Prompts, releases and incidents of a coordinator.

use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_coordinator::api::document::Page;
use assay_coordinator::release::document::{
    HistoryDocument, IncidentDocument, LiveDocument, PromptDocument, RehearsalDocument, ReleaseEntry,
    VerifyDocument, VersionDocument, VersionEntry,
};
use assay_coordinator::release::{Promote, Which};
use assay_coordinator::report::civil;
use reqwest::Url;
use serde_json::{Value, json};

use super::{Client, ClientError};
use crate::releases::IncidentAction;

impl Client {
    /// The URL of `/v1` and these segments, whatever characters names have.
    pub(super) fn beneath(&self, segments: &[&str]) -> Url {
        let mut url = self.url("/v1");
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        url
    }

    /// Posts a body to such a URL.
    pub(super) async fn post<T: serde::de::DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &Value,
    ) -> Result<T, ClientError> {
        self.json(self.http.post(self.beneath(segments)).json(body)).await
    }

    /// Every prompt.
    pub(crate) async fn prompts(&self) -> Result<Vec<PromptDocument>, ClientError> {
        let page: Page<PromptDocument> = self.json(self.http.get(self.beneath(&["prompts"]))).await?;
        Ok(page.items)
    }

    /// A version; the newest where none is named.
    pub(crate) async fn version(
        &self,
        name: &str,
        which: Option<&Which>,
    ) -> Result<VersionDocument, ClientError> {
        let which = which.map_or_else(|| "newest".to_owned(), ToString::to_string);
        self.json(self.http.get(self.beneath(&["prompts", name, "versions", &which]))).await
    }

    /// A page of versions.
    pub(crate) async fn versions(
        &self,
        name: &str,
        before: Option<i64>,
    ) -> Result<Vec<VersionEntry>, ClientError> {
        let mut url = self.beneath(&["prompts", name, "versions"]);
        if let Some(before) = before {
            url.query_pairs_mut().append_pair("before", &before.to_string());
        }
        let page: Page<VersionEntry> = self.json(self.http.get(url)).await?;
        Ok(page.items)
    }

    /// What was released.
    pub(crate) async fn history(
        &self,
        name: &str,
        channel: Option<&str>,
        at: Option<Micros>,
    ) -> Result<HistoryDocument, ClientError> {
        let mut url = self.beneath(&["prompts", name, "history"]);
        let at = at.map(civil);
        for (key, value) in [("channel", channel), ("at", at.as_deref())] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(key, value);
            }
        }
        self.json(self.http.get(url)).await
    }

    /// Puts a version on a channel.
    pub(crate) async fn promote(&self, asked: &Promote) -> Result<ReleaseEntry, ClientError> {
        let Promote { prompt, version, channel, reason, overriding, new_channel } = asked;
        let body = json!({
            "version": version.to_string(), "reason": reason, "override": overriding, "new_channel": new_channel,
        });
        self.post(&["channels", channel, "prompts", prompt, "promote"], &body).await
    }

    /// Puts the version before back on a channel.
    pub(crate) async fn rollback(
        &self,
        name: &str,
        channel: &str,
        from: Option<&Which>,
        reason: &str,
    ) -> Result<ReleaseEntry, ClientError> {
        let body = json!({"reason": reason, "from": from.map(ToString::to_string)});
        self.post(&["channels", channel, "prompts", name, "rollback"], &body).await
    }

    /// Rehearses that.
    pub(crate) async fn rehearse(&self, name: &str, channel: &str) -> Result<RehearsalDocument, ClientError> {
        self.post(&["channels", channel, "prompts", name, "rehearse"], &json!({})).await
    }

    /// What is live.
    pub(crate) async fn pull(&self, name: &str, channel: &str) -> Result<LiveDocument, ClientError> {
        self.json(self.http.get(self.beneath(&["channels", channel, "prompts", name]))).await
    }

    /// Whether a content may be deployed.
    pub(crate) async fn verify(
        &self,
        digest: &Digest,
        channel: &str,
        prompt: Option<&str>,
        new_channel: bool,
    ) -> Result<VerifyDocument, ClientError> {
        let mut url = self.beneath(&["channels", channel, "verify", digest.as_str()]);
        if let Some(prompt) = prompt {
            url.query_pairs_mut().append_pair("prompt", prompt);
        }
        if new_channel {
            url.query_pairs_mut().append_pair("new_channel", "true");
        }
        self.json(self.http.get(url)).await
    }

    /// Incidents.
    pub(crate) async fn incidents(&self, all: bool) -> Result<Vec<IncidentDocument>, ClientError> {
        let mut url = self.beneath(&["incidents"]);
        url.query_pairs_mut().append_pair("all", &all.to_string());
        let page: Page<IncidentDocument> = self.json(self.http.get(url)).await?;
        Ok(page.items)
    }

    /// An incident.
    pub(crate) async fn incident(&self, number: i64) -> Result<IncidentDocument, ClientError> {
        self.json(self.http.get(self.beneath(&["incidents", &number.to_string()]))).await
    }

    /// Opens an incident.
    pub(crate) async fn open_incident(
        &self,
        name: &str,
        channel: &str,
        reason: &str,
    ) -> Result<IncidentDocument, ClientError> {
        let body = json!({"prompt": name, "channel": channel, "reason": reason});
        self.post(&["incidents"], &body).await
    }

    /// Changes an incident.
    pub(crate) async fn change_incident(
        &self,
        number: i64,
        action: &IncidentAction,
    ) -> Result<IncidentDocument, ClientError> {
        let (word, body) = match action {
            IncidentAction::Acknowledge => ("ack", json!({})),
            IncidentAction::Link(release) => ("link", json!({"release": release})),
            IncidentAction::Resolve(cause) => ("resolve", json!({"cause": cause})),
            IncidentAction::Reopen(reason) => ("reopen", json!({"reason": reason})),
        };
        self.post(&["incidents", &number.to_string(), word], &body).await
    }
}
