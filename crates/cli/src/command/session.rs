//! A coordinator and a worker in this process: what `assay run` and `assay schedule run-now` hold open while runs are driven.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use assay_common::clock::Clock;
use assay_common::id::{MemberId, RunId};
use assay_common::suite::Suite;
use assay_coordinator::api::document::Counts;
use assay_coordinator::reasons::{Caller, Reason, of_account};
use assay_coordinator::run::{Driver, Ended};
use assay_coordinator::{Environment, Silences, Timings};
use assay_queue::Queue;
use assay_store::{AccountProblem, FileLock, Run, RunPool, RunState, Schema, Store, StoreError};
use assay_worker::{Keys, PoolSpec, Serve, Shutdown, WorkerError};
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::{JoinError, JoinHandle};

use crate::exit::{Exit, chain};
use crate::render::Progress;
use crate::settings::Settings;
use crate::signals::stop_on_signals;

/// What one command holds open.
pub(super) struct Session {
    pub(super) environment: Environment,
    pub(super) rng: StdRng,
    pub(super) shutdown: Shutdown,
    pub(super) working: JoinHandle<Result<(), WorkerError>>,
    /// An SQLite store has one run or coordinator at a time.
    _lock: Option<FileLock>,
}

impl Session {
    /// Opens the store, which may be away for `patience`, and starts the worker, which gets ready while the suite is frozen and has
    /// nothing to do before the run is driven.
    pub(super) async fn open(
        settings: &Settings,
        suite: &Suite,
        keys: Keys,
        patience: Duration,
    ) -> Result<Self, Exit> {
        let clock = Clock::system();
        let mut rng = StdRng::try_from_rng(&mut SysRng)
            .context("cannot draw random numbers")
            .map_err(Exit::Unfinished)?;
        let mut lock = FileLock::take(&settings.store)?;
        let opened = Store::open_within(&settings.store, Schema::Migrate, patience).await;
        let store = opened.inspect_err(|error| {
            // Nothing stays beside a file that is something else.
            if matches!(error, StoreError::Foreign { .. } | StoreError::NoDatabase { .. })
                && let Some(lock) = lock.take()
            {
                lock.remove();
            }
        })?;
        if lock.is_some() {
            // Whoever held this file before is gone: a resumed run starts at once.
            store.bury_all(clock.now()).await?;
        }
        for model in &suite.models {
            // What was wrong with an account may have been mended since; the first call will tell.
            for name in [model.provider.clone(), model.name()] {
                store.report_account(name, None, clock.now()).await?;
            }
        }
        let environment = Environment {
            store,
            queue: Queue::memory(),
            clock,
            config: Arc::clone(&settings.config),
            timings: Timings::default(),
            tracer: settings.tracer.clone(),
            silences: Silences::default(),
        };
        let worker = worker(&environment, keys, &mut rng);
        let pools = RunPool::all_of(suite).into_iter();
        let pools =
            pools.map(|RunPool { pool, provider, model }| PoolSpec { pool, provider, model }).collect();
        let shutdown = Shutdown::default();
        let working = tokio::spawn(assay_worker::run(worker, Serve::These(pools), shutdown.clone()));
        Ok(Self { environment, rng, shutdown, working, _lock: lock })
    }

    /// Drives a run to its end. `patience` is how long it may stand still while an account needs attention, and the store be away.
    pub(super) async fn finish(&mut self, run: RunId, patience: Duration) -> Result<(), Exit> {
        let signals = tokio::spawn(stop_on_signals(self.shutdown.clone(), None, tell_stopping));
        let driver = Driver::load(self.environment.clone(), run, patience).await?;
        let progress = Progress::start(None);
        let ended = tokio::select! {
            ended = driver.drive(&self.shutdown.soft, |run| progress.show(&Counts::of(run), run.planned)) => {
                ended.map_err(anyhow::Error::new)
            }
            // The worker ends by itself only when it cannot go on.
            worked = &mut self.working => Err(worker_failed(worked)),
        };
        signals.abort();
        progress.end();
        let stop = Stop::of(&self.shutdown);
        match ended.map_err(|error| lost(&error, &Again::Same.kept(run, Stop::AtOnce)))? {
            Ended::Finished(_) => Ok(()),
            Ended::Interrupted(run) => Err(Exit::Unfinished(stopped(Again::Same, &run, stop))),
            Ended::NeedsAttention(run, problems) => {
                Err(Exit::Unfinished(needs_attention(Again::Same, &run, problems)))
            }
        }
    }

    /// Ends the worker, after what is in flight.
    pub(super) async fn leave(self) -> Result<(), Exit> {
        self.shutdown.soft.cancel();
        match self.working.await {
            Ok(Ok(())) => Ok(()),
            worked => Err(Exit::Unfinished(worker_failed(worked))),
        }
    }
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

/// Why a run stands still, and how it goes on.
pub(super) fn needs_attention(
    again: Again,
    run: &Run,
    problems: Vec<(String, AccountProblem)>,
) -> anyhow::Error {
    let what: Vec<_> = problems.into_iter().map(|(account, problem)| told(&account, problem)).collect();
    anyhow!("{}\n{}", what.join("\n"), again.told(run, Stop::Drained))
}

/// A problem as `assay status` tells it, and what to do about it.
fn told(account: &str, problem: AccountProblem) -> String {
    let Reason { detail, hint, .. } = of_account(account, problem, Caller::Alone);
    hint.map_or_else(|| detail.clone(), |hint| format!("{detail}\n  help: {hint}"))
}

pub(super) fn stopped(again: Again, run: &Run, stop: Stop) -> anyhow::Error {
    anyhow!("stopped: {} of {} jobs are done. {}", run.done(), run.planned, again.told(run, stop))
}

/// What kept a run from its end, and how to go on.
pub(super) fn lost(error: &anyhow::Error, how_to_go_on: &str) -> Exit {
    Exit::Unfinished(anyhow!("{}\n{how_to_go_on}", chain(error)))
}

/// What became of the calls in flight.
#[derive(Clone, Copy)]
pub(super) enum Stop {
    /// They were recorded.
    Drained,
    /// They were given up.
    AtOnce,
}

impl Stop {
    pub(super) fn of(shutdown: &Shutdown) -> Self {
        if shutdown.hard.is_cancelled() { Self::AtOnce } else { Self::Drained }
    }
}

/// How a run that stands still goes on.
#[derive(Clone, Copy)]
pub(super) enum Again {
    /// With the command that made it, but for the flag that makes another.
    WithoutNew,
    /// With the same command.
    Same,
}

impl Again {
    /// What to do about a run that goes on when it is driven again.
    pub(super) fn kept(self, run: RunId, stop: Stop) -> String {
        let (without, but) = (
            self.without(),
            match stop {
                Stop::Drained => "",
                Stop::AtOnce => ", but for the calls that were in flight: they may be paid again",
            },
        );
        format!(
            "Run {run} is kept; the same command goes on with it{without} and pays for no answer twice{but}."
        )
    }

    /// What to do about a run that stands so.
    pub(super) fn told(self, run: &Run, stop: Stop) -> String {
        let (id, without) = (run.id, self.without());
        match run.state {
            RunState::Running | RunState::Paused => self.kept(id, stop),
            RunState::Cancelling => {
                let why = run.reason.as_deref().unwrap_or("no reason given");
                let but = match stop {
                    Stop::Drained => "",
                    Stop::AtOnce => " The calls that were in flight may be on the provider's bill.",
                };
                format!(
                    "Run {id} is being cancelled: {why}. The same command{without} asks nothing more, ends it and shows what \
                     it has.{but}"
                )
            }
            RunState::Completed | RunState::Cancelled => over(id),
        }
    }

    fn without(self) -> &'static str {
        match self {
            Self::WithoutNew => " (without --new)",
            Self::Same => "",
        }
    }
}

/// What to do about a run that has come to its end.
pub(super) fn over(run: RunId) -> String {
    format!("Run {run} is over; `assay status {run}` shows what it has.")
}

pub(super) fn worker_failed(worked: Result<Result<(), WorkerError>, JoinError>) -> anyhow::Error {
    match worked {
        Ok(Ok(())) => anyhow!("the worker stopped before the run had ended"),
        Ok(Err(error)) => anyhow::Error::new(error).context("the worker failed"),
        Err(error) => anyhow::Error::new(error).context("the worker died"),
    }
}

/// Says on a terminal that Ctrl-C was heard.
pub(super) fn tell_stopping() {
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr(), "\nstopping: recording what is in flight; again to end at once");
    }
}
