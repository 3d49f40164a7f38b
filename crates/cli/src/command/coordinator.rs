//! `assay coordinator`: drives every open run of a store, or stands by for whoever does, and serves the API either way.

use std::sync::Arc;

use assay_coordinator::api::hosts::Hosts;
use assay_coordinator::api::router;
use assay_coordinator::fleet::{Identity, Role, coordinate};
use assay_coordinator::{Environment, Silences, Timings};
use assay_store::FileLock;
use tokio::sync::watch;

use super::fleet::Process;
use crate::args::CoordinatorArgs;
use crate::exit::Exit;
use crate::listen::{Readiness, health, with_api};
use crate::settings::Settings;

/// Coordinates until told to stop.
pub(crate) async fn call(settings: &Settings, args: &CoordinatorArgs) -> Result<Exit, Exit> {
    let process = Process::start("coordinator", &args.fleet.queue, args.fleet.grace.0)?;
    let (role, standing) = watch::channel(Role::Standby);
    let readiness = Readiness { role: Some(standing), ..process.readiness() };
    let (served, api) = watch::channel(None);
    process.listen(&args.listen, with_api(health(readiness), api)).await?;
    tracing::info!(
        member.id = %process.member,
        store.url = %settings.store,
        "coordinator {} starts on {}",
        process.member,
        settings.store
    );
    let Some(store) = process.open_store(&settings.store).await? else { return Ok(Exit::Done) };
    // An SQLite store has one owner at a time.
    let _lock = FileLock::take(&settings.store)?;
    let environment = Environment {
        store,
        queue: process.queue.clone(),
        clock: process.clock.clone(),
        config: Arc::clone(&settings.config),
        timings: Timings { dead_after: args.dead_after.0, lost_after: args.lost_after.0 },
        tracer: settings.tracer.clone(),
        silences: Silences::default(),
    };
    served.send_replace(Some(router(environment.clone(), hosts(args, &process.host))));
    let identity = Identity { member: process.member, host: process.host.clone(), pid: std::process::id() };
    let coordinated = tokio::select! {
        coordinated = coordinate(environment, identity, role, process.shutdown.soft.clone()) => coordinated,
        () = process.shutdown.hard.cancelled() => Ok(()),
    };
    coordinated.map_err(Exit::from)?;
    tracing::info!(member.id = %process.member, "coordinator {} stopped", process.member);
    Ok(Exit::Done)
}

/// The names it was given, that of the machine, and the one it listens at.
fn hosts(args: &CoordinatorArgs, machine: &str) -> Hosts {
    let listen = args.listen.rsplit_once(':').map_or("", |(host, _)| host);
    let named = args.hosts.iter().map(String::as_str).chain([machine, listen]);
    Hosts::new(named.filter(|name| !name.is_empty()).map(str::to_owned))
}
