//! `assay run`: a coordinator and a worker in one process.
//!
//! Nothing is stored before the suite has validated, nothing is called before it is frozen.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use assay_common::clock::Clock;
use assay_common::id::MemberId;
use assay_common::suite::Suite;
use assay_coordinator::api::document::Counts;
use assay_coordinator::report::Reader;
use assay_coordinator::run::begin::Draw;
use assay_coordinator::run::{Begun, Driver, Ended, begin};
use assay_coordinator::suite::{FreezeError, Loaded, load};
use assay_coordinator::{Environment, Timings};
use assay_queue::Queue;
use assay_store::{FileLock, Run, RunPool, Schema, Store, StoreUrl};
use assay_worker::{Keys, PoolSpec, Serve, Shutdown};
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::conclude::{exit_of, print};
use super::{files, keys};
use crate::args::{Files, RunArgs};
use crate::exit::Exit;
use crate::render::{Progress, warn};
use crate::settings::Settings;
use crate::signals::stop_on_signals;
use crate::source::Source;

/// Runs the suite to its end and prints the report.
pub(crate) async fn call(settings: &Settings, args: &RunArgs) -> Result<Exit, Exit> {
    if args.queue != "memory:" {
        return Err(Exit::Input(anyhow!(
            "--queue {}: `assay run` needs no broker; leave the flag out",
            args.queue
        )));
    }
    let loaded = load(&args.suite, &settings.config).map_err(Exit::input)?;
    warn(&loaded.warnings);
    let suite = &loaded.suite;
    if suite.gate.as_ref().is_some_and(|gate| gate.stop_early) {
        warn(&["warning: `stop_early` has no effect yet: every case is run"]);
    }
    files::check(&args.files)?;
    let keys = keys::resolve(settings, &loaded)?;
    let submit = tracing::info_span!("submit", run.suite = suite.name);
    let mut session = Session::open(settings, &loaded, args).instrument(submit).await?;
    let shutdown = Shutdown::default();
    let store = session.environment.store.clone();
    let mut reader = Reader::new(&store, suite, session.begun.run);
    let ended = Box::pin(session.drive(suite, keys, args, &shutdown, &mut reader)).await?;
    session.conclude(settings, &args.files, ended, reader).await
}

/// What one `assay run` holds open.
struct Session {
    environment: Environment,
    begun: Begun,
    rng: StdRng,
    /// An SQLite store has one run or coordinator at a time.
    _lock: Option<FileLock>,
}

impl Session {
    /// Opens the store, freezes the suite in it, and finds or makes the run.
    async fn open(settings: &Settings, loaded: &Loaded, args: &RunArgs) -> Result<Self, Exit> {
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
        for model in &loaded.suite.models {
            // What was wrong with an account may have been mended since; the first call will tell.
            store.report_account(model.provider.clone(), None, clock.now()).await?;
        }
        loaded.freeze(&store, clock.now()).await.map_err(|error| match error {
            FreezeError::Store(error) => Exit::unfinished(error),
            changed => Exit::input(changed),
        })?;
        let environment = Environment {
            store,
            queue: Queue::memory(),
            clock,
            config: Arc::clone(&settings.config),
            timings: Timings::default(),
            tracer: settings.tracer.clone(),
        };
        let draw = Draw { id: rng.random(), seed: rng.random() };
        let begun = begin(&environment, &loaded.suite, args.new, draw).await?;
        // Its trace is that of the process that made it.
        let trace = begun.resumed.as_ref().and_then(|run| run.trace);
        environment.tracer.link(&tracing::Span::current(), trace);
        Ok(Self { environment, begun, rng, _lock: lock })
    }

    /// Drives the run with a worker beside it, until it has ended or somebody stops it.
    async fn drive(
        &mut self,
        suite: &Suite,
        keys: Keys,
        args: &RunArgs,
        shutdown: &Shutdown,
        reader: &mut Reader<'_>,
    ) -> Result<Ended, Exit> {
        let worker = self.worker(keys);
        let pools = RunPool::all_of(suite).into_iter();
        let pools = pools.map(|RunPool { pool, provider, .. }| PoolSpec { pool, provider }).collect();
        let mut working = tokio::spawn(assay_worker::run(worker, Serve::These(pools), shutdown.clone()));
        let signals = tokio::spawn(stop_on_signals(shutdown.clone(), None, tell_stopping));
        let driver = Driver::load(self.environment.clone(), self.begun.run, args.patience.0).await?;
        let progress = Progress::start(self.begun.resumed.as_ref());
        let read_enough = CancellationToken::new();
        let driving = async {
            let _done = read_enough.clone().drop_guard();
            let watch = |run: &Run| progress.show(&Counts::of(run), run.planned);
            tokio::select! {
                ended = driver.drive(&shutdown.soft, watch) => Ok(ended.map_err(Exit::from)),
                // The worker ends by itself only when it cannot go on.
                worked = &mut working => Err(worker_failed(worked)),
            }
        };
        let (ended, ()) = tokio::join!(driving, reader.follow(&read_enough));
        let ended = ended?;
        shutdown.soft.cancel();
        if ended.is_err() {
            // The store is away: what is in flight cannot be recorded, only asked again.
            shutdown.hard.cancel();
        }
        let worked = working.await;
        signals.abort();
        progress.end();
        let ended = ended?;
        if !matches!(worked, Ok(Ok(()))) {
            return Err(worker_failed(worked));
        }
        Ok(ended)
    }

    fn worker(&mut self, keys: Keys) -> assay_worker::Environment {
        let Environment { store, queue, clock, config, tracer, .. } = self.environment.clone();
        let millis = u64::try_from(clock.now().0 / 1_000).unwrap_or(0);
        let member = uuid::Builder::from_unix_timestamp_millis(millis, &self.rng.random()).into_uuid();
        assay_worker::Environment {
            store,
            queue,
            clock,
            member: MemberId::new(member),
            config,
            keys,
            host: "localhost".to_owned(),
            pid: std::process::id(),
            seed: self.rng.random(),
            tracer,
        }
    }

    /// Prints what there is to say and turns the end of the run into an exit.
    async fn conclude(
        &self,
        settings: &Settings,
        files: &Files,
        ended: Ended,
        reader: Reader<'_>,
    ) -> Result<Exit, Exit> {
        let store = &self.environment.store;
        let run = match ended {
            Ended::Finished(run) => run,
            Ended::Interrupted(_) => {
                // What was in flight has been recorded since.
                let run = store
                    .run(self.begun.run)
                    .await?
                    .ok_or_else(|| Exit::Unfinished(anyhow!("the run is gone")))?;
                return Err(Exit::Unfinished(stopped(&run)));
            }
            Ended::NeedsAttention(run, problems) => {
                let what: Vec<_> = problems
                    .iter()
                    .map(|(account, problem)| {
                        format!("{account} needs attention: {}: {}", problem.kind, problem.detail)
                    })
                    .collect();
                return Err(Exit::Unfinished(anyhow!("{}\n{}", what.join("\n"), how_to_resume(&run))));
            }
        };
        let report = reader.conclude(&run).await?;
        print(settings, &report)?;
        if !settings.json {
            let mut out = anstream::stdout().lock();
            writeln!(out, "Results: {}, run {}", settings.store, run.id)?;
            writeln!(
                out,
                "Every answer with its scores: assay results {}{}",
                run.id,
                store_flag(&settings.store)
            )?;
        }
        files::write(files, &Source::Store(store.clone()), &report).await?;
        Ok(exit_of(&report))
    }
}

fn stopped(run: &Run) -> anyhow::Error {
    anyhow!("stopped: {} of {} jobs are done. {}", run.done(), run.planned, how_to_resume(run))
}

fn how_to_resume(run: &Run) -> String {
    format!("Run {} is kept; the same command goes on with it and pays for nothing twice.", run.id)
}

/// The flag that a reader needs to find the same store, where it is not the default one.
fn store_flag(url: &StoreUrl) -> String {
    match url {
        StoreUrl::Sqlite(path) if path.ends_with(".assay/assay.db") => String::new(),
        url => format!(" --store {url}"),
    }
}

fn worker_failed(worked: Result<Result<(), assay_worker::WorkerError>, tokio::task::JoinError>) -> Exit {
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
