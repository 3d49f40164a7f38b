//! The files that commands write beside stdout.

use std::path::PathBuf;

use clap::ValueHint;

/// Reports for machines and reviewers, beside the one on stdout.
#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// Write every rule of the gate and every job as JUnit test cases to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pages: Pages,
}

/// Reports for reviewers.
#[derive(Debug, clap::Args)]
pub(crate) struct Pages {
    /// Write the report as Markdown to this file, for a pull request
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) markdown: Option<PathBuf>,
    /// Add the report as Markdown to the summary of this GitHub Actions step: the file that GITHUB_STEP_SUMMARY names
    #[arg(long)]
    pub(crate) step_summary: bool,
}
