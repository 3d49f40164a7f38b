//! How fast a month is reviewed: `assay review --month` over a million results, from the start of the process to its end.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::Instant;

use crate::binaries::Binaries;
use crate::measure::assay;
use crate::workload::{StoreKind, write_cases};

/// Runs in the month.
const RUNS: u64 = 10;
/// Cases of each.
const CASES: u64 = 100_000;

/// A provider that answers with its request, so nothing but assay is at work; a third of the answers fails.
const SUITE: &str = r#"suite: benchmark-review
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
gate:
  rules:
    - {metric: pass_rate, min: 0.5}
"#;
const CONFIG: &str = "[providers.mirror]\nkind = \"echo\"\n";

/// Makes the runs and reviews the month; the seconds that the review took.
pub(crate) fn review(binaries: &Binaries, store: &StoreKind) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    write_cases(folder.path(), CASES).context("failed to write the cases")?;
    fs::write(folder.path().join("suite.yaml"), SUITE)?;
    fs::write(folder.path().join("assay.toml"), CONFIG)?;
    for _ in 0..RUNS {
        let ran = assay(&binaries.assay, folder.path(), store).arg("--new").output();
        let ran = ran.context("failed to start assay")?;
        ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    let mut command = Command::new(&binaries.assay);
    command.args(["review", "--month", "--json"]).current_dir(folder.path()).stdin(Stdio::null());
    if let StoreKind::Url(url) = store {
        command.args(["--store", url]);
    }
    let started = Instant::now();
    let reviewed = command.output().context("failed to start assay")?;
    let wall_s = started.elapsed().as_secs_f64();
    ensure!(reviewed.status.success(), "{}", String::from_utf8_lossy(&reviewed.stderr));
    let document: Value = serde_json::from_slice(&reviewed.stdout)?;
    let jobs = &document["spend"]["jobs"];
    ensure!(jobs.as_u64() >= Some(RUNS * CASES), "{jobs} of {} results are in the review", RUNS * CASES);
    Ok(wall_s)
}
