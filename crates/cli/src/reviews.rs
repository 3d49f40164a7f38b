//! Where reviews, risks, ranges, quarantines and notifications are read and made: a store, or a coordinator.

use assay_common::clock::{Clock, Micros};
use assay_coordinator::flakes::desk::{self as flakes, QuarantineAsked, QuarantineEntry, QuarantineNamed};
use assay_coordinator::judge::catch_up;
use assay_coordinator::notify::desk::{DeliveryEntry, list as deliveries};
use assay_coordinator::review::ranges::{self, RangeEntry};
use assay_coordinator::review::risks::{self, RiskAsked, RiskEntry};
use assay_coordinator::review::{Review, Span, compile};
use assay_store::{Signal, Subject};

use crate::exit::Exit;
use crate::releases::{Releases, desk, exit};

impl Releases {
    /// What a week or a month came to.
    pub(crate) async fn review(&self, span: Span, at: Option<Micros>) -> Result<Review, Exit> {
        match self {
            Self::Store(store) => {
                let now = Clock::system().now();
                // Nobody leads here: what sweeps have come to is not written down yet.
                catch_up(store, now).await?;
                compile(store, span, at.unwrap_or(now), now).await.map_err(exit)
            }
            Self::Server(client) => Ok(client.review(span, at).await?),
        }
    }

    pub(crate) async fn risks(&self, all: bool) -> Result<Vec<RiskEntry>, Exit> {
        match self {
            Self::Store(store) => {
                let before = Micros(Clock::system().now().0 + 1);
                risks::list(store, before, all).await.map_err(exit)
            }
            Self::Server(client) => Ok(client.risks(all).await?),
        }
    }

    pub(crate) async fn add_risk(&self, asked: RiskAsked) -> Result<RiskEntry, Exit> {
        match self {
            Self::Store(store) => desk(store)?.add_risk(asked).await.map_err(exit),
            Self::Server(client) => Ok(client.add_risk(&asked).await?),
        }
    }

    pub(crate) async fn close_risk(&self, number: i64, outcome: &str) -> Result<RiskEntry, Exit> {
        match self {
            Self::Store(store) => desk(store)?.close_risk(number, outcome).await.map_err(exit),
            Self::Server(client) => Ok(client.close_risk(number, outcome).await?),
        }
    }

    pub(crate) async fn ranges(&self) -> Result<Vec<RangeEntry>, Exit> {
        match self {
            Self::Store(store) => {
                let now = Clock::system().now();
                catch_up(store, now).await?;
                Ok(ranges::standing(store, now).await?)
            }
            Self::Server(client) => Ok(client.ranges().await?),
        }
    }

    pub(crate) async fn set_range(
        &self,
        signal: Signal,
        subject: Subject,
        bounds: [Option<f64>; 2],
        window: std::time::Duration,
        reason: Option<&str>,
    ) -> Result<RangeEntry, Exit> {
        match self {
            Self::Store(store) => {
                desk(store)?.set_range(signal, subject, bounds, window, reason).await.map_err(exit)
            }
            Self::Server(client) => Ok(client.set_range(signal, &subject, bounds, window, reason).await?),
        }
    }

    pub(crate) async fn remove_range(
        &self,
        signal: Signal,
        subject: Subject,
        reason: Option<&str>,
    ) -> Result<(), Exit> {
        match self {
            Self::Store(store) => desk(store)?.remove_range(signal, subject, reason).await.map_err(exit),
            Self::Server(client) => Ok(client.remove_range(signal, &subject, reason).await?),
        }
    }

    pub(crate) async fn quarantines(
        &self,
        suite: Option<String>,
        all: bool,
    ) -> Result<Vec<QuarantineEntry>, Exit> {
        match self {
            Self::Store(store) => Ok(flakes::list(store, suite, all, Clock::system().now()).await?),
            Self::Server(client) => Ok(client.quarantines(suite, all).await?),
        }
    }

    pub(crate) async fn add_quarantine(&self, asked: QuarantineAsked) -> Result<QuarantineEntry, Exit> {
        match self {
            Self::Store(store) => desk(store)?.add_quarantine(asked).await.map_err(exit),
            Self::Server(client) => Ok(client.add_quarantine(&asked).await?),
        }
    }

    pub(crate) async fn remove_quarantine(&self, named: QuarantineNamed) -> Result<QuarantineEntry, Exit> {
        match self {
            Self::Store(store) => desk(store)?.remove_quarantine(named).await.map_err(exit),
            Self::Server(client) => Ok(client.remove_quarantine(&named).await?),
        }
    }

    pub(crate) async fn deliveries(&self, all: bool) -> Result<Vec<DeliveryEntry>, Exit> {
        match self {
            Self::Store(store) => deliveries(store, all).await.map_err(exit),
            Self::Server(client) => Ok(client.deliveries(all).await?),
        }
    }
}
