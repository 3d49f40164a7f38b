//! Limits of a coordinator.

use assay_coordinator::limits::{Kind, LimitsDocument};
use serde_json::json;

use super::{Client, ClientError};

impl Client {
    /// How all limits stand.
    pub(crate) async fn limits(&self) -> Result<LimitsDocument, ClientError> {
        self.json(self.http.get(self.beneath(&["limits"]))).await
    }

    /// Sets a limit.
    pub(crate) async fn set_limit(
        &self,
        scope: &str,
        kind: Kind,
        to: f64,
        reason: &str,
    ) -> Result<LimitsDocument, ClientError> {
        let body = json!({"limit": to, "reason": reason});
        self.json(self.http.put(self.beneath(&["limits", scope, &kind.to_string()])).json(&body)).await
    }

    /// Lifts what holds the calls of an account back.
    pub(crate) async fn resume_account(
        &self,
        account: &str,
        reason: &str,
    ) -> Result<LimitsDocument, ClientError> {
        let url = self.beneath(&["limits", account, "resume"]);
        self.json(self.http.post(url).json(&json!({"reason": reason}))).await
    }

    /// Takes a limit back, or all of a scope.
    pub(crate) async fn clear_limit(
        &self,
        scope: &str,
        kind: Option<Kind>,
        reason: &str,
    ) -> Result<LimitsDocument, ClientError> {
        let mut url = match kind {
            Some(kind) => self.beneath(&["limits", scope, &kind.to_string()]),
            None => self.beneath(&["limits", scope]),
        };
        url.query_pairs_mut().append_pair("reason", reason);
        self.json(self.http.delete(url)).await
    }
}
