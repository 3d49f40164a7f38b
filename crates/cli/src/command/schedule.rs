//! `assay schedule`: suites that sweep what is live.

use std::time::Duration;

use anyhow::anyhow;
use assay_common::clock::Clock;
use assay_common::visible::visible_line;
use assay_coordinator::judge::catch_up;
use assay_coordinator::schedule::desk::find;
use assay_coordinator::schedule::document::{ScheduleDocument, SweepEntry};
use assay_coordinator::schedule::{Fired, NewSchedule, Sweeper, list, show};
use assay_coordinator::suite::{FreezeError, load_with};
use assay_store::{LookOutcome, Mandate, Schedule, Store, Sweep};

use super::prompt::put;
use super::session::Session;
use super::{keys, live};
use crate::args::ScheduleCommand;
use crate::chance::draw;
use crate::exit::Exit;
use crate::releases::{Releases, desk, exit};
use crate::render::{self, warn};
use crate::settings::Settings;

/// Does it, and prints the schedule as it stands.
pub(crate) async fn call(settings: &Settings, command: ScheduleCommand) -> Result<Exit, Exit> {
    let now = Clock::system().now();
    let document = match (command, Releases::open(settings).await?) {
        (ScheduleCommand::RunNow { name, patience }, Releases::Store(store)) => {
            return sweep(settings, store, &name, patience.0).await;
        }
        (ScheduleCommand::RunNow { name, .. }, Releases::Server(client)) => {
            return put(settings, &client.fire_schedule(&name).await?, render::fired);
        }
        (ScheduleCommand::List, releases) => {
            let found = match releases {
                Releases::Store(store) => list(&store, now).await.map_err(exit)?,
                Releases::Server(client) => client.schedules().await?,
            };
            return put(settings, &found, |found| render::schedules(found));
        }
        (ScheduleCommand::Add { suite, cron, channels, time_zone, name, clean_sweeps }, releases) => {
            let live = live::look(settings, &suite).await?;
            let config = matches!(releases, Releases::Store(_)).then_some(settings.config.as_ref());
            let loaded = load_with(&suite, config, &live, &|_| None).map_err(Exit::input)?;
            warn(&loaded.warnings);
            let name = name.unwrap_or_else(|| loaded.suite.name.clone());
            let suite = loaded.suite.clone();
            let new = NewSchedule { name, suite, cron, zone: time_zone, channels, clean_sweeps };
            match releases {
                Releases::Store(store) => {
                    loaded.freeze_files(&store, now).await.map_err(|error| match error {
                        FreezeError::Store(error) => Exit::unfinished(error),
                        changed => Exit::input(changed),
                    })?;
                    desk(&store)?.add_schedule(new).await.map_err(exit)?
                }
                Releases::Server(client) => {
                    client.upload(&loaded).await?;
                    client.add_schedule(&new).await?
                }
            }
        }
        (ScheduleCommand::Show { name }, Releases::Store(store)) => {
            show(&store, &name, now).await.map_err(exit)?
        }
        (ScheduleCommand::Show { name }, Releases::Server(client)) => client.schedule(&name).await?,
        (ScheduleCommand::Pause { name }, Releases::Store(store)) => {
            desk(&store)?.pause_schedule(&name).await.map_err(exit)?
        }
        (ScheduleCommand::Pause { name }, Releases::Server(client)) => {
            client.change_schedule(&name, "pause").await?
        }
        (ScheduleCommand::Resume { name }, Releases::Store(store)) => {
            desk(&store)?.resume_schedule(&name).await.map_err(exit)?
        }
        (ScheduleCommand::Resume { name }, Releases::Server(client)) => {
            client.change_schedule(&name, "resume").await?
        }
        (ScheduleCommand::Remove { name }, releases) => {
            let removed = match releases {
                Releases::Store(store) => desk(&store)?.remove_schedule(&name).await.map_err(exit)?,
                Releases::Server(client) => client.remove_schedule(&name).await?,
            };
            return put(settings, &removed, |removed| {
                format!("removed the schedule {}\n", visible_line(&removed.name))
            });
        }
    };
    let warnings: Vec<_> = document.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    warn(&warnings);
    put(settings, &document, render::schedule)
}

/// Sweeps here: what is missing of baselines first, then what is live, and what is suspicious once more.
async fn sweep(settings: &Settings, store: Store, name: &str, patience: Duration) -> Result<Exit, Exit> {
    let schedule = find(&store, name).await.map_err(exit)?;
    store.close().await;
    let keys = keys::resolve(settings, &schedule.suite)?;
    let mut session = Session::open(settings, &schedule.suite, keys, patience).await?;
    let swept = swept(&mut session, &schedule, patience).await;
    let left = session.leave().await;
    let sweeps = swept?;
    left?;
    let worse = sweeps.iter().any(|sweep| sweep.looks.iter().any(|look| look.outcome == LookOutcome::Worse));
    put(settings, &sweeps, |sweeps| render::sweeps(sweeps))?;
    Ok(if worse { Exit::Failed } else { Exit::Done })
}

async fn swept(
    session: &mut Session,
    schedule: &Schedule,
    patience: Duration,
) -> Result<Vec<SweepEntry>, Exit> {
    let (store, clock) = (session.environment.store.clone(), session.environment.clock.clone());
    let mut sweeper = Sweeper::new(&store, clock.clone(), Mandate::Own, draw()?);
    sweeper.measure(schedule, true).await?;
    for run in sweeper.measuring(schedule).await? {
        session.finish(run, patience).await?;
    }
    let releases = desk(&store)?;
    if open_sweep(&store, schedule).await?.is_none() {
        match sweeper.fire(schedule, clock.now(), &releases.by, &releases.origin).await? {
            Fired::Run(_) => {}
            Fired::NothingLive => {
                return Err(Exit::Input(anyhow!(
                    "nothing that `{}` sweeps is live on {}",
                    schedule.name,
                    schedule.channels.join(", ")
                )));
            }
            Fired::NotNow => {
                return Err(Exit::Unfinished(anyhow!(
                    "somebody else is at work on `{}`; try again",
                    schedule.name
                )));
            }
        }
    }
    let mut planned = None;
    while let Some(sweep) = open_sweep(&store, schedule).await? {
        if let Some(run) = sweep.run {
            session.finish(run, patience).await?;
        }
        sweeper.judge(&sweep).await?;
        sweeper.confirm(schedule).await?;
        planned = Some(sweep.planned_at);
    }
    catch_up(&store, clock.now()).await?;
    let planned = planned.map(assay_coordinator::report::civil);
    let shown: ScheduleDocument = show(&store, &schedule.name, clock.now()).await.map_err(exit)?;
    Ok(shown.sweeps.into_iter().filter(|sweep| Some(&sweep.planned_at) == planned.as_ref()).rev().collect())
}

/// The sweep of a schedule that is under way.
async fn open_sweep(store: &Store, schedule: &Schedule) -> Result<Option<Sweep>, Exit> {
    let open = store.unjudged_sweeps().await?;
    Ok(open.into_iter().find(|sweep| sweep.schedule == schedule.name))
}
