//! `assay migrate`: create or upgrade the schema of a store.

use std::io::Write as _;

use assay_store::{Schema, Store};

use crate::exit::Exit;
use crate::settings::Settings;

/// Migrates the store.
pub(crate) async fn call(settings: &Settings) -> Result<Exit, Exit> {
    Store::open(&settings.store, Schema::Migrate).await?;
    writeln!(std::io::stderr(), "{} is up to date", settings.store)?;
    Ok(Exit::Done)
}
