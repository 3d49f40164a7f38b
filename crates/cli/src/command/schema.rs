//! `assay schema`: the JSON Schema of the suite file.

use std::io::Write as _;

use crate::exit::Exit;

/// Prints the schema.
pub(crate) fn call() -> Result<Exit, Exit> {
    let schema = assay_coordinator::suite::json_schema();
    writeln!(std::io::stdout().lock(), "{schema:#}")?;
    Ok(Exit::Done)
}
