//! `assay review`, `risk`, `range` and `notify`.

use std::path::PathBuf;

use assay_common::config::Span;
use assay_store::{Signal, Subject};
use clap::{ArgGroup, Args, Subcommand, ValueHint};

/// A review to make.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("period").required(true).args(["week", "month"]))]
pub(crate) struct ReviewArgs {
    /// Of a week of the calendar, Monday to Sunday in UTC
    #[arg(long)]
    pub(crate) week: bool,
    /// Of a month of the calendar, in UTC
    #[arg(long)]
    pub(crate) month: bool,
    /// That in which this day or moment lies, such as 2026-03-01 (default: that which goes on)
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
    /// Print it as Markdown
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    pub(crate) markdown: bool,
    /// Print every pass rate of it as CSV
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Write it as a page with plots to this file, which needs nothing else
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RiskCommand {
    /// Write a risk down that is taken knowingly
    #[command(after_help = "\
Example:
  assay risk add \"answers in Dutch are untested\" --owner ann --deadline 2027-01-15 --prompt support")]
    Add {
        /// What may go wrong
        title: String,
        /// Who answers for it
        #[arg(long, value_name = "NAME")]
        owner: String,
        /// Until when something is done about it, such as 2027-01-15
        #[arg(long, value_name = "DATE")]
        deadline: String,
        /// The prompt it is of
        #[arg(long, value_name = "NAME")]
        prompt: Option<String>,
    },
    /// Risks that are open, the most pressing first
    List {
        /// Also those that were closed
        #[arg(long)]
        all: bool,
    },
    /// Close a risk
    Close {
        /// Its number
        number: i64,
        /// What was done about it
        #[arg(long, value_name = "TEXT")]
        outcome: String,
    },
}

/// Whose signal.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// Of this prompt alone
    #[arg(long, value_name = "NAME", conflicts_with = "owner")]
    prompt: Option<String>,
    /// Of the prompts of this owner
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
}

impl Whose {
    pub(crate) fn subject(self) -> Subject {
        match (self.prompt, self.owner) {
            (Some(prompt), _) => Subject::Prompt(prompt),
            (None, Some(owner)) => Subject::Owner(owner),
            (None, None) => Subject::All,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RangeCommand {
    /// Say what is acceptable in a signal, in place of what was said before
    #[command(after_help = "\
Examples:
  assay range set rollback_rate --max 0.2
  assay range set pass_rate --min 0.85 --prompt support --window 7d
  assay range set regression_incidents --max 1 --owner support-team@example.com")]
    Set {
        /// regression_incidents, pass_rate or rollback_rate
        signal: Signal,
        /// The least that is acceptable
        #[arg(long, value_name = "NUMBER")]
        min: Option<f64>,
        /// The most that is acceptable
        #[arg(long, value_name = "NUMBER")]
        max: Option<f64>,
        /// Over how long up to now it is measured, 1h to 366d
        #[arg(long, value_name = "DURATION", default_value = "30d")]
        window: Span,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Every range, how its signal stands, and whether it is outside
    #[command(after_help = "\
Exit codes:
  0  no signal is outside its range
  1  one is
  4  the store, or the coordinator that --server names, cannot be read; stderr says why")]
    List,
    /// Take a range back
    Remove {
        /// regression_incidents, pass_rate or rollback_rate
        signal: Signal,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NotifyCommand {
    /// What is on its way to webhooks, and what was given up; newest first
    List {
        /// Also what was delivered
        #[arg(long)]
        all: bool,
    },
    /// Send a test to a webhook of assay.toml, or to all of them
    #[command(after_help = "\
Exit codes:
  0  it was taken, or another process sends it: with --server, the coordinator that leads
  1  it was not; stderr says why
  2  assay.toml has no such webhook
  4  the store or the coordinator cannot be reached")]
    Test {
        /// The webhook's name; all when absent
        webhook: Option<String>,
    },
    /// Try again at once what was not taken, or was given up
    Retry {
        /// The webhook's name; all when absent
        webhook: Option<String>,
    },
}
