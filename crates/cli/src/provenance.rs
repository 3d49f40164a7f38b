//! Where prompt versions come from that a store has not seen yet: flags, then the environment, then git beside the suite.

use std::path::Path;
use std::process::{Command, Stdio};

use assay_store::Provenance;

use crate::args::SourceArgs;

/// Variables in which CI systems say the commit.
const CI_COMMIT: [&str; 2] = ["GITHUB_SHA", "CI_COMMIT_SHA"];

/// What can be said of the versions of a suite.
pub(crate) fn provenance(flags: &SourceArgs, suite: &Path) -> Provenance {
    let folder = suite.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = committed(folder).unwrap_or_default();
    let set = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let ci = || CI_COMMIT.iter().find_map(|name| set(std::env::var(name).ok()));
    Provenance {
        message: set(flags.message.clone()).or(found.message),
        author: set(flags.author.clone()).or(found.author),
        commit: set(flags.commit.clone()).or(found.commit).or_else(ci),
    }
}

/// The commit that a folder stands at. Of files that have changed since, its message says nothing.
fn committed(folder: &Path) -> Option<Provenance> {
    let said = git(folder, &["log", "-1", "--format=%H%n%an%n%s"])?;
    let mut lines = said.lines().map(str::to_owned);
    let (commit, author, message) = (lines.next()?, lines.next(), lines.next());
    let changed = git(folder, &["status", "--porcelain", "--", "."]).is_none_or(|files| !files.is_empty());
    if changed {
        let author = git(folder, &["config", "user.name"]).map(|name| name.trim().to_owned());
        return Some(Provenance { message: None, author, commit: Some(format!("{commit}-dirty")) });
    }
    Some(Provenance { message, author, commit: Some(commit) })
}

/// What git says; nothing where there is no git or no repository.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // A repository that was cloned must not say what is run here.
    command.args(["-c", "core.fsmonitor=false", "-C"]).arg(folder).args(arguments).stdin(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
