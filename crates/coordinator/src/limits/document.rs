//! What `assay limits` and `GET /v1/limits` say. A rate is a minute's, whatever window its provider counts over.

use assay_common::limit::Dimension;
use serde::{Deserialize, Serialize};

/// Every limit, by scope and dimension, and the money of every account with a cap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitsDocument {
    /// Limits of accounts and of single models.
    pub limits: Vec<LimitEntry>,
    /// What the accounts with a cap have cost today.
    pub money: Vec<MoneyEntry>,
}

/// One limit, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitEntry {
    /// The account, or `account/model`.
    pub scope: String,
    /// What it counts.
    pub dimension: Dimension,
    /// The limit that counts, a minute or at once; null: none is known.
    pub limit: Option<u64>,
    /// What the files of the workers that use it say, and the file of whoever was asked.
    pub configured: Option<Configured>,
    /// What somebody has set it to instead.
    pub set: Option<SetTo>,
    /// What the provider says that it is.
    pub learned: Option<LearnedLimit>,
    /// The rate that the provider has refused more than, a minute; it grows again by itself.
    pub cut_to: Option<f64>,
    /// What somebody else uses of it, a minute, by what the provider says.
    pub others: Option<f64>,
    /// What all workers together may use of it now, a minute or at once; null: nothing limits them.
    pub granted: Option<f64>,
    /// What was used of it in the last minute, or is held now.
    pub used: u64,
    /// How many workers send for all, where not all who want to may.
    pub senders: Option<usize>,
    /// No call begins before this moment.
    pub paused_until: Option<String>,
    /// Why it is not all used, or is not what files say.
    pub why: Vec<String>,
    /// Who may use how much of it.
    pub leases: Vec<Lease>,
}

/// What files say of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// The least of them.
    pub least: u64,
    /// The most of them.
    pub most: u64,
}

/// What somebody has set a limit to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetTo {
    /// A minute, at once, or US dollars a day.
    pub to: f64,
    /// By whom.
    pub by: String,
    /// When.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// What a provider says of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedLimit {
    /// A minute.
    pub limit: u64,
    /// When it said so last.
    pub at: String,
}

/// What one worker has of a limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The worker's id.
    pub worker: String,
    /// Where it runs, where that is known.
    pub host: Option<String>,
    /// Its process there.
    pub process: Option<u32>,
    /// The most that it may use, a minute or at once; null: nothing limits it.
    pub granted: Option<f64>,
    /// What it would like; null: as much as there is.
    pub wanted: Option<f64>,
}

/// What the calls of an account have cost today, in US dollars. A day is one of UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MoneyEntry {
    /// The account.
    pub account: String,
    /// The most that they may cost.
    pub cap: f64,
    /// What the files of the workers that called today say, the least and the most, and the file of whoever was asked.
    pub configured: [f64; 2],
    /// What somebody has set it to instead.
    pub set: Option<SetTo>,
    /// What is known to have been spent.
    pub spent: f64,
    /// What is set aside for calls whose cost is not known yet.
    pub reserved: f64,
    /// When the day ends.
    pub ends_at: String,
    /// Why no call begins, or what files do not agree on.
    pub why: Vec<String>,
}
