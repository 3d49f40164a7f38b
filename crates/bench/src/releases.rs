//! How fast a channel moves in a store that has grown: `assay prompt promote` and `rollback` among many versions of a prompt and
//! many results, each from the start of the process to its end.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use crate::binaries::Binaries;
use crate::measure::assay;
use crate::workload::{StoreKind, write_cases};

/// Cases that each version is asked. Each is judged, so there are as many verdicts as versions.
const CASES: u64 = 100;
const CONFIG: &str = "[providers.mirror]\nkind = \"echo\"\n";

/// How long each took, in seconds.
pub(crate) struct Moved {
    /// A promotion on a verdict.
    pub(crate) promote_s: f64,
    /// A rollback.
    pub(crate) rollback_s: f64,
}

/// Fills a store with [`CASES`] results of each of so many versions, and moves a channel in it.
pub(crate) fn releases(binaries: &Binaries, store: &StoreKind, versions: u64) -> anyhow::Result<Moved> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    write_cases(folder.path(), CASES).context("failed to write the cases")?;
    fs::write(folder.path().join("suite.yaml"), suite(versions))?;
    fs::write(folder.path().join("assay.toml"), CONFIG)?;
    told(assay(&binaries.assay, folder.path(), store).output()?)?;
    let prompt = |arguments: &[&str]| timed(&binaries.assay, folder.path(), store, arguments);
    // The first is what the others are compared with, and not judged.
    prompt(&["promote", "repeat@2", "--channel", "production"])?;
    // Its verdict compares it with nothing: over what is live it goes by an override, to have something to roll back.
    prompt(&["promote", "repeat@3", "--channel", "production", "--override", "--reason", "to come back"])?;
    let rollback_s = prompt(&["rollback", "repeat", "--channel", "production", "--reason", "measured"])?;
    let last = format!("repeat@{versions}");
    let promote_s = prompt(&["promote", &last, "--channel", "staging"])?;
    Ok(Moved { promote_s, rollback_s })
}

/// One suite whose prompts are all versions of one line of work; a gate judges each of them.
fn suite(versions: u64) -> String {
    let mut suite = String::from("suite: benchmark-releases\nprompts:\n");
    for version in 1..=versions {
        // Writing to a String cannot fail.
        let _ =
            writeln!(suite, "  - {{name: repeat, label: v{version}, text: 'v{version} {{{{ number }}}}'}}");
    }
    suite.push_str(
        "models: [mirror/m]\ncases: [{file: cases.jsonl, id: id}]\nscore: [{type: contains, value: v}]\n\
         gate: {rules: [{metric: pass_rate, min: 0.5}]}\n",
    );
    suite
}

/// The seconds of an `assay prompt`.
fn timed(binary: &Path, folder: &Path, store: &StoreKind, arguments: &[&str]) -> anyhow::Result<f64> {
    let mut command = Command::new(binary);
    command.arg("prompt").args(arguments).current_dir(folder);
    if let StoreKind::Url(url) = store {
        command.args(["--store", url]);
    }
    let started = Instant::now();
    let ended = command.output().context("failed to start assay")?;
    let wall_s = started.elapsed().as_secs_f64();
    told(ended)?;
    Ok(wall_s)
}

fn told(ended: Output) -> anyhow::Result<()> {
    ensure!(ended.status.success(), "assay failed: {}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
