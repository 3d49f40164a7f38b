//! What a look at a running gate costs: the results that are new since the last one are read from the store and folded into the
//! gate's evidence, as the coordinator does while a run goes on.

use std::fs;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use assay_coordinator::run::RESULTS_A_LOOK;
use assay_coordinator::verdict::{Aggregation, Extents, Ruling};
use assay_store::{Schema, Store, StoreUrl};
use tokio::time::Instant;

use crate::binaries::Binaries;
use crate::measure::assay;
use crate::workload::{StoreKind, write_cases};

/// Cases of the run, each asked of two prompts.
const CASES: u64 = 50_000;
/// Looks that a mean is taken of.
const LOOKS: usize = 20;

/// A provider that answers with its request. No case changes sides, and the margin is too small for any number of cases to
/// decide: every look looks at everything.
const SUITE: &str = r#"suite: benchmark-look
prompts:
  - name: repeat
    label: before
    text: "{{ number }}"
    baseline: true
  - name: repeat
    label: after
    text: " {{ number }}"
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
    - metric: pass_rate
      max_drop: 0.00001
"#;
const CONFIG: &str = "[providers.mirror]\nkind = \"echo\"\n";

/// Looks at a run of [`CASES`].
pub(crate) struct Looked {
    /// The first ones, in milliseconds each, on average.
    pub(crate) first_ms: f64,
    /// The last ones, when everything before them has been seen.
    pub(crate) last_ms: f64,
    /// The longest of all.
    pub(crate) longest_ms: f64,
}

/// Makes a run, and looks at it from its beginning to its end.
pub(crate) fn look(binaries: &Binaries, store: &StoreKind) -> anyhow::Result<Looked> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    write_cases(folder.path(), CASES).context("failed to write the cases")?;
    fs::write(folder.path().join("suite.yaml"), SUITE)?;
    fs::write(folder.path().join("assay.toml"), CONFIG)?;
    let ran = assay(&binaries.assay, folder.path(), store).arg("--new").stderr(Stdio::inherit()).output()?;
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).context("assay made no report")?;
    let run = report["run"]["id"].as_str().context("the report names no run")?.parse()?;
    let place = match store {
        StoreKind::Sqlite => StoreUrl::Sqlite(folder.path().join(".assay/assay.db")),
        StoreKind::Url(url) => url.parse()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let looks = runtime.block_on(async {
        let store = Store::open(&place, Schema::Require).await?;
        looks(&store, run).await
    })?;
    let mean = |looks: &[f64]| looks.iter().sum::<f64>() / looks.len() as f64;
    ensure!(looks.len() > 2 * LOOKS, "the run took only {} looks", looks.len());
    Ok(Looked {
        first_ms: mean(&looks[..LOOKS]),
        last_ms: mean(&looks[looks.len() - LOOKS..]),
        longest_ms: looks.iter().copied().fold(0.0, f64::max),
    })
}

/// How long each look took, in milliseconds.
async fn looks(store: &Store, run: assay_common::id::RunId) -> anyhow::Result<Vec<f64>> {
    let row = store.run(run).await?.context("the store lacks the run")?;
    let mut suite = store.suite(row.revision.clone()).await?.context("the store lacks the suite")?;
    // So that the run itself was made in one go, its gate looked once.
    suite.gate.as_mut().context("the suite has no gate")?.stop_early = true;
    let extents = Extents::uncounted(&suite).context("the suite has to be counted")?;
    let mut seen = Aggregation::watching(suite, &extents);
    let (mut looks, mut after) = (Vec::new(), None);
    loop {
        let started = Instant::now();
        let page = store.outcomes(run, after, RESULTS_A_LOOK).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.ordinal);
        page.iter().for_each(|result| seen.push(result));
        let ruling = Ruling::of(&seen).context("the gate does not look")?;
        looks.push(started.elapsed().as_secs_f64() * 1_000.0);
        ensure!(ruling.settled.is_none() || ruling.units >= CASES / 2, "the gate decided early");
    }
    ensure!(after == Some(2 * CASES - 1), "the run ends at {after:?}");
    Ok(looks)
}
