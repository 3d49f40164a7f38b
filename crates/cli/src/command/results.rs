//! `assay results`: every result of a run, one JSON object a line, in constant memory.

use std::io::{BufWriter, Write as _};

use assay_common::id::RunId;
use assay_common::visible::visible_json;

use crate::exit::Exit;
use crate::settings::Settings;
use crate::source::Source;

/// Prints the results.
pub(crate) async fn call(settings: &Settings, run: Option<RunId>, earlier: bool) -> Result<Exit, Exit> {
    let source = Source::open(settings).await?;
    let run = source.find(run).await?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    source
        .each_result(run, earlier, |line| {
            let line = String::from_utf8_lossy(line);
            Ok(writeln!(out, "{}", visible_json(&line))?)
        })
        .await?;
    out.flush()?;
    Ok(Exit::Done)
}
