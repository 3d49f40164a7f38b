//! `assay run`: a coordinator and a worker in one process.
//!
//! Nothing is stored before the suite has validated, nothing is called before it is frozen.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use assay_common::clock::Clock;
use assay_common::id::MemberId;
use assay_common::suite::Suite;
use assay_coordinator::api::document::{Counts, RunDocument};
use assay_coordinator::judge::record;
use assay_coordinator::reasons::{Reason, of_account};
use assay_coordinator::report::{Reader, Report};
use assay_coordinator::run::begin::Draw;
use assay_coordinator::run::{Begun, Driver, Ended, begin};
use assay_coordinator::suite::{FreezeError, Loaded, load};
use assay_coordinator::verdict::Sight;
use assay_coordinator::{Environment, Timings};
use assay_queue::Queue;
use assay_store::{AccountProblem, FileLock, Provenance, Run, RunPool, Schema, Store};
use assay_worker::{Keys, PoolSpec, Serve, Shutdown, WorkerError};
use futures_util::future::OptionFuture;
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::conclude::{exit_of, print};
use super::{estimate, files, keys};
use crate::args::{Files, RunArgs};
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
    let loaded = load(&args.suite, &settings.config).map_err(Exit::input)?;
    warn(&loaded.warnings);
    let suite = &loaded.suite;
    if args.estimate {
        return estimate::call(settings, &loaded).await;
    }
    tell_sights(&loaded.sights);
    files::check_all(&args.files)?;
    let keys = keys::resolve(settings, &loaded)?;
    let mut session = Session::open(settings, suite, keys).await?;
    let submit = tracing::info_span!("submit", run.suite = suite.name);
    let source = provenance(&args.source, &args.suite);
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
    let store = session.environment.store.clone();
    let reader = Reader::new(&store, suite, begun.run);
    let (ended, report) = Box::pin(session.drive(&begun, args, reader)).await?;
    session.conclude(settings, &args.files, suite, ended, report).await
}

/// What one `assay run` holds open.
struct Session {
    environment: Environment,
    rng: StdRng,
    shutdown: Shutdown,
    working: JoinHandle<Result<(), WorkerError>>,
    /// An SQLite store has one run or coordinator at a time.
    _lock: Option<FileLock>,
}

impl Session {
    /// Opens the store and starts the worker, which gets ready while the suite is frozen and has nothing to do before
    /// the run is driven.
    async fn open(settings: &Settings, suite: &Suite, keys: Keys) -> Result<Self, Exit> {
        let clock = Clock::system();
        let mut rng = StdRng::try_from_rng(&mut SysRng)
            .context("cannot draw random numbers")
            .map_err(Exit::Unfinished)?;
        let lock = FileLock::take(&settings.store)?;
        let store = Store::open(&settings.store, Schema::Migrate).await?;
        if lock.is_some() {
            // Whoever held this file before is gone: a resumed run starts at once.
            store.bury_all(clock.now()).await?;
        }
        for model in &suite.models {
            // What was wrong with an account may have been mended since; the first call will tell.
            store.report_account(model.provider.clone(), None, clock.now()).await?;
        }
        let environment = Environment {
            store,
            queue: Queue::memory(),
            clock,
            config: Arc::clone(&settings.config),
            timings: Timings::default(),
            tracer: settings.tracer.clone(),
        };
        let worker = worker(&environment, keys, &mut rng);
        let pools = RunPool::all_of(suite).into_iter();
        let pools = pools.map(|RunPool { pool, provider, .. }| PoolSpec { pool, provider }).collect();
        let shutdown = Shutdown::default();
        let working = tokio::spawn(assay_worker::run(worker, Serve::These(pools), shutdown.clone()));
        Ok(Self { environment, rng, shutdown, working, _lock: lock })
    }

    /// Freezes the suite, and finds or makes its run.
    async fn begin(&mut self, loaded: &Loaded, fresh: bool, source: Provenance) -> Result<Begun, Exit> {
        let Environment { store, clock, tracer, .. } = &self.environment;
        loaded.freeze(store, clock.now()).await.map_err(|error| match error {
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
                ended = driver.drive(&shutdown.soft, watch) => Ok(ended.map_err(Exit::from)),
                // The worker ends by itself only when it cannot go on.
                worked = &mut *working => Err(worker_failed(worked)),
            }
        };
        let (ended, ()) = tokio::join!(driving, reader.follow(&read_enough));
        let ended = ended?;
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
        let ended = ended?;
        if !matches!(worked, Ok(Ok(()))) {
            return Err(worker_failed(worked));
        }
        Ok((ended, report.transpose()?))
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
                let run =
                    store.run(run.id).await?.ok_or_else(|| Exit::Unfinished(anyhow!("the run is gone")))?;
                return Err(Exit::Unfinished(stopped(&run)));
            }
            Ended::NeedsAttention(run, problems) => {
                let what: Vec<_> =
                    problems.into_iter().map(|(account, problem)| told(&account, problem)).collect();
                return Err(Exit::Unfinished(anyhow!("{}\n{}", what.join("\n"), how_to_resume(&run))));
            }
        };
        let report = report.ok_or_else(|| Exit::Unfinished(anyhow!("the run has no report")))?;
        record(store, suite, &run, &report, self.environment.clock.now()).await?;
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

/// Says on stderr how small a drop the suite can see, before anything is paid.
fn tell_sights(sights: &[Sight]) {
    let tell = |sight: &Sight| {
        let points = |share: f64| format!("{:.1}", share * 100.0);
        format!(
            "this suite cannot see a drop below {} points: {} cases, `{}` allows {}",
            points(sight.detectable),
            sight.cases,
            sight.rule,
            points(sight.allowed)
        )
    };
    warn(&sights.iter().map(tell).collect::<Vec<_>>());
}

fn worker(environment: &Environment, keys: Keys, rng: &mut StdRng) -> assay_worker::Environment {
    let Environment { store, queue, clock, config, tracer, .. } = environment.clone();
    let millis = u64::try_from(clock.now().0 / 1_000).unwrap_or(0);
    let member = uuid::Builder::from_unix_timestamp_millis(millis, &rng.random()).into_uuid();
    assay_worker::Environment {
        store,
        queue,
        clock,
        member: MemberId::new(member),
        config,
        keys,
        host: "localhost".to_owned(),
        pid: std::process::id(),
        seed: rng.random(),
        tracer,
        wire: assay_worker::Wire::Network,
    }
}

/// A problem as `assay status` tells it, and what to do about it.
fn told(account: &str, problem: AccountProblem) -> String {
    let Reason { detail, hint, .. } = of_account(account, problem);
    hint.map_or_else(|| detail.clone(), |hint| format!("{detail}\n  help: {hint}"))
}

fn stopped(run: &Run) -> anyhow::Error {
    anyhow!("stopped: {} of {} jobs are done. {}", run.done(), run.planned, how_to_resume(run))
}

fn how_to_resume(run: &Run) -> String {
    format!(
        "Run {} is kept; the same command goes on with it (without --new) and pays for no answer twice.",
        run.id
    )
}

/// The flag that a reader needs to find the same store, where it was named by one.
fn store_flag(settings: &Settings) -> String {
    if settings.store_named { format!(" --store {}", settings.store) } else { String::new() }
}

fn worker_failed(worked: Result<Result<(), WorkerError>, JoinError>) -> Exit {
    Exit::Unfinished(match worked {
        Ok(Ok(())) => anyhow!("the worker stopped before the run had ended"),
        Ok(Err(error)) => anyhow::Error::new(error).context("the worker failed"),
        Err(error) => anyhow::Error::new(error).context("the worker died"),
    })
}

/// Says on a terminal that Ctrl-C was heard.
fn tell_stopping() {
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr(), "\nstopping: recording what is in flight; again to end at once");
    }
}
