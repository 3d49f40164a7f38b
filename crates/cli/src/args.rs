//! The command line, and the help that teaches it.
//!
//! One file for the flags of a family of commands.

mod compare;
mod files;
mod fleet;
mod limits;
mod quarantine;
mod release;
mod review;
mod run;
mod schedule;
mod steer;

use std::path::PathBuf;

use assay_common::config::Span;
use assay_common::id::RunId;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueHint};

pub(crate) use self::compare::CompareArgs;
pub(crate) use self::files::{Files, Pages};
pub(crate) use self::fleet::{CoordinatorArgs, TokenCommand, WorkerArgs};
pub(crate) use self::limits::{LimitsCommand, SetArgs};
pub(crate) use self::quarantine::QuarantineCommand;
pub(crate) use self::release::{IncidentCommand, PromptCommand, Version};
pub(crate) use self::review::{NotifyCommand, RangeCommand, ReviewArgs, RiskCommand};
pub(crate) use self::run::{RunArgs, SourceArgs, SubmitArgs};
pub(crate) use self::schedule::ScheduleCommand;
pub(crate) use self::steer::{RetryArgs, Steer};

/// What every command that runs or judges ends with.
macro_rules! exit_codes {
    () => {
        "\
Exit codes:
  0  done; with a gate, the verdict is pass
  1  the verdict is fail
  2  the input is wrong (usage, suite, configuration); nothing was stored or called
  3  the verdict is inconclusive; without a gate, jobs errored or were cancelled
  4  could not finish; stderr says why and how to go on"
    };
}

/// What every command that steers a run ends with.
macro_rules! steering_codes {
    () => {
        "\
Exit codes:
  0  done, or it was so already
  2  there is no such run, its state does not allow it, or the token does not
  4  the store, or the coordinator that --server names, cannot be reached; stderr says why"
    };
}

/// Prompt evaluation that lets a prompt ship only when the numbers say so.
#[derive(Debug, Parser)]
#[command(
    name = "assay",
    version,
    propagate_version = true,
    after_help = concat!(exit_codes!(), "\n\nStart here:\n  assay run examples/first-look/suite.yaml")
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Flags that every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Where results live: sqlite:PATH or postgres://USER@HOST/DATABASE
    ///
    /// Without it: `store` in assay.toml, else sqlite:.assay/assay.db beside assay.toml, else in this folder.
    #[arg(long, global = true, value_name = "URL", env = "ASSAY_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The configuration to use instead of the nearest assay.toml upward from this folder
    #[arg(long, global = true, value_name = "FILE", env = "ASSAY_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// The coordinator to ask, such as http://127.0.0.1:8080; without it, commands that read or release use the store
    #[arg(long, global = true, value_name = "URL", env = "ASSAY_SERVER")]
    pub(crate) server: Option<String>,
    /// The token to ask a coordinator with; better set in the environment, where other users do not see it
    #[arg(long, global = true, value_name = "TOKEN", env = "ASSAY_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Whether --store was typed, not taken from the environment.
    #[arg(skip)]
    pub(crate) store_typed: bool,
    /// Whether --server was.
    #[arg(skip)]
    pub(crate) server_typed: bool,
    /// Print one JSON document on stdout, and everything else on stderr; `results` prints one a line, with it or without
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to log on stderr, such as `info` or `assay_worker=debug,warn`
    ///
    /// Without it: RUST_LOG, else `info` for the processes of a fleet and `warn` for every other command.
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How log lines are written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT", env = "ASSAY_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a suite here and print pass rates and verdict
    ///
    /// Runs coordinator and worker in this process; no server is needed. An unfinished run of the same suite
    /// revision in the store is resumed, and nothing is paid for twice.
    #[command(after_help = concat!("\
Examples:
  assay run suite.yaml                                  the table and the verdict
  assay run suite.yaml --estimate                       jobs, tokens and dollars, before anything is paid
  assay run suite.yaml --json > report.json             one document, for scripts
  assay run suite.yaml --markdown report.md             for a pull request
  assay run suite.yaml --new --store postgres://assay@db/assay

In CI, ship only what passes:
  assay run suite.yaml && ./deploy.sh

", exit_codes!()))]
    Run(RunArgs),
    /// Check a suite: every problem, with its place in the file
    ///
    /// Nothing is stored and nothing is called; a key that a run would need is a warning.
    #[command(after_help = "\
Examples:
  assay validate suite.yaml
  assay validate suite.yaml --json                      revision, cases, jobs, warnings

Exit codes:
  0  the suite can run
  2  it cannot; stderr says what is wrong and where")]
    Validate {
        /// The suite file
        #[arg(value_hint = ValueHint::FilePath)]
        suite: PathBuf,
    },
    /// Print the JSON Schema of the suite file, for editors
    ///
    /// For YAML language servers, put this on the first line of a suite:
    ///   # yaml-language-server: $schema=suite.schema.json
    Schema,
    /// Show a run: its state, pass rates and verdict; without RUN the latest runs
    ///
    /// Reads the store alone, also while the run goes on; with --server it asks a coordinator.
    #[command(after_help = "\
Examples:
  assay status                                          the latest runs, each with its id
  assay status 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b     the table and the verdict again
  assay status 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --junit report.xml
  ASSAY_TOKEN=… assay status --server http://127.0.0.1:8080       of a coordinator, with a token that may read

Exit codes:
  0  shown, whatever the verdict is
  2  there is no such run, a file is asked for and no run is named, or the token does not allow it
  4  the store, or the coordinator that --server names, cannot be read; stderr says why")]
    Status {
        /// The run's id
        run: Option<RunId>,
        #[command(flatten)]
        files: Files,
    },
    /// Print every result of a run, one JSON object a line
    ///
    /// A line holds the case, the prompt's label, the model, the trial, the outcome, every scorer's finding, the full
    /// answer, tokens, cost and latency.
    #[command(after_help = "\
Examples:
  assay results                                         of the latest run
  assay results | jq 'select(.outcome == \"failed\") | {case, label, output}'
  assay results 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b > results.jsonl
  ASSAY_TOKEN=… assay results --server http://127.0.0.1:8080      of a coordinator, with a token that may read

Exit codes:
  0  every result so far was printed
  2  there is no such run, or the token does not allow it
  4  the store, or the coordinator that --server names, cannot be read; stderr says why")]
    Results {
        /// The run's id; the latest run when absent
        run: Option<RunId>,
        /// Print the results that later generations have replaced, instead of those that count
        #[arg(long)]
        earlier: bool,
    },
    /// Show what changed between two runs, or two versions of a prompt
    ///
    /// Text of the prompts, pass rates with intervals, the difference on the same cases with its interval and p-value,
    /// which cases flipped and what was answered, slices, cost and latency.
    #[command(after_help = "\
A side is one of
  RUN                   a run, all its prompts and models
  NAME@VERSION          a prompt's version, by number or digest, in the newest completed run that has it
  NAME@CHANNEL          the version that is live on a channel, likewise
  CHANNEL               the same of the prompt that the other side is about
and with :LABEL only one prompt or model of it.

Examples:
  assay compare triage@3 triage@4
  assay compare production staging
  assay compare 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b 0190a1b2-d5e6-7e5f-8a9b-0c1d2e3f4a5b
  assay compare 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b:openai/gpt-4.1 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b:openai/gpt-4.1-mini

Exit codes:
  0  compared, whatever came out
  2  a side is not there, or nothing of both can be compared
  4  the store, or the coordinator that --server names, cannot be read; stderr says why")]
    Compare(CompareArgs),
    /// Show cases whose repeats disagree, over the latest runs of a suite
    ///
    /// Added up from results: per case, version and model how many repeats there were, how many are on the rarer side, and
    /// how often two disagree. Flaky is what eight repeats or more convict; else a case is suspect.
    #[command(after_help = "\
Examples:
  assay flaky                                           of the suite of the latest run
  assay flaky --suite triage --runs 50 --json

Exit codes:
  0  shown, whatever was found
  2  there is no run of the suite yet
  4  the store, or the coordinator that --server names, cannot be read; stderr says why")]
    Flaky {
        /// The suite's name; that of the latest run when absent
        #[arg(long, value_name = "NAME")]
        suite: Option<String>,
        /// How many of its latest runs are added up
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
    },
    /// Put flaky cases under quarantine: verdicts are shown with and without them
    Quarantine {
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Submit a suite to a coordinator and print the run's id
    ///
    /// The suite is validated here; its files are sent where the coordinator does not have them yet.
    #[command(after_help = "\
Examples:
  assay submit suite.yaml --server http://127.0.0.1:8080
  assay submit suite.yaml --priority sweep              yields to everything else
  assay submit suite.yaml --wait --json --idempotency-key \"$CI_PIPELINE_ID\" > report.json

Exit codes:
  0  submitted; with --wait and a gate, the verdict is pass
  1  with --wait: the verdict is fail
  2  the input is wrong (usage, suite, token); no run was made
  3  with --wait: the verdict is inconclusive; without a gate, jobs errored or were cancelled
  4  could not finish; stderr says whether a run was made and goes on")]
    Submit(SubmitArgs),
    /// Follow a run of a coordinator to its end; print the report and exit with its verdict
    #[command(after_help = "\
Examples:
  assay watch 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --server http://127.0.0.1:8080
  assay watch 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --json > report.json

Exit codes:
  0  the run is over; with a gate, the verdict is pass
  1  the verdict is fail
  2  there is no such run, or the token does not allow it
  3  the verdict is inconclusive; without a gate, jobs errored or were cancelled
  4  not over: the coordinator is away, somebody has to do something, or Ctrl-C; the run goes on")]
    Watch {
        /// The run's id
        run: RunId,
        /// How long the run may stand still while somebody has to do something, and the coordinator may be away
        #[arg(long, value_name = "DURATION", default_value = "60s")]
        patience: Span,
        #[command(flatten)]
        files: Files,
    },
    /// Stop a run for good: nothing more of it is asked
    #[command(after_help = concat!("\
Examples:
  assay cancel 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --reason \"the prompt was wrong\"
  assay cancel 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --server http://127.0.0.1:8080

", steering_codes!()))]
    Cancel(Steer),
    /// Pause a run: what is in flight finishes
    #[command(after_help = concat!("\
Examples:
  assay pause 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --reason \"the provider is ill\"
  assay pause 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --server http://127.0.0.1:8080

", steering_codes!()))]
    Pause(Steer),
    /// Let a paused run go on
    #[command(after_help = concat!("\
Examples:
  assay resume 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --reason \"the provider is back\"
  assay resume 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --server http://127.0.0.1:8080

", steering_codes!()))]
    Resume(Steer),
    /// Prompts and their versions: what is live where, and how it gets there
    Prompt {
        #[command(subcommand)]
        command: PromptCommand,
    },
    /// Incidents: what is wrong with a version that was released
    Incident {
        #[command(subcommand)]
        command: IncidentCommand,
    },
    /// What a week or a month came to: releases, verdicts, pass rates, incidents, spend, risks
    ///
    /// As it stood at the end of that time: what was closed later was open then. Nothing but what runs came to is read.
    #[command(after_help = "\
Examples:
  assay review --week                                   this week so far
  assay review --month --at 2026-10-01 --html october.html
  assay review --week --at 2026-11-16 --markdown >> notes.md

Exit codes:
  0  made
  2  there is no such week or month, or it has not begun
  4  the store, or the coordinator that --server names, cannot be read; stderr says why")]
    Review(ReviewArgs),
    /// Risks that were taken knowingly, each with somebody who answers for it and a deadline
    Risk {
        #[command(subcommand)]
        command: RiskCommand,
    },
    /// What is acceptable in the three signals: regression incidents, pass rate, rollback rate
    Range {
        #[command(subcommand)]
        command: RangeCommand,
    },
    /// What provider accounts allow, who may use how much of it now, and what today has cost
    ///
    /// Shows all limits when nothing more is said: what files say, what was set and learned, what each worker may use, and why it
    /// is not all used. Where no call begins it says until when.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "\
Examples:
  assay limits
  assay limits --json --server http://127.0.0.1:8080
  assay limits set openai --requests-per-minute 5000 --reason \"tier 4 since today\"
  assay limits clear openai --reason \"back to the contract\"
  assay limits resume openai --reason \"the key is topped up\"

Exit codes:
  0  shown
  2  the input is wrong
  4  the store, or the coordinator that --server names, cannot be read; stderr says why"
    )]
    Limits {
        #[command(subcommand)]
        command: Option<LimitsCommand>,
    },
    /// Webhooks of assay.toml: what is on its way to them, tests, and another try
    Notify {
        #[command(subcommand)]
        command: NotifyCommand,
    },
    /// Schedules: suites that sweep what is live, and open an incident when it got worse
    Schedule {
        #[command(subcommand)]
        command: ScheduleCommand,
    },
    /// Ask again what errored in a run; the run opens again
    ///
    /// Each of these jobs begins a new generation. Its earlier result stays: `assay results RUN --earlier`.
    #[command(after_help = concat!("\
Examples:
  assay retry 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --errored
  assay retry 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --errored --kind provider --reason \"the outage is over\"

A coordinator goes on with it by itself; in a store of your own, the same `assay run SUITE` does.

", steering_codes!()))]
    Retry(RetryArgs),
    /// Make, list and revoke the tokens of a coordinator's API, in its store
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Create or upgrade the schema of a store
    #[command(after_help = "\
Exit codes:
  0  the schema is the one this assay needs, or is now
  2  the store's folder is not there
  4  it is not, and stderr says what to do")]
    Migrate {
        /// Change nothing: say whether this assay can work on the store as it is
        #[arg(long)]
        check: bool,
    },
    /// Remove the results, calls and jobs of old runs; their reports, verdicts and prompt versions stay
    ///
    /// A dataset that no remaining run refers to goes too. Reads and writes the store alone, in portions.
    #[command(after_help = "\
Examples:
  assay prune --older-than 90d --dry-run                what would go
  assay prune --older-than 90d --store postgres://assay@db/assay

Exit codes:
  0  done; with --dry-run, nothing was changed
  2  the usage is wrong
  4  the store cannot be reached, is no store yet, or is in use; stderr says why, and what is left goes with the next one")]
    Prune {
        /// Runs that ended so long ago, such as `90d`
        #[arg(long, value_name = "DURATION")]
        older_than: Span,
        /// Say what would go, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Drive every open run of a store: expand, dispatch to workers, finish; and serve the API
    ///
    /// Any number may run on one store: one leads, the others take over when it is gone. Workers take their jobs from
    /// the queue and record results in the store by themselves.
    #[command(after_help = "\
Example:
  assay coordinator --store postgres://assay@db/assay --queue amqp://assay@broker --listen 0.0.0.0:8080")]
    Coordinator(CoordinatorArgs),
    /// Execute jobs of every open run whose provider this process has a key for
    ///
    /// Any number, anywhere. They share the limits of each provider account among themselves: see `assay limits`.
    #[command(after_help = "\
Example:
  OPENAI_API_KEY=… assay worker --store postgres://assay@db/assay --queue amqp://assay@broker")]
    Worker(WorkerArgs),
}

impl Command {
    /// Whether it may change what somebody is told of.
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Run(_) | Self::Cancel(_) | Self::Pause(_) | Self::Resume(_) | Self::Retry(_) => true,
            Self::Prompt { command } => {
                matches!(command, PromptCommand::Promote { .. } | PromptCommand::Rollback { .. })
            }
            Self::Incident { command } => {
                !matches!(command, IncidentCommand::List { .. } | IncidentCommand::Show { .. })
            }
            // Whoever asks how signals stand finds out what nobody has looked at yet.
            Self::Range { command } => matches!(command, RangeCommand::Set { .. } | RangeCommand::List),
            Self::Schedule { command } => matches!(command, ScheduleCommand::RunNow { .. }),
            _ => false,
        }
    }

    /// Whether it never asks a coordinator, wherever one is.
    pub(crate) fn is_local(&self) -> bool {
        let is_work = matches!(self, Self::Run(_) | Self::Coordinator(_) | Self::Worker(_));
        is_work || matches!(self, Self::Migrate { .. } | Self::Prune { .. } | Self::Token { .. })
    }

    /// Whether it runs until it is told to stop.
    pub(crate) fn is_of_a_fleet(&self) -> bool {
        matches!(self, Self::Coordinator(_) | Self::Worker(_))
    }
}

impl Args {
    /// Reads the command line; ends the process where it is wrong, or asks for help.
    pub(crate) fn read() -> Self {
        let matches = Self::command().get_matches();
        let mut args = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        // A flag of all commands is found with the innermost.
        let mut innermost = &matches;
        while let Some((_, matches)) = innermost.subcommand() {
            innermost = matches;
        }
        let typed = |flag| innermost.value_source(flag) == Some(ValueSource::CommandLine);
        (args.common.store_typed, args.common.server_typed) = (typed("store"), typed("server"));
        // A variable that is set to nothing says nothing: CI systems do that.
        args.common.store = args.common.store.filter(|store| !store.is_empty());
        args.common.config = args.common.config.filter(|config| !config.as_os_str().is_empty());
        args
    }
}
