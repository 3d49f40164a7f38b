//! `assay results`: every result of a run, one JSON object a line, in constant memory.

use std::io::{BufWriter, Write as _};

use assay_common::id::RunId;
use assay_common::visible::visible_json;
use assay_coordinator::report::result_line;
use assay_store::{Schema, Store};

use super::status::{find, suite_of};
use crate::exit::Exit;
use crate::settings::Settings;

/// Rows read from the store at a time.
const PAGE: u32 = 1_000;

/// Prints the results.
pub(crate) async fn call(settings: &Settings, run: Option<RunId>) -> Result<Exit, Exit> {
    let store = Store::open(&settings.store, Schema::Require).await?;
    let run = find(&store, run).await?;
    let suite = suite_of(&store, &run).await?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut after = None;
    loop {
        let page = store.results(run.id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.row.ordinal);
        for row in &page {
            writeln!(out, "{}", visible_json(&result_line(&suite, row).to_string()))?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}
