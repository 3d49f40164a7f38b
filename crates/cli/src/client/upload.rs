//! What the server lacks of a suite's files, streamed from them: some chunks are in memory at a time.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use assay_coordinator::suite::{Loaded, Outgoing, UploadKind};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use reqwest::Body;
use reqwest::header::CONTENT_TYPE;
use tokio::time::sleep;

use super::{ANSWER_TIMEOUT, Client, ClientError};

/// How long one upload may take until it is stored.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How long after a refusal for want of a turn an upload is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// After how many such refusals no more: ten minutes, as each comes after a wait.
const REFUSALS: u32 = 60;

impl Client {
    /// Sends every file the suite refers to that the server does not have.
    pub(crate) async fn upload(&self, loaded: &Loaded) -> Result<(), ClientError> {
        for outgoing in loaded.outgoing() {
            let place = match outgoing.kind {
                UploadKind::Dataset => "datasets",
                UploadKind::Recording => "recordings",
            };
            let url = self.url(&format!("/v1/{place}/{}", outgoing.digest));
            match self.send(self.http.get(url.clone()), ANSWER_TIMEOUT).await {
                Ok(_) => continue,
                Err(error) if error.is_status(404) => {}
                Err(error) => return Err(error),
            }
            let mut refusals = 0;
            while let Err(error) = self.put(url.clone(), &outgoing).await {
                refusals += 1;
                if !error.is_busy() || refusals == REFUSALS {
                    return Err(error);
                }
                tracing::warn!(%error, "waiting for a turn to upload: {error}");
                sleep(AGAIN).await;
            }
        }
        Ok(())
    }

    async fn put(&self, url: reqwest::Url, outgoing: &Outgoing<'_>) -> Result<(), ClientError> {
        // A file that has changed breaks the request off; the request's own error would not say so.
        let changed = Arc::new(OnceLock::new());
        let told = Arc::clone(&changed);
        let lines = unfold(outgoing.lines(), async |mut lines| lines.recv().await.map(|line| (line, lines)));
        let lines = lines.map(move |line| line.inspect_err(|error| _ = told.set(error.to_string())));
        let request =
            self.http.put(url).header(CONTENT_TYPE, "application/x-ndjson").body(Body::wrap_stream(lines));
        match (self.send(request, UPLOAD_TIMEOUT).await, changed.get()) {
            (_, Some(changed)) => Err(ClientError::Changed(changed.clone())),
            (sent, None) => sent.map(|_| ()),
        }
    }
}
