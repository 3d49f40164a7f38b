//! What `assay compare` takes.

use assay_coordinator::compare::{DEFAULT_FLIPS, MAX_FLIPS};

use super::Pages;

/// Two sides, and how much of their difference is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// What is compared with: RUN, NAME@VERSION, NAME@CHANNEL or CHANNEL
    #[arg(value_name = "A")]
    pub(crate) before: String,
    /// What is compared: RUN, NAME@VERSION, NAME@CHANNEL or CHANNEL
    #[arg(value_name = "B")]
    pub(crate) after: String,
    /// How many flipped cases to show each way, with both answers, at most 100
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FLIPS, value_parser = flips)]
    pub(crate) flips: usize,
    #[command(flatten)]
    pub(crate) pages: Pages,
}

fn flips(text: &str) -> Result<usize, String> {
    let many = || format!("a number from 0 to {MAX_FLIPS} is wanted");
    text.parse().ok().filter(|flips| *flips <= MAX_FLIPS).ok_or_else(many)
}
