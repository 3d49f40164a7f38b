//! Submitting, reading and steering runs.

use assay_common::id::RunId;
use assay_common::suite::{Priority, Suite};
use assay_coordinator::api::document::{Accepted, Page, RunDocument, RunEntry};
use assay_coordinator::compare::{Comparison, Request};
use assay_coordinator::flakes::Ledger;
use assay_coordinator::steer::Action;
use assay_store::Provenance;
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
        source: &Provenance,
        priority: Option<Priority>,
    ) -> Result<Accepted, ClientError> {
        let request = self.http.post(self.url("/v1/runs")).header("idempotency-key", key);
        self.json(request.json(&json!({ "suite": suite, "source": source, "priority": priority }))).await
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

    /// What changed between two runs or versions.
    pub(crate) async fn compare(&self, request: &Request) -> Result<Comparison, ClientError> {
        let mut url = self.url("/v1/comparison");
        url.query_pairs_mut()
            .append_pair("before", &request.before)
            .append_pair("after", &request.after)
            .append_pair("flips", &request.flips.to_string());
        self.json(self.http.get(url)).await
    }

    /// The ledger of flakes of a suite, or of that of the latest run; `None` where no run is over.
    pub(crate) async fn ledger(
        &self,
        suite: Option<String>,
        runs: u32,
    ) -> Result<Option<Ledger>, ClientError> {
        let mut url = self.url("/v1/flakes");
        url.query_pairs_mut().append_pair("runs", &runs.to_string());
        if let Some(suite) = suite {
            url.query_pairs_mut().append_pair("suite", &suite);
        }
        match self.json(self.http.get(url)).await {
            Ok(ledger) => Ok(Some(ledger)),
            Err(error) if error.is_status(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Steers a run.
    pub(crate) async fn steer(
        &self,
        run: RunId,
        action: Action,
        reason: &str,
    ) -> Result<RunEntry, ClientError> {
        let word = action.word().trim_start_matches("run.");
        let request = self.http.post(self.url(&format!("/v1/runs/{run}/{word}")));
        self.json(request.json(&action.detail(reason))).await
    }

    /// Calls `on_line` for every result of a run, or for those that later ones have replaced, one JSON object a line.
    pub(crate) async fn each_result(
        &self,
        run: RunId,
        earlier: bool,
        mut on_line: impl FnMut(&[u8]) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        let mut url = self.url(&format!("/v1/runs/{run}/results"));
        if earlier {
            url.query_pairs_mut().append_pair("earlier", "true");
        }
        let request = self.http.get(url);
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
