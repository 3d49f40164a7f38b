//! How fast two runs are compared: `assay compare` on two runs of the same cases, from the start of the process to its end.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::Instant;

use crate::binaries::Binaries;
use crate::measure::assay;
use crate::workload::{StoreKind, write_cases};

/// Cases of each run.
const CASES: u64 = 100_000;

/// A provider that answers with its request, so nothing but assay is at work; a third of the answers fails.
const SUITE: &str = r#"suite: benchmark-compare
prompts:
  - name: repeat
    text: "{{ number }}"
models:
  - mirror/m
cases:
  - file: cases.jsonl
    id: id
score:
  - type: regex
    value: "[1-6]$"
"#;
const CONFIG: &str = "[providers.mirror]\nkind = \"echo\"\n";

/// Makes two runs and compares them; the seconds that took.
pub(crate) fn compare(binaries: &Binaries, store: &StoreKind) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    write_cases(folder.path(), CASES).context("failed to write the cases")?;
    fs::write(folder.path().join("suite.yaml"), SUITE)?;
    fs::write(folder.path().join("assay.toml"), CONFIG)?;
    let runs = [run(binaries, folder.path(), store)?, run(binaries, folder.path(), store)?];
    let mut command = Command::new(&binaries.assay);
    command.args(["compare", &runs[0], &runs[1], "--json"]).current_dir(folder.path()).stdin(Stdio::null());
    if let StoreKind::Url(url) = store {
        command.args(["--store", url]);
    }
    let started = Instant::now();
    let compared = command.output().context("failed to start assay")?;
    let wall_s = started.elapsed().as_secs_f64();
    ensure!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stderr));
    let document: Value = serde_json::from_slice(&compared.stdout)?;
    let cases = &document["pairs"][0]["paired"]["cases"];
    ensure!(*cases == CASES, "{cases} of {CASES} cases were compared");
    Ok(wall_s)
}

/// Runs the suite afresh; its id.
fn run(binaries: &Binaries, folder: &Path, store: &StoreKind) -> anyhow::Result<String> {
    let ran = assay(&binaries.assay, folder, store).arg("--new").output().context("failed to start assay")?;
    let report: Value = serde_json::from_slice(&ran.stdout).with_context(|| {
        format!("failed to read assay's report: {}", String::from_utf8_lossy(&ran.stderr))
    })?;
    report["run"]["id"].as_str().map(str::to_owned).context("the report names no run")
}
