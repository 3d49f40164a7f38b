//! `assay validate`: every problem of a suite, with its place.

use std::io::Write as _;
use std::path::Path;

use assay_coordinator::suite::{Severity, load_with};
use serde_json::json;

use super::{keys, live};
use crate::exit::Exit;
use crate::render::{self, warn};
use crate::settings::Settings;

/// Loads the suite as `run` would, and stops there.
pub(crate) async fn call(settings: &Settings, path: &Path) -> Result<Exit, Exit> {
    let live = live::look(settings, path).await?;
    let lack = |provider: &str| keys::lack(settings, provider, Severity::Warning);
    let loaded = load_with(path, Some(&settings.config), &live, &lack).map_err(Exit::input)?;
    let warnings = &loaded.warnings;
    warn(warnings);
    let suite = &loaded.suite;
    let jobs = suite.product().jobs();
    let mut out = std::io::stdout().lock();
    if settings.json {
        let document = json!({
            "suite": suite.name,
            "revision": suite.revision(),
            "cases": suite.dataset.cases,
            "variants": suite.product().variants,
            "repeats": suite.repeats,
            "jobs": jobs,
            "warnings": warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        writeln!(out, "{}", render::json(&document)?)?;
    } else {
        writeln!(
            out,
            "{}: valid. {} cases × {} prompts × {} models × {} trials = {} jobs",
            path.display(),
            suite.dataset.cases,
            suite.prompts.len(),
            suite.models.len(),
            suite.repeats,
            jobs.unwrap_or(u64::MAX),
        )?;
    }
    Ok(Exit::Done)
}
