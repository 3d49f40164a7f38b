//! Submitting, reading and steering runs.

use assay_common::id::RunId;
use assay_common::suite::{Priority, Suite};
use assay_coordinator::api::document::{Accepted, Page, RunDocument, RunEntry};
use reqwest::header::ACCEPT;
use serde_json::json;

use super::{ANSWER_TIMEOUT, Client, ClientError};
use crate::exit::Exit;

impl Client {
    /// Submits a suite whose files were uploaded.
    pub(crate) async fn submit(
        &self,
        suite: &Suite,
        key: &str,
        priority: Option<Priority>,
    ) -> Result<Accepted, ClientError> {
        let request = self.http.post(self.url("/v1/runs")).header("idempotency-key", key);
        self.json(request.json(&json!({ "suite": suite, "priority": priority }))).await
    }

    /// The latest runs.
    pub(crate) async fn runs(&self, limit: u32) -> Result<Vec<RunEntry>, ClientError> {
        let mut url = self.url("/v1/runs");
        url.query_pairs_mut().append_pair("limit", &limit.to_string());
        let page: Page<RunEntry> = self.json(self.http.get(url)).await?;
        Ok(page.items)
    }

    /// A run; with its report when it is over.
    pub(crate) async fn run(&self, run: RunId) -> Result<RunDocument, ClientError> {
        self.json(self.http.get(self.url(&format!("/v1/runs/{run}")))).await
    }

    /// Cancels, pauses or resumes a run.
    pub(crate) async fn steer(
        &self,
        run: RunId,
        action: &str,
        reason: &str,
    ) -> Result<RunEntry, ClientError> {
        let request = self.http.post(self.url(&format!("/v1/runs/{run}/{action}")));
        self.json(request.json(&json!({ "reason": reason }))).await
    }

    /// Calls `on_line` for every result of a run, one JSON object a line.
    pub(crate) async fn each_result(
        &self,
        run: RunId,
        mut on_line: impl FnMut(&[u8]) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        let request = self.http.get(self.url(&format!("/v1/runs/{run}/results")));
        let mut response = self.send(request.header(ACCEPT, "application/x-ndjson"), ANSWER_TIMEOUT).await?;
        let mut pending: Vec<u8> = Vec::new();
        while let Some(piece) = self.piece(&mut response).await? {
            let mut rest = piece.as_slice();
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                pending.extend_from_slice(&rest[..end]);
                on_line(&pending)?;
                pending.clear();
                rest = &rest[end + 1..];
            }
            pending.extend_from_slice(rest);
        }
        Ok(())
    }
}
