//! What `assay quarantine` takes.

use assay_common::config::Span;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Put a case under quarantine for runs to come
    ///
    /// The ledger has to show that the baseline is flaky on it, and at most one case in twenty may be under quarantine. The
    /// verdict that decides still counts it; reports show beside it what it would be without.
    #[command(after_help = "\
Example:
  assay quarantine add t-17 --model openai/gpt-4.1-mini --owner ann --reason \"two queues are right\" --expires 14d")]
    Add {
        /// The case
        case: String,
        /// The model on which it wavers, as tables name it; not needed where the suite has one
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        /// The suite's name; that of the latest run when absent
        #[arg(long, value_name = "NAME")]
        suite: Option<String>,
        /// Who sees to it that the case stops wavering
        #[arg(long, value_name = "WHO")]
        owner: String,
        /// Why it wavers, as far as that is known
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// How long, at most 30d
        #[arg(long, value_name = "DURATION", default_value = "14d")]
        expires: Span,
    },
    /// Show what is under quarantine
    List {
        /// The suite's name; all suites when absent
        #[arg(long, value_name = "NAME")]
        suite: Option<String>,
        /// Also what was and is no more
        #[arg(long)]
        all: bool,
    },
    /// Take a case out of quarantine for runs to come
    Remove {
        /// The case
        case: String,
        /// The model, as `list` shows it; not needed where the case is under quarantine on one
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        /// The suite's name; not needed where it is under quarantine in one
        #[arg(long, value_name = "NAME")]
        suite: Option<String>,
    },
}
