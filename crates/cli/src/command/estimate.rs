//! `assay run --estimate`: what the run may take, and whether its budget can pay for it. Reads the suite and its files; stores
//! nothing, calls nothing.

use std::io::Write as _;

use anyhow::anyhow;
use assay_coordinator::estimate::{Estimate, estimate, sample, unpayable};
use assay_coordinator::suite::{Loaded, Objection};

use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;

/// Prints the estimate.
pub(crate) async fn call(settings: &Settings, loaded: &Loaded) -> Result<Exit, Exit> {
    let suite = &loaded.suite;
    let estimate = estimated(settings, loaded).await?;
    let mut out = anstream::stdout().lock();
    if settings.json {
        writeln!(out, "{}", render::json(&estimate)?)?;
    } else {
        write!(out, "{}", render::estimate(suite, &estimate))?;
    }
    payable(settings, loaded, &estimate)?;
    Ok(Exit::Done)
}

/// Refuses a run that its budget cannot pay for.
pub(crate) async fn within_budget(settings: &Settings, loaded: &Loaded) -> Result<(), Exit> {
    if loaded.suite.budget.is_none() {
        return Ok(());
    }
    payable(settings, loaded, &estimated(settings, loaded).await?)
}

async fn estimated(settings: &Settings, loaded: &Loaded) -> Result<Estimate, Exit> {
    let vars = loaded.vars_at(&sample(&loaded.suite)).await.map_err(Exit::input)?;
    Ok(estimate(&loaded.suite, &settings.config, &vars))
}

fn payable(settings: &Settings, loaded: &Loaded, estimate: &Estimate) -> Result<(), Exit> {
    match unpayable(&loaded.suite, &settings.config, estimate) {
        None => Ok(()),
        Some(Objection { place, message, hint }) => {
            let hint = hint.map_or_else(String::new, |hint| format!("\n  help: {hint}"));
            Err(Exit::Input(anyhow!("{place}: {message}{hint}")))
        }
    }
}
