//! `assay worker`: serves the pools that open runs need, as far as it has their providers' keys.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use assay_store::StoreUrl;
use assay_worker::{Environment, Keys, Serve, run};
use rand::RngExt as _;

use super::fleet::Process;
use crate::args::WorkerArgs;
use crate::exit::Exit;
use crate::listen::health;
use crate::settings::Settings;

/// Works until told to stop.
pub(crate) async fn call(settings: &Settings, args: &WorkerArgs) -> Result<Exit, Exit> {
    if let url @ StoreUrl::Sqlite(_) = &settings.store {
        return Err(Exit::Input(anyhow!(
            "--store {url}: a file belongs to one process, a fleet needs postgres://…; for one process use `assay run`"
        )));
    }
    let mut process = Process::start("worker", &args.fleet.queue, args.fleet.grace.0)?;
    let keys = Keys::gather(&settings.config);
    tell_what_is_served(settings, &keys, &process);
    if let Some(place) = &args.listen {
        process.listen(place, health(process.readiness())).await?;
    }
    let Some(store) = process.open_store(&settings.store).await? else { return Ok(Exit::Done) };
    let environment = Environment {
        store,
        queue: process.queue.clone(),
        clock: process.clock.clone(),
        member: process.member,
        config: Arc::clone(&settings.config),
        keys,
        host: process.host.clone(),
        pid: std::process::id(),
        seed: process.rng.random(),
        tracer: settings.tracer.clone(),
        wire: assay_worker::Wire::Network,
    };
    run(environment, Serve::OpenRuns, process.shutdown.clone())
        .await
        .context("the worker failed")
        .map_err(Exit::Unfinished)?;
    Ok(Exit::Done)
}

/// Says which providers can be called, and what to do where some cannot.
fn tell_what_is_served(settings: &Settings, keys: &Keys, process: &Process) {
    let names = settings.config.provider_names();
    let served: Vec<_> = names.into_iter().filter(|name| !keys.missing().contains_key(*name)).collect();
    let (served, url, member) = (served.join(", "), &settings.store, process.member);
    tracing::info!(
        member.id = %member,
        store.url = %url,
        "worker {member} starts on {url} and can call {served}"
    );
    // Well-known providers that nobody configured are no news.
    for (name, why) in keys.missing() {
        if settings.config.providers.contains_key(name) {
            tracing::warn!(account.name = %name, "this worker does not serve provider {name}: {why}");
        }
    }
    if !keys.has_any() && !keys.missing().is_empty() {
        let why: Vec<_> = keys.missing().values().map(String::as_str).collect();
        // Whether any run needs one is not known yet; those that do say so in `assay status`.
        tracing::info!(
            "this worker has no provider's key and serves only what needs none ({served}); {}",
            why.join("; ")
        );
    }
}
