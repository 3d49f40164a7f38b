//! The calls the provider saw, append-only: written when a call arrives, so that a client that dies is billed too.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::strict::Kept;

/// The header that says which job a call is for.
pub(crate) const JOB_HEADER: &str = "x-assay-job";

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it arrived, in microseconds since the provider started.
    pub at_us: u64,
    /// The header `x-assay-job` as it came: `run/ordinal/generation/attempt`.
    pub job: Option<Box<str>>,
    /// The status it was answered with; `None` where the script sends none.
    pub status: Option<u16>,
    /// Tokens of the request; 0 when the call is not billed.
    pub input_tokens: u64,
    /// Tokens of the answer; 0 when the call is not billed.
    pub output_tokens: u64,
    /// What it costs, in nano-dollars; 0 when the call is not billed.
    pub cost_nano_usd: u64,
}

/// The name of a job and of the claim a call was made under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobTag {
    /// The run's id.
    pub run: String,
    /// The job's place in the run.
    pub ordinal: u64,
    /// 0 at first; a redrive starts the next.
    pub generation: u32,
    /// The claim, from 1.
    pub attempt: u32,
}

/// A header that is no [`JobTag`].
#[derive(Debug, PartialEq, Eq)]
pub struct NotAJobTag(String);

impl fmt::Display for NotAJobTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not run/ordinal/generation/attempt", self.0)
    }
}

impl std::error::Error for NotAJobTag {}

impl FromStr for JobTag {
    type Err = NotAJobTag;

    fn from_str(text: &str) -> Result<Self, NotAJobTag> {
        let read = || {
            let mut parts = text.split('/');
            let tag = Self {
                run: parts.next().filter(|run| !run.is_empty())?.to_owned(),
                ordinal: parts.next()?.parse().ok()?,
                generation: parts.next()?.parse().ok()?,
                attempt: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(tag)
        };
        read().ok_or_else(|| NotAJobTag(text.to_owned()))
    }
}

/// Every call up to some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// In order of arrival.
    pub entries: Vec<Entry>,
    /// Calls that have arrived and are neither answered nor given up by their client.
    pub in_flight: u64,
    /// The most of them at any moment.
    pub in_flight_peak: u64,
    /// Its moment, in microseconds since the provider started.
    pub now_us: u64,
}

/// A bill in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All calls.
    pub calls: u64,
    /// Calls by the status they were answered with; `none` where none was sent.
    pub by_status: BTreeMap<String, u64>,
    /// Different jobs they were for; claims of one job are one.
    pub jobs: u64,
    /// Calls of the job that has most.
    pub most_calls_of_a_job: u64,
    /// Calls without a readable `x-assay-job`.
    pub untagged: u64,
    /// Tokens of requests.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What all calls cost, in nano-dollars.
    pub cost_nano_usd: u64,
    /// As [`Bill::in_flight`].
    pub in_flight: u64,
    /// As [`Bill::in_flight_peak`].
    pub in_flight_peak: u64,
    /// When the first call arrived, in microseconds since the provider started.
    pub first_call_us: Option<u64>,
    /// When the last call arrived.
    pub last_call_us: Option<u64>,
    /// As [`Bill::now_us`].
    pub now_us: u64,
    /// How callers kept to the account's limits, where it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Kept>,
}

impl Bill {
    /// Calls for each (run, ordinal, generation). Calls without a readable tag are left out.
    pub fn calls_per_job(&self) -> BTreeMap<(String, u64, u32), u64> {
        let mut calls = BTreeMap::new();
        for tag in self.entries.iter().filter_map(|entry| entry.job.as_deref()?.parse::<JobTag>().ok()) {
            *calls.entry((tag.run, tag.ordinal, tag.generation)).or_default() += 1;
        }
        calls
    }

    /// All of it in numbers, without what only the provider knows: the limits.
    pub fn totals(&self) -> Totals {
        let per_job = self.calls_per_job();
        let mut by_status = BTreeMap::new();
        for entry in &self.entries {
            let status = entry.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            *by_status.entry(status).or_default() += 1;
        }
        let sum = |of: fn(&Entry) -> u64| self.entries.iter().map(of).sum();
        let calls = self.entries.len() as u64;
        Totals {
            calls,
            by_status,
            jobs: per_job.len() as u64,
            most_calls_of_a_job: per_job.values().copied().max().unwrap_or_default(),
            untagged: calls - per_job.values().sum::<u64>(),
            input_tokens: sum(|entry| entry.input_tokens),
            output_tokens: sum(|entry| entry.output_tokens),
            cost_nano_usd: sum(|entry| entry.cost_nano_usd),
            in_flight: self.in_flight,
            in_flight_peak: self.in_flight_peak,
            first_call_us: self.entries.first().map(|entry| entry.at_us),
            last_call_us: self.entries.last().map(|entry| entry.at_us),
            now_us: self.now_us,
            limits: None,
        }
    }
}

/// The bill as it is being written.
pub(crate) struct Ledger {
    started: Instant,
    entries: Mutex<Vec<Entry>>,
    in_flight: AtomicU64,
    in_flight_peak: AtomicU64,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            entries: Mutex::default(),
            in_flight: AtomicU64::new(0),
            in_flight_peak: AtomicU64::new(0),
        }
    }

    /// Microseconds from the start of the provider to `moment`.
    pub(crate) fn at_us(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn push(&self, entry: Entry) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// Counts a call as in flight until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.in_flight_peak.fetch_max(now, Ordering::Relaxed);
        InFlight(self)
    }

    pub(crate) fn snapshot(&self) -> Bill {
        Bill {
            entries: self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            in_flight_peak: self.in_flight_peak.load(Ordering::Relaxed),
            now_us: self.at_us(Instant::now()),
        }
    }
}

/// A call in flight.
pub(crate) struct InFlight<'l>(&'l Ledger);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_count_calls_jobs_and_money() {
        let entry = |job: Option<&str>, status, cost_nano_usd| Entry {
            at_us: 5,
            job: job.map(Into::into),
            status,
            input_tokens: 2,
            output_tokens: 3,
            cost_nano_usd,
        };
        let bill = Bill {
            entries: vec![
                entry(Some("r/1/0/1"), Some(200), 7),
                entry(Some("r/1/0/2"), Some(503), 0),
                entry(Some("r/2/0/1"), None, 7),
                entry(Some("garbage"), Some(200), 7),
                entry(None, Some(200), 7),
            ],
            in_flight: 0,
            in_flight_peak: 2,
            now_us: 9,
        };
        let totals = bill.totals();
        assert_eq!(
            (totals.calls, totals.jobs, totals.most_calls_of_a_job, totals.untagged, totals.cost_nano_usd),
            (5, 2, 2, 2, 28)
        );
        assert_eq!(
            totals.by_status,
            [("200", 3), ("503", 1), ("none", 1)].map(|(s, n)| (s.to_owned(), n)).into()
        );
    }

    #[test]
    fn reads_job_tags() {
        let tag = JobTag { run: "r".to_owned(), ordinal: 12, generation: 0, attempt: 3 };
        assert_eq!("r/12/0/3".parse(), Ok(tag));
        for wrong in ["", "r/1/0", "r/1/0/1/9", "/1/0/1", "r/-1/0/1", "r/1/0/x"] {
            assert!(wrong.parse::<JobTag>().is_err(), "{wrong}");
        }
    }
}
