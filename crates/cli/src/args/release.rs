//! `assay prompt` and `assay incident`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use assay_coordinator::release::Which;
use clap::{Subcommand, ValueHint};

/// NAME, or NAME@VERSION.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// The prompt.
    pub(crate) prompt: String,
    /// Its number, or its digest or the beginning of that.
    pub(crate) which: Option<Which>,
}

impl FromStr for Version {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (prompt, which) = match text.rsplit_once('@') {
            Some((prompt, which)) => (prompt, Some(which.parse()?)),
            None => (text, None),
        };
        Ok(Self { prompt: prompt.to_owned(), which })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum PromptCommand {
    /// Every prompt, and what is live of it
    List,
    /// A version with its text and its verdicts; the newest without @VERSION
    Show {
        /// NAME or NAME@VERSION
        #[arg(value_name = "NAME[@VERSION]")]
        named: Version,
    },
    /// What two versions of a prompt differ in
    Diff {
        /// The prompt
        name: String,
        /// The older version: a number or a digest
        from: Which,
        /// The newer version
        to: Which,
    },
    /// What was released when, by whom and on what evidence
    #[command(after_help = "\
Examples:
  assay prompt history support --channel production
  assay prompt history support --at 2026-03-01T09:00:00Z        what was live then
  assay prompt history support --all                            every version ever seen")]
    History {
        /// The prompt
        name: String,
        /// On this channel alone
        #[arg(long, value_name = "CHANNEL")]
        channel: Option<String>,
        /// What was live at this moment: 2026-03-01 or 2026-03-01T09:00:00Z
        #[arg(long, value_name = "TIME", conflicts_with = "all")]
        at: Option<String>,
        /// Every version ever seen, released or not
        #[arg(long, conflicts_with = "channel")]
        all: bool,
    },
    /// Put a version on a channel, on a passing verdict against what is live there
    ///
    /// Where nothing is live yet, the verdict has to stand on a rule about the version alone.
    #[command(after_help = "\
Examples:
  assay prompt promote support@2 --channel production
  assay prompt promote support@3 --channel production --override --reason \"fixes a leak; evals follow\"

Exit codes:
  0  it is live
  1  refused: the verdicts do not carry it; stderr names the rule
  2  the prompt, version or channel is not there, or the version is live already
  4  somebody else was first, or the store cannot be reached; nothing was changed")]
    Promote {
        /// The version: by its number, or its digest
        #[arg(value_name = "NAME@VERSION")]
        named: Version,
        /// The channel, such as production
        #[arg(long, value_name = "CHANNEL")]
        channel: String,
        /// Without a passing verdict; opens an incident
        #[arg(long = "override", requires = "reason")]
        overriding: bool,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Make the channel, though its name is near that of another
        #[arg(long)]
        new_channel: bool,
    },
    /// Put the version that was live before back on a channel, at once
    #[command(after_help = "\
Examples:
  assay prompt rollback support --channel production --reason \"it invents refunds\"
  assay prompt rollback support --channel production --from 2 --reason \"so does that\"

Exit codes:
  0  it is live
  2  the prompt or channel is not there, or there is nothing to roll back to
  4  somebody else was first, or the store cannot be reached; nothing was changed")]
    Rollback {
        /// The prompt
        name: String,
        /// The channel
        #[arg(long, value_name = "CHANNEL")]
        channel: String,
        /// The version to take off, by its number or its digest: needed where what is live was rolled back to
        #[arg(long, value_name = "VERSION")]
        from: Option<Which>,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Roll back what is live on a channel on a scratch channel, and say how long it took
    Rehearse {
        /// The prompt
        name: String,
        /// The channel whose releases are rehearsed; it is not touched
        #[arg(long, value_name = "CHANNEL")]
        channel: String,
    },
    /// Print the text that is live on a channel
    Pull {
        /// The prompt
        name: String,
        /// The channel
        #[arg(long, value_name = "CHANNEL")]
        channel: String,
        /// Write it to this file instead
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Say whether a prompt file may be deployed to a channel
    ///
    /// It may when it is live there, or has an unexpired passing verdict against what is live there.
    #[command(after_help = "\
Example, as the last step before a deployment:
  assay prompt verify prompts/support.md --channel production

Exit codes:
  0  it may
  1  it may not; stderr says why
  2  the file cannot be read, or the channel or prompt is not there
  4  the store or the coordinator cannot be reached")]
    Verify {
        /// The prompt file, as a suite names it
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The channel
        #[arg(long, value_name = "CHANNEL")]
        channel: String,
        /// The prompt it has to be a version of; any when absent
        #[arg(long, value_name = "NAME")]
        prompt: Option<String>,
        /// Nothing was released to the channel yet: a verdict on the version alone suffices
        #[arg(long)]
        new_channel: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Incidents that are open
    List {
        /// Also those that are resolved
        #[arg(long)]
        all: bool,
    },
    /// An incident with everything that happened to it
    Show {
        /// Its number
        number: i64,
    },
    /// Open an incident of what is live; noted with the one that somebody has opened of it, if any
    Open {
        /// The prompt
        name: String,
        /// The channel
        #[arg(long, value_name = "CHANNEL")]
        channel: String,
        /// What is wrong
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take an incident up
    Ack {
        /// Its number
        number: i64,
    },
    /// Say which release took the version off the channel; a rollback does so by itself
    Link {
        /// Its number
        number: i64,
        /// The release, as `assay prompt history` numbers them (default: the first since)
        #[arg(long, value_name = "NUMBER")]
        release: Option<i64>,
    },
    /// Close an incident
    Resolve {
        /// Its number
        number: i64,
        /// What it came from
        #[arg(long, value_name = "TEXT")]
        cause: String,
    },
    /// Open a closed incident again
    Reopen {
        /// Its number
        number: i64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}
