//! `assay migrate`: create or upgrade the schema of a store, or say whether that is needed.

use std::io::Write as _;

use assay_store::{Schema, Store};

use crate::exit::Exit;
use crate::settings::Settings;

/// Migrates the store; with `check` looks alone.
pub(crate) async fn call(settings: &Settings, check: bool) -> Result<Exit, Exit> {
    let (schema, what) = match check {
        true => (Schema::Require, "can be used by this assay: nothing to do"),
        false => (Schema::Migrate, "is up to date"),
    };
    Store::open(&settings.store, schema).await?;
    writeln!(std::io::stderr(), "{} {what}", settings.store)?;
    Ok(Exit::Done)
}
