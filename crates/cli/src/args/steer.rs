//! The flags of `cancel`, `pause`, `resume` and `retry`.

use assay_common::id::RunId;
use assay_common::outcome::ErrorKind;

/// A run, and why it is steered.
#[derive(Debug, clap::Args)]
pub(crate) struct Steer {
    /// The run's id
    pub(crate) run: RunId,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "asked for on the command line")]
    pub(crate) reason: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) steer: Steer,
    /// Ask again every job that errored
    #[arg(long, required = true)]
    pub(crate) errored: bool,
    /// Only those that errored in this way, such as `provider`, `malformed` or `gave_up`
    #[arg(long, value_name = "KIND", value_parser = error_kind)]
    pub(crate) kind: Option<ErrorKind>,
}

fn error_kind(word: &str) -> Result<ErrorKind, String> {
    ErrorKind::from_word(word).ok_or_else(|| {
        let kinds: Vec<_> = ErrorKind::ALL.into_iter().map(ErrorKind::word).collect();
        format!("jobs error as {}", kinds.join(", "))
    })
}
