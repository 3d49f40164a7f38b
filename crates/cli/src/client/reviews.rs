//! Reviews, risks, ranges, quarantines and notifications of a coordinator.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_coordinator::api::document::Page;
use assay_coordinator::flakes::desk::{QuarantineAsked, QuarantineEntry, QuarantineNamed};
use assay_coordinator::notify::desk::DeliveryEntry;
use assay_coordinator::report::civil;
use assay_coordinator::review::ranges::RangeEntry;
use assay_coordinator::review::risks::{RiskAsked, RiskEntry};
use assay_coordinator::review::{Review, Span};
use assay_store::{Signal, Subject};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, ClientError};

/// To whom a test is on its way.
#[derive(Deserialize)]
struct Tested {
    webhooks: Vec<String>,
}

/// How many deliveries are tried again.
#[derive(Deserialize)]
struct Retried {
    deliveries: u64,
}

impl Client {
    /// What a week or a month came to.
    pub(crate) async fn review(&self, span: Span, at: Option<Micros>) -> Result<Review, ClientError> {
        let mut url = self.beneath(&["review"]);
        let word = match span {
            Span::Week => "week",
            Span::Month => "month",
        };
        url.query_pairs_mut().append_pair("period", word);
        if let Some(at) = at {
            url.query_pairs_mut().append_pair("at", &civil(at));
        }
        self.json(self.http.get(url)).await
    }

    /// Risks.
    pub(crate) async fn risks(&self, all: bool) -> Result<Vec<RiskEntry>, ClientError> {
        self.listed("risks", all).await
    }

    /// Writes a risk down.
    pub(crate) async fn add_risk(&self, asked: &RiskAsked) -> Result<RiskEntry, ClientError> {
        self.post(&["risks"], &json!(asked)).await
    }

    /// Closes a risk.
    pub(crate) async fn close_risk(&self, number: i64, outcome: &str) -> Result<RiskEntry, ClientError> {
        self.post(&["risks", &number.to_string(), "close"], &json!({"outcome": outcome})).await
    }

    /// Ranges.
    pub(crate) async fn ranges(&self) -> Result<Vec<RangeEntry>, ClientError> {
        let page: Page<RangeEntry> = self.json(self.http.get(self.beneath(&["ranges"]))).await?;
        Ok(page.items)
    }

    /// Sets a range.
    pub(crate) async fn set_range(
        &self,
        signal: Signal,
        subject: &Subject,
        [low, high]: [Option<f64>; 2],
        window: Duration,
        reason: Option<&str>,
    ) -> Result<RangeEntry, ClientError> {
        let mut body = of(signal, subject, reason);
        body["low"] = json!(low);
        body["high"] = json!(high);
        body["window_s"] = json!(window.as_secs());
        self.post(&["ranges"], &body).await
    }

    /// Ends a range.
    pub(crate) async fn remove_range(
        &self,
        signal: Signal,
        subject: &Subject,
        reason: Option<&str>,
    ) -> Result<(), ClientError> {
        self.post(&["ranges", "remove"], &of(signal, subject, reason)).await
    }

    /// What is under quarantine.
    pub(crate) async fn quarantines(
        &self,
        suite: Option<String>,
        all: bool,
    ) -> Result<Vec<QuarantineEntry>, ClientError> {
        let mut url = self.beneath(&["quarantine"]);
        url.query_pairs_mut().append_pair("all", &all.to_string());
        if let Some(suite) = suite {
            url.query_pairs_mut().append_pair("suite", &suite);
        }
        let page: Page<QuarantineEntry> = self.json(self.http.get(url)).await?;
        Ok(page.items)
    }

    /// Puts a case under quarantine.
    pub(crate) async fn add_quarantine(
        &self,
        asked: &QuarantineAsked,
    ) -> Result<QuarantineEntry, ClientError> {
        self.post(&["quarantine"], &json!(asked)).await
    }

    /// Takes a case out of quarantine.
    pub(crate) async fn remove_quarantine(
        &self,
        named: &QuarantineNamed,
    ) -> Result<QuarantineEntry, ClientError> {
        self.post(&["quarantine", "remove"], &json!(named)).await
    }

    /// What is on its way to webhooks.
    pub(crate) async fn deliveries(&self, all: bool) -> Result<Vec<DeliveryEntry>, ClientError> {
        self.listed("notifications", all).await
    }

    /// Has a test sent.
    pub(crate) async fn test_webhooks(&self, webhook: Option<&str>) -> Result<Vec<String>, ClientError> {
        let tested: Tested = self.post(&["notifications", "test"], &json!({"webhook": webhook})).await?;
        Ok(tested.webhooks)
    }

    /// Has what was not taken tried again.
    pub(crate) async fn retry_webhooks(&self, webhook: Option<&str>) -> Result<u64, ClientError> {
        let retried: Retried = self.post(&["notifications", "retry"], &json!({"webhook": webhook})).await?;
        Ok(retried.deliveries)
    }

    async fn listed<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        all: bool,
    ) -> Result<Vec<T>, ClientError> {
        let mut url = self.beneath(&[what]);
        url.query_pairs_mut().append_pair("all", &all.to_string());
        let page: Page<T> = self.json(self.http.get(url)).await?;
        Ok(page.items)
    }
}

fn of(signal: Signal, subject: &Subject, reason: Option<&str>) -> Value {
    let mut body = json!(subject);
    body["signal"] = json!(signal);
    body["reason"] = json!(reason);
    body
}
