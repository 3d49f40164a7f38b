//! The oracle of every fault: a run that is over, held against itself and against the provider's bill.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use assay_common::id::RunId;
use assay_common::outcome::Outcome;
use assay_store::{RunState, Schema, Store, StoreUrl};
use fake_provider::{Bill, Books, Recorded};
use tokio::time::{Duration, Instant, sleep};

use crate::assay::{PRICE, Workplace};

/// Results read at a time.
const PAGE: u32 = 1_000;
/// Long enough for `assay run` to make its store on a busy machine.
const EVENTUALLY: Duration = Duration::from_secs(60);

/// The books of a completed run: every job has one outcome, and what the run counts is what its rows say.
///
/// # Panics
/// When the run is not complete, or its counts are not those of its rows.
pub async fn books(store: &Store, run: RunId, bills: &[Bill]) -> Books {
    let row = store.run(run).await.unwrap().unwrap();
    assert_eq!(row.state, RunState::Completed, "{row:?}");
    assert_eq!((row.cursor, row.done()), (row.planned, row.planned), "{row:?}");
    let standing = store.standing(run).await.unwrap();
    assert!(!standing.running, "{standing:?}");
    let mut ordinals = Vec::new();
    let (mut passed, mut failed, mut errored, mut calls) = (0, 0, 0, 0);
    loop {
        let page = store.results(run, ordinals.last().copied(), PAGE).await.unwrap();
        if page.is_empty() {
            break;
        }
        for result in page {
            calls += result.calls;
            match result.row.outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed => failed += 1,
                Outcome::Errored(_) => errored += 1,
                Outcome::Cancelled => continue,
            }
            ordinals.push(result.row.ordinal);
        }
    }
    assert_eq!((passed, failed, errored), (row.passed, row.failed, row.errored), "{row:?}");
    let cost = (row.cost.0 > 0).then_some((row.cost.0, PRICE));
    Books::of(&run.to_string(), row.planned, ordinals, Recorded { calls, cost }, bills)
}

/// The same, and nothing may be lost, doubled or made up; no more is paid twice, or on no record, than was
/// `in_flight_at_deaths`.
pub async fn assert_books(store: &Store, run: RunId, bills: &[Bill], in_flight_at_deaths: u64) -> Books {
    let books = books(store, run, bills).await;
    assert!(books.hold(in_flight_at_deaths), "in flight at deaths: {in_flight_at_deaths}\n{books}");
    books
}

/// The store of a workplace, once `assay run` has made it.
pub async fn store_of(place: &Workplace) -> Store {
    let url = StoreUrl::Sqlite(place.path().join(".assay/assay.db"));
    let started = Instant::now();
    loop {
        match Store::open(&url, Schema::Require).await {
            Ok(store) => return store,
            Err(error) => assert!(started.elapsed() < EVENTUALLY, "there is no store: {error}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The latest run of a store.
pub async fn latest(store: &Store) -> RunId {
    store.runs(None, 1).await.unwrap().remove(0).id
}
