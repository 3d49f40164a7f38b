//! Where runs are read from: a store, or a coordinator. Commands that read are written once for both.

use assay_common::clock::Clock;
use assay_common::id::RunId;
use assay_common::suite::Suite;
use assay_coordinator::api::document::{Reason, ReasonKind, RunDocument, RunEntry};
use assay_coordinator::compare::{Comparison, Request, compare};
use assay_coordinator::flakes::{self, Ledger};
use assay_coordinator::release::document::VerdictEntry;
use assay_coordinator::report::{assemble, result_line};
use assay_store::{Run, Schema, Store};

use anyhow::anyhow;

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
        match self {
            Self::Store(store) => {
                let run = stored(store, id).await?;
                let report = assemble(store, &suite_of(store, &run).await?, &run).await?;
                let mut document = RunDocument::reported(&run, report);
                document.recorded = store.verdicts_of_run(id).await?.iter().map(VerdictEntry::of).collect();
                for (account, problem) in store.account_problems().await? {
                    let detail = format!("{account} needs attention: {}: {}", problem.kind, problem.detail);
                    document.reasons.push(Reason { kind: ReasonKind::Account, detail, hint: None });
                }
                Ok(document)
            }
            Self::Server(client) => Ok(client.run(id).await?),
        }
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

    /// Calls `on_line` for every result of a run, one JSON object a line, in constant memory.
    pub(crate) async fn each_result(
        &self,
        id: RunId,
        mut on_line: impl FnMut(&[u8]) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        let store = match self {
            Self::Server(client) => return client.each_result(id, on_line).await,
            Self::Store(store) => store,
        };
        let run = stored(store, id).await?;
        let suite = suite_of(store, &run).await?;
        let mut after = None;
        loop {
            let page = store.results(run.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.row.ordinal);
            for row in &page {
                on_line(result_line(&suite, row).to_string().as_bytes())?;
            }
        }
    }
}

async fn stored(store: &Store, id: RunId) -> Result<Run, Exit> {
    let run = store.run(id).await?;
    run.ok_or_else(|| Exit::Input(anyhow!("the store has no run {id}; `assay status` lists the latest")))
}

/// The frozen suite of a run.
async fn suite_of(store: &Store, run: &Run) -> Result<Suite, Exit> {
    let suite = store.suite(run.revision.clone()).await?;
    suite.ok_or_else(|| Exit::unfinished(anyhow!("the store lacks suite revision {}", run.revision)))
}
