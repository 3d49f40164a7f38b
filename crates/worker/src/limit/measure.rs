//! What being limited costs a call: permits of an account that is leased more than anybody takes, one after the other.

use std::time::Duration;

use assay_common::clock::Micros;
use assay_common::config::Limits;
use assay_common::limit::Dimension;
use assay_store::Answer;
use tokio::time::Instant;

use super::gate::{Account, Gate, Size};
use super::lease::Leases;
use super::retries::Attempt;

/// More than anybody takes: a billion a second, in millionths.
const PLENTY: u64 = 1_000_000_000_000_000;

/// How long so many permits take when nobody else wants one: of an account that is limited in requests, tokens and calls in
/// flight, all of it leased from a store.
pub async fn time_permits(count: u32) -> Duration {
    let limits = Limits {
        requests_per_minute: std::num::NonZeroU32::new(1_000_000_000),
        tokens_per_minute: std::num::NonZeroU64::new(1_000_000_000),
        in_flight: std::num::NonZeroU32::new(10),
        ..Limits::default()
    };
    let leases = Leases::new();
    let account = std::sync::Arc::new(Account::new("measured", &limits, Some(&leases)));
    let now = Instant::now();
    for dimension in [Dimension::Requests, Dimension::Tokens, Dimension::InFlight] {
        let (scope, paused_for) = ("measured".to_owned(), Duration::ZERO);
        let limit = limits.of(dimension);
        let amount = if dimension.is_rate() { Some(PLENTY) } else { limit };
        let (seq, resumed) = (1, 0);
        let answer =
            Answer { scope, dimension, seq, amount, limit, firm: None, paused_for, resumed, why: None };
        leases.follow(&[answer], now + Duration::from_secs(3_600), now);
    }
    let gate = Gate::new(account, "measured/model".to_owned(), None, None);
    let size = Size { bytes: 2_000, max_tokens: Some(100) };
    // The first tokens come with the lease.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    for _ in 0..count {
        // A door that is open and free lets everybody through.
        let _ = gate.enter(Attempt::First, size, Micros(0)).await;
    }
    began.elapsed()
}
