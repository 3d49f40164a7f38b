//! What `assay schedule` takes.

use std::path::PathBuf;

use assay_common::config::Span;
use assay_coordinator::api::schedules::{CLEAN_SWEEPS, UTC};
use clap::{Subcommand, ValueHint};

#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Have a suite sweep what is live, at the times of a cron expression
    ///
    /// The suite is frozen now: its file is not read again. Of its prompts the names count: a sweep asks the versions that are
    /// live on the channels at that time. Each is held against a baseline of five trials a case, which is measured once when it
    /// is live; what got worse opens an incident.
    #[command(after_help = "\
Examples:
  assay schedule add suite.yaml --channel production --cron \"0 3 * * *\"
  assay schedule add suite.yaml --channel production --channel staging --cron \"0 3 * * MON-FRI\" --time-zone Europe/Berlin
  assay schedule add suite.yaml --channel production --cron @daily --name nightly --server http://127.0.0.1:8080

A coordinator fires it by itself; in a store of your own `assay schedule run-now` does.

Exit codes:
  0  added
  2  the suite, the expression, the zone or a channel is wrong, nothing of it is live, or there is one of that name
  4  the store, or the coordinator that --server names, cannot be reached")]
    Add {
        /// The suite file
        #[arg(value_hint = ValueHint::FilePath)]
        suite: PathBuf,
        /// When: minute, hour, day, month, weekday
        #[arg(long, value_name = "EXPRESSION")]
        cron: String,
        /// A channel whose versions are swept; may be given again
        #[arg(long = "channel", value_name = "CHANNEL", required = true)]
        channels: Vec<String>,
        /// The time zone of the expression, by its IANA name
        #[arg(long, value_name = "ZONE", default_value = UTC)]
        time_zone: String,
        /// What to call it; the suite's name when absent
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// After so many clean sweeps in a row an incident that it opened is resolved
        #[arg(long, value_name = "N", default_value_t = CLEAN_SWEEPS)]
        clean_sweeps: u32,
    },
    /// Every schedule, when it is due, and what its latest sweep found
    List,
    /// A schedule with its latest sweeps
    Show {
        /// Its name
        name: String,
    },
    /// Let nothing of it be due; a sweep that is under way ends
    Pause {
        /// Its name
        name: String,
    },
    /// Let it be due again; what it missed while it was paused stays out
    Resume {
        /// Its name
        name: String,
    },
    /// Sweep now, whether or not it is due
    ///
    /// With --server a coordinator does so, and the run's id is printed. In a store of your own it happens here: baselines
    /// that are missing are measured first, and what looks suspicious is asked a second time.
    #[command(after_help = "\
Examples:
  assay schedule run-now nightly
  assay schedule run-now nightly --server http://127.0.0.1:8080

Exit codes:
  0  swept, and nothing is worse; with --server, begun
  1  something is worse than its baseline: an incident is open
  2  there is no such schedule, nothing of it is live, or a sweep of it is under way
  4  could not finish; the same command goes on")]
    RunNow {
        /// Its name
        name: String,
        /// How long a run may stand still while an account needs attention, and the store may be away
        #[arg(long, value_name = "DURATION", default_value = "60s")]
        patience: Span,
    },
    /// Remove it; its runs and incidents stay
    Remove {
        /// Its name
        name: String,
    },
}
