//! The flags of `run` and `submit`.

use std::path::PathBuf;

use assay_common::config::Span;
use assay_common::suite::Priority;
use clap::ValueHint;

use super::Files;

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The suite file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) suite: PathBuf,
    /// Say what the run may take, in jobs, tokens and dollars for each model; nothing is stored or called
    #[arg(long, conflicts_with = "new")]
    pub(crate) estimate: bool,
    /// Start a new run even if an unfinished one could be resumed
    #[arg(long)]
    pub(crate) new: bool,
    /// How long the run may stand still while an account needs attention, and the store may be away
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub(crate) patience: Span,
    /// Where hints wait; one process needs no broker, so ASSAY_QUEUE is for the processes of a fleet alone
    #[arg(long, value_name = "URL", default_value = "memory:")]
    pub(crate) queue: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) files: Files,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SubmitArgs {
    /// The suite file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) suite: PathBuf,
    /// Follow the run to its end, print the report, and exit with its verdict
    #[arg(long)]
    pub(crate) wait: bool,
    /// Its weight against other runs: `interactive`, `normal` or `sweep` (default: what the suite says)
    #[arg(long, value_name = "PRIORITY")]
    pub(crate) priority: Option<Priority>,
    /// Submitted again under the same key, the same suite is the same run (default: a fresh key)
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// With --wait: how long the run may stand still while somebody has to do something, and the coordinator be away
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub(crate) patience: Span,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Where the versions that a store has not seen yet come from.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// What there is to say of prompt versions that are new (default: the subject of the commit)
    #[arg(long, value_name = "TEXT", env = "ASSAY_MESSAGE")]
    pub(crate) message: Option<String>,
    /// Who wrote them (default: the author of the commit)
    #[arg(long, value_name = "NAME", env = "ASSAY_AUTHOR")]
    pub(crate) author: Option<String>,
    /// The commit they come from (default: as git says beside the suite)
    #[arg(long, value_name = "COMMIT", env = "ASSAY_COMMIT")]
    pub(crate) commit: Option<String>,
}
