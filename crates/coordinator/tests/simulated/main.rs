//! What is known of gates by simulation, with fixed seeds, and the pictures of the documentation.
//!
//! - `chance`: the source of chance
//! - `margin`: how often a gate that looks again and again is wrong
//! - `shares`: which share of a suite it takes to decide
//! - `pictures`: the plots in docs/img, drawn with the functions that gates use
//!
//! Short in every test run. At length, with the numbers printed, and the pictures drawn anew:
//!
//! ```sh
//! ASSAY_REPLICATES=20000 cargo test --release -p assay-coordinator --test simulated -- --nocapture
//! ASSAY_DRAW=1 cargo test -p assay-coordinator --test simulated pictures
//! ```
#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

mod chance;
#[path = "../shared/first_look.rs"]
mod first_look;
mod margin;
mod pictures;
mod shares;

/// How many runs to simulate: as many as the environment says, else so many.
fn replicates(few: u64) -> u64 {
    std::env::var("ASSAY_REPLICATES").map_or(few, |text| text.parse().unwrap())
}
