//! Where runs are read from: a store, or a coordinator. Commands that read are written once for both.

use assay_common::clock::Clock;
use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_coordinator::api::document::{RunDocument, RunEntry};
use assay_coordinator::compare::{Comparison, Request, compare};
use assay_coordinator::flakes::{self, Ledger};
use assay_coordinator::judge::{catch_up, recorded};
use assay_coordinator::prune::kept_report;
use assay_coordinator::reasons::{Asker, reasons};
use assay_coordinator::report::{assemble, civil, result_line};
use assay_coordinator::steer::{Action, SteerError, steer};
use assay_store::{Mandate, Run, Schema, Store};

use anyhow::anyhow;

use crate::audit::entry;
use crate::client::Client;
use crate::exit::Exit;
use crate::settings::Settings;

/// Results read from a store at a time.
const PAGE: u32 = 1_000;

/// Where runs are read from.
pub(crate) enum Source {
    /// A store.
    Store(Store),
    /// A coordinator.
    Server(Client),
}

impl Source {
    /// The coordinator, where one is named; else the store, which has to be there.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Exit> {
        match &settings.server {
            Some(_) => Ok(Self::Server(settings.client()?)),
            None => Ok(Self::Store(Store::open(&settings.store, Schema::Require).await?)),
        }
    }

    /// The latest runs.
    pub(crate) async fn runs(&self, limit: u32) -> Result<Vec<RunEntry>, Exit> {
        match self {
            Self::Store(store) => Ok(store.runs(None, limit).await?.iter().map(RunEntry::of).collect()),
            Self::Server(client) => Ok(client.runs(limit).await?),
        }
    }

    /// The named run's id, else that of the latest; that there is none is wrong input.
    pub(crate) async fn find(&self, run: Option<RunId>) -> Result<RunId, Exit> {
        match run {
            Some(run) => Ok(run),
            None => self.runs(1).await?.pop().map(|entry| entry.run.id).ok_or_else(|| {
                Exit::Input(anyhow!("there are no runs yet; start one with `assay run SUITE`"))
            }),
        }
    }

    /// A run with its report; one that is not there is wrong input.
    pub(crate) async fn run(&self, id: RunId) -> Result<RunDocument, Exit> {
        let store = match self {
            Self::Server(client) => return Ok(client.run(id).await?),
            Self::Store(store) => store,
        };
        let run = stored(store, id).await?;
        if let Some(kept) = kept_report(store, &run).await? {
            return Ok(kept);
        }
        let suite = suite_of(store, &run).await?;
        let mut document = RunDocument::reported(&run, assemble(store, &suite, &run).await?);
        document.recorded = recorded(store, id).await?;
        if !run.state.is_over() {
            let now = Clock::system().now();
            document.reasons = reasons(store, &suite, &run, Asker::Reader, now).await?;
        }
        Ok(document)
    }

    /// Steers a run; what its state does not allow is wrong input.
    pub(crate) async fn steer(&self, id: RunId, action: Action, reason: &str) -> Result<RunEntry, Exit> {
        let store = match self {
            Self::Server(client) => return Ok(client.steer(id, action, reason).await?),
            Self::Store(store) => store,
        };
        let entry = entry(action.word(), &id.to_string(), action.detail(reason))?;
        let now = entry.at;
        let mut run = steer(store, id, action, reason, entry).await.map_err(|error| match error {
            SteerError::Store(error) => error.into(),
            SteerError::NoRun(id) => no_run(id),
            wrong => match wrong.hint() {
                Some(hint) => Exit::Input(anyhow!("{wrong}\n  help: {hint}")),
                None => Exit::input(wrong),
            },
        })?;
        if action == Action::Cancel
            && let Some(over) = store.finish(Mandate::Own, id, now).await?
        {
            // Nothing of it was running: nobody else is needed to end it, nor to say what it came to.
            run = over;
            catch_up(store, now).await?;
        }
        Ok(RunEntry::of(&run))
    }

    /// What changed between two runs or versions; a side that is not there is wrong input.
    pub(crate) async fn compare(&self, request: &Request) -> Result<Comparison, Exit> {
        match self {
            Self::Store(store) => Ok(Box::pin(compare(store, request)).await?),
            Self::Server(client) => Ok(client.compare(request).await?),
        }
    }

    /// The ledger of flakes of a suite, or of that of the latest run; `None` where no run is over.
    pub(crate) async fn ledger(&self, suite: Option<String>, runs: u32) -> Result<Option<Ledger>, Exit> {
        match self {
            Self::Store(store) => Ok(flakes::read(store, suite, runs, Clock::system().now()).await?),
            Self::Server(client) => Ok(client.ledger(suite, runs).await?),
        }
    }

    /// Calls `on_line` for every result of a run that counts, or for those that later ones have replaced: one JSON object
    /// a line, in constant memory.
    pub(crate) async fn each_result(
        &self,
        id: RunId,
        earlier: bool,
        mut on_line: impl FnMut(&[u8]) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        let store = match self {
            Self::Server(client) => return client.each_result(id, earlier, on_line).await,
            Self::Store(store) => store,
        };
        let run = stored(store, id).await?;
        if let Some(pruned_at) = run.pruned_at {
            let when = civil(pruned_at);
            return Err(Exit::Input(anyhow!(
                "the results of run {id} were removed by `assay prune` at {when}; `assay status {id}` shows its report"
            )));
        }
        let suite = suite_of(store, &run).await?;
        let mut after = None;
        loop {
            let page = if earlier {
                store.earlier_results(run.id, after, PAGE).await?
            } else {
                store.results(run.id, after.map(|(ordinal, _)| ordinal), PAGE).await?
            };
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.row.ordinal, last.row.generation));
            for row in &page {
                on_line(result_line(&suite, row).to_string().as_bytes())?;
            }
        }
    }
}

fn no_run(id: RunId) -> Exit {
    Exit::Input(anyhow!("the store has no run {id}; `assay status` lists the latest"))
}

async fn stored(store: &Store, id: RunId) -> Result<Run, Exit> {
    let run = store.run(id).await?;
    run.ok_or_else(|| no_run(id))
}

/// The frozen suite of a run.
async fn suite_of(store: &Store, run: &Run) -> Result<Suite, Exit> {
    let suite = store.suite(run.revision.clone()).await?;
    suite.ok_or_else(|| Exit::unfinished(anyhow!("the store lacks suite revision {}", run.revision)))
}
