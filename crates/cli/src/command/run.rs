//! `assay run`: a coordinator and a worker in one process.
//!
//! Nothing is stored before the suite has validated, nothing is called before it is frozen.

use std::io::Write as _;

use anyhow::anyhow;
use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_coordinator::Environment;
use assay_coordinator::api::document::{Counts, RunDocument};
use assay_coordinator::judge::record;
use assay_coordinator::report::{Reader, Report};
use assay_coordinator::run::begin::Draw;
use assay_coordinator::run::{Begun, Driver, Ended, begin};
use assay_coordinator::suite::{FreezeError, Loaded, Severity, load_with, owned};
use assay_store::{Provenance, Run};
use futures_util::future::OptionFuture;
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::conclude::{exit_of, print};
use super::session::{
    Again, Session, Stop, lost, needs_attention, over, stopped, tell_stopping, worker_failed,
};
use super::{estimate, files, keys, live};
use crate::args::{Files, RunArgs};
use crate::audit::entry;
use crate::exit::Exit;
use crate::provenance::provenance;
use crate::render::{Progress, warn};
use crate::settings::Settings;
use crate::signals::stop_on_signals;
use crate::source::Source;

/// Runs the suite to its end and prints the report.
pub(crate) async fn call(settings: &Settings, args: &RunArgs) -> Result<Exit, Exit> {
    if args.queue != "memory:" {
        // What was typed may hold a password, also where it is no URL: it is not repeated.
        return Err(Exit::Input(anyhow!("--queue: `assay run` needs no broker; leave the flag out")));
    }
    let live = live::in_store(settings, &args.suite).await?;
    // An estimate calls nobody.
    let lack = |provider: &str| match args.estimate {
        true => None,
        false => keys::lack(settings, provider, Severity::Error),
    };
    let loaded = load_with(&args.suite, Some(&settings.config), &live, &lack).map_err(Exit::input)?;
    warn(&loaded.warnings);
    let suite = &loaded.suite;
    if args.estimate {
        return estimate::call(settings, &loaded).await;
    }
    // Before anything is paid.
    warn(&loaded.sights);
    files::check_all(&args.files)?;
    estimate::within_budget(settings, &loaded).await?;
    let keys = keys::resolve(settings, suite)?;
    // Git takes its time, and the store does too.
    let asked = (args.source.clone(), args.suite.clone());
    let source = tokio::task::spawn_blocking(move || provenance(&asked.0, &asked.1));
    let mut session = Session::open(settings, suite, keys, args.patience.0).await?;
    let submit = tracing::info_span!("submit", run.suite = suite.name);
    let source = source.await.map_err(|error| Exit::Unfinished(anyhow::Error::new(error)))?;
    let begun = session.begin(&loaded, args.new, source).instrument(submit).await;
    let begun = match begun {
        Ok(begun) => begun,
        Err(exit) => {
            session.shutdown.soft.cancel();
            // What it says comes after what went wrong first.
            let _ = session.working.await;
            return Err(exit);
        }
    };
    if let Some(before) = &begun.instead_of {
        tell_new(before);
    }
    if begun.resumed.is_some() {
        tell_held(&session.environment, begun.run).await?;
    }
    let store = session.environment.store.clone();
    let reader = Reader::new(&store, suite, begun.run);
    let (ended, report) = Box::pin(session.drive(&begun, args, reader)).await?;
    session.conclude(settings, &args.files, suite, ended, report).await
}

impl Session {
    /// Freezes the suite, and finds or makes its run.
    async fn begin(&mut self, loaded: &Loaded, fresh: bool, source: Provenance) -> Result<Begun, Exit> {
        let Environment { store, clock, tracer, .. } = &self.environment;
        let owned = owned(&loaded.suite, entry)?;
        loaded.freeze(store, owned, clock.now()).await.map_err(|error| match error {
            FreezeError::Store(error) => Exit::unfinished(error),
            changed => Exit::input(changed),
        })?;
        store.attribute_versions(&loaded.suite, source).await?;
        let draw = Draw { id: self.rng.random(), seed: self.rng.random() };
        let begun = begin(&self.environment, &loaded.suite, fresh, draw).await?;
        // Its trace is that of the process that made it.
        let trace = begun.resumed.as_ref().and_then(|run| run.trace);
        tracer.link(&tracing::Span::current(), trace);
        Ok(begun)
    }

    /// Drives the run with a worker beside it, until it has ended or somebody stops it. The report of a run that has
    /// finished is read while the worker leaves.
    async fn drive(
        &mut self,
        begun: &Begun,
        args: &RunArgs,
        mut reader: Reader<'_>,
    ) -> Result<(Ended, Option<Report>), Exit> {
        let (shutdown, working) = (&self.shutdown, &mut self.working);
        let signals = tokio::spawn(stop_on_signals(shutdown.clone(), None, tell_stopping));
        let driver = Driver::load(self.environment.clone(), begun.run, args.patience.0).await?;
        let progress = Progress::start(begun.resumed.as_ref());
        let read_enough = CancellationToken::new();
        let driving = async {
            let _done = read_enough.clone().drop_guard();
            let watch = |run: &Run| progress.show(&Counts::of(run), run.planned);
            tokio::select! {
                ended = driver.drive(&shutdown.soft, watch) => Ok(ended.map_err(anyhow::Error::new)),
                // The worker ends by itself only when it cannot go on.
                worked = &mut *working => Err(worker_failed(worked)),
            }
        };
        let (ended, ()) = tokio::join!(driving, reader.follow(&read_enough));
        let kept = |error: &anyhow::Error| lost(error, &Again::WithoutNew.kept(begun.run, Stop::AtOnce));
        let ended = ended.map_err(|error| kept(&error))?;
        shutdown.soft.cancel();
        if ended.is_err() {
            // The store is away: what is in flight cannot be recorded, only asked again.
            shutdown.hard.cancel();
        }
        let finished = match &ended {
            Ok(Ended::Finished(run)) => Some(reader.conclude(run)),
            _ => None,
        };
        let (worked, report) = tokio::join!(working, OptionFuture::from(finished));
        signals.abort();
        progress.end();
        let ended = ended.map_err(|error| kept(&error))?;
        match &ended {
            _ if matches!(worked, Ok(Ok(()))) => {}
            // Everything is recorded; whoever comes next clears up after it.
            Ended::Finished(_) => warn(&[format!("{:#}", worker_failed(worked))]),
            Ended::Interrupted(run) | Ended::NeedsAttention(run, _) => {
                let told = Again::WithoutNew.told(run, Stop::AtOnce);
                return Err(lost(&worker_failed(worked), &told));
            }
        }
        let report = report.transpose().map_err(|error| lost(&error.into(), &over(begun.run)))?;
        Ok((ended, report))
    }

    /// Prints what there is to say and turns the end of the run into an exit.
    async fn conclude(
        &self,
        settings: &Settings,
        files: &Files,
        suite: &Suite,
        ended: Ended,
        report: Option<Report>,
    ) -> Result<Exit, Exit> {
        let store = &self.environment.store;
        let run = match ended {
            Ended::Finished(run) => run,
            Ended::Interrupted(run) => {
                // What was in flight has been recorded since.
                let run = store.run(run.id).await.ok().flatten().unwrap_or(run);
                let stop = Stop::of(&self.shutdown);
                return Err(Exit::Unfinished(stopped(Again::WithoutNew, &run, stop)));
            }
            Ended::NeedsAttention(run, problems) => {
                return Err(Exit::Unfinished(needs_attention(Again::WithoutNew, &run, problems)));
            }
        };
        let report = report.ok_or_else(|| Exit::Unfinished(anyhow!("the run has no report")))?;
        let recorded = record(store, suite, &run, &report, self.environment.clock.now()).await;
        recorded.map_err(|error| lost(&error.into(), &over(run.id)))?;
        let document = RunDocument::reported(&run, report);
        print(settings, &document)?;
        if !settings.json {
            let mut out = anstream::stdout().lock();
            writeln!(out, "Results: {}, run {}", settings.store, run.id)?;
            writeln!(out, "Every answer with its scores: assay results {}{}", run.id, store_flag(settings))?;
        }
        let report = document.into_report();
        files::write(files, &Source::Store(store.clone()), &report).await?;
        Ok(exit_of(&report))
    }
}

/// Says on stderr that this is not the run that somebody may expect to go on.
fn tell_new(before: &Run) {
    let why = before.reason.as_deref().unwrap_or("no reason given");
    let budget = if before.budget.is_some() { ", with a budget of its own" } else { "" };
    warn(&[format!(
        "the last run of this suite, {}, was cancelled: {why}. This is a new run{budget}",
        before.id
    )]);
}

/// Says on stderr that others hold jobs of a run that goes on here, of which nobody knows yet whether they live: a file has one
/// owner, and whoever had it before is gone, but a database is shared.
async fn tell_held(environment: &Environment, run: RunId) -> Result<(), Exit> {
    if !environment.store.standing(run).await?.running {
        return Ok(());
    }
    let members = environment.store.members().await?;
    let others = members.iter().filter(|member| member.pid != std::process::id());
    let named: Vec<_> = others.map(|member| format!("{} on {}", member.pid, member.host)).collect();
    let holders = match named.as_slice() {
        [] => "another process".to_owned(),
        named => format!("process {}", named.join(" or ")),
    };
    let dead_after = environment.timings.dead_after.as_secs();
    warn(&[format!(
        "jobs of run {run} are in the hands of {holders}. If that is dead, they go on here after {dead_after} s of its silence, \
         and so does its part of the accounts' limits"
    )]);
    Ok(())
}

/// The flag that a reader needs to find the same store, where it was named by one.
fn store_flag(settings: &Settings) -> String {
    if settings.store_named { format!(" --store {}", settings.store) } else { String::new() }
}
