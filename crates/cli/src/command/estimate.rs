//! `assay run --estimate`: what the run may take. Reads the suite and its files; stores nothing, calls nothing.

use std::io::Write as _;

use assay_coordinator::estimate::{estimate, sample};
use assay_coordinator::suite::Loaded;

use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;

/// Prints the estimate.
pub(crate) async fn call(settings: &Settings, loaded: &Loaded) -> Result<Exit, Exit> {
    let suite = &loaded.suite;
    let vars = loaded.vars_at(&sample(suite)).await.map_err(Exit::input)?;
    let estimate = estimate(suite, &settings.config, &vars);
    let mut out = anstream::stdout().lock();
    if settings.json {
        writeln!(out, "{}", render::json(&estimate)?)?;
    } else {
        write!(out, "{}", render::estimate(suite, &estimate))?;
    }
    Ok(Exit::Done)
}
