//! What the flows have in common: providers that answer sums, and what is done to a fleet while it works.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::time::Duration;

use assay_common::id::RunId;
use fake_provider::{Answer, FakeProvider, Script};
use serde_json::Value;
use tokio::time::sleep;

use crate::fleet::{Process, World};

/// A provider that answers every sum, each after so long.
pub async fn provider(latency_ms: u64) -> FakeProvider {
    let script = Script::answering(Answer::Expression).latency(Duration::from_millis(latency_ms));
    FakeProvider::start(script).await.expect("the fake provider starts")
}

/// Fails unless every part stands in the text.
#[track_caller]
pub fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

/// `variants[]` of a report, to the byte, but for latencies, which are measured.
pub fn variants(mut report: Value) -> String {
    for variant in report["variants"].as_array_mut().unwrap() {
        variant.as_object_mut().unwrap().remove("latency_ms");
    }
    serde_json::to_string(&report["variants"]).unwrap()
}

impl World {
    /// Waits until the provider has seen so many calls.
    pub async fn calls(&self, provider: &FakeProvider, calls: u64) {
        self.until(&format!("{calls} calls"), async || provider.bill().totals().calls >= calls).await;
    }

    /// Waits until no member is that process: it left, or was buried.
    pub async fn buried(&self, process: u32) {
        let what = format!("process {process} is buried");
        self.until(&what, async || {
            self.store.members().await.unwrap().iter().all(|member| member.pid != process)
        })
        .await;
    }

    /// Kills one worker after the other and replaces it, as long as the run goes on and `most` times at most; returns
    /// how often it did. Then the run is over.
    pub async fn killing(
        &mut self,
        workers: &mut [Process],
        run: RunId,
        every: Duration,
        most: usize,
    ) -> u64 {
        for death in 0.. {
            sleep(every).await;
            if death == most || self.run(run).await.state.is_over() {
                self.finished(run).await;
                return death as u64;
            }
            let replacement = self.worker();
            std::mem::replace(&mut workers[death % workers.len()], replacement).kill();
        }
        unreachable!("it ends at the most deaths")
    }
}
