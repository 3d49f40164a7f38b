//! Where releases are read and made: a store, or a coordinator. Commands are written once for both.

use assay_common::clock::{Clock, Micros};
use assay_common::id::Digest;
use assay_coordinator::release::document::{
    HistoryDocument, IncidentDocument, LiveDocument, PromptDocument, RehearsalDocument, ReleaseEntry,
    VerifyDocument, VersionDocument, VersionEntry,
};
use assay_coordinator::release::verify::verify;
use assay_coordinator::release::{Desk, Promote, ReleaseError, Which, incident, registry};
use assay_store::{Schema, Store};

use crate::chance::draw;
use crate::client::Client;
use crate::command::host;
use crate::exit::Exit;
use crate::render::warn;
use crate::settings::Settings;

/// Variables that say who is at the command line, the most telling first.
const WHO: [&str; 3] = ["ASSAY_ACTOR", "USER", "LOGNAME"];
/// Who it is where none of them does.
const SOMEBODY: &str = "command line";

/// Where releases are read and made.
pub(crate) enum Releases {
    /// A store.
    Store(Store),
    /// A coordinator.
    Server(Client),
}

/// What is done to an incident.
pub(crate) enum IncidentAction {
    /// Somebody takes it up.
    Acknowledge,
    /// A release took the version off the channel.
    Link(Option<i64>),
    /// It is over, with its cause.
    Resolve(String),
    /// It is not over, with the reason.
    Reopen(String),
}

impl Releases {
    /// The coordinator, where one is named; else the store, which has to be there.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Exit> {
        match &settings.server {
            Some(_) => Ok(Self::Server(settings.client()?)),
            None => Ok(Self::Store(Store::open(&settings.store, Schema::Require).await?)),
        }
    }

    pub(crate) async fn prompts(&self) -> Result<Vec<PromptDocument>, Exit> {
        match self {
            Self::Store(store) => registry::prompts(store).await.map_err(exit),
            Self::Server(client) => Ok(client.prompts().await?),
        }
    }

    pub(crate) async fn show(&self, name: &str, which: Option<&Which>) -> Result<VersionDocument, Exit> {
        match self {
            Self::Store(store) => registry::show(store, name, which).await.map_err(exit),
            Self::Server(client) => Ok(client.version(name, which).await?),
        }
    }

    /// Every version of a prompt, newest first.
    pub(crate) async fn versions(&self, name: &str) -> Result<Vec<VersionEntry>, Exit> {
        let mut all: Vec<VersionEntry> = Vec::new();
        loop {
            let before = all.last().map(|version| version.version);
            let page = match self {
                Self::Store(store) => registry::versions(store, name, before).await.map_err(exit)?,
                Self::Server(client) => client.versions(name, before).await?,
            };
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    pub(crate) async fn history(
        &self,
        name: &str,
        channel: Option<&str>,
        at: Option<Micros>,
    ) -> Result<HistoryDocument, Exit> {
        match self {
            Self::Store(store) => registry::history(store, name, channel, at).await.map_err(exit),
            Self::Server(client) => Ok(client.history(name, channel, at).await?),
        }
    }

    pub(crate) async fn promote(&self, asked: Promote) -> Result<ReleaseEntry, Exit> {
        match self {
            Self::Store(store) => desk(store)?.promote(asked).await.map_err(exit),
            Self::Server(client) => client.promote(&asked).await.map_err(refused),
        }
    }

    pub(crate) async fn rollback(
        &self,
        name: &str,
        channel: &str,
        from: Option<&Which>,
        reason: &str,
    ) -> Result<ReleaseEntry, Exit> {
        match self {
            Self::Store(store) => desk(store)?.rollback(name, channel, from, reason).await.map_err(exit),
            Self::Server(client) => client.rollback(name, channel, from, reason).await.map_err(refused),
        }
    }

    pub(crate) async fn rehearse(&self, name: &str, channel: &str) -> Result<RehearsalDocument, Exit> {
        match self {
            Self::Store(store) => desk(store)?.rehearse(name, channel).await.map_err(exit),
            Self::Server(client) => client.rehearse(name, channel).await.map_err(refused),
        }
    }

    pub(crate) async fn pull(&self, name: &str, channel: &str) -> Result<LiveDocument, Exit> {
        match self {
            Self::Store(store) => registry::pull(store, channel, name).await.map_err(exit),
            Self::Server(client) => Ok(client.pull(name, channel).await?),
        }
    }

    pub(crate) async fn verify(
        &self,
        digest: &Digest,
        channel: &str,
        prompt: Option<&str>,
        new_channel: bool,
    ) -> Result<VerifyDocument, Exit> {
        match self {
            Self::Store(store) => {
                let now = Clock::system().now();
                verify(store, digest, channel, prompt, new_channel, now).await.map_err(exit)
            }
            Self::Server(client) => Ok(client.verify(digest, channel, prompt, new_channel).await?),
        }
    }

    pub(crate) async fn incidents(&self, all: bool) -> Result<Vec<IncidentDocument>, Exit> {
        match self {
            Self::Store(store) => incident::list(store, all).await.map_err(exit),
            Self::Server(client) => Ok(client.incidents(all).await?),
        }
    }

    pub(crate) async fn incident(&self, number: i64) -> Result<IncidentDocument, Exit> {
        match self {
            Self::Store(store) => incident::show(store, number).await.map_err(exit),
            Self::Server(client) => Ok(client.incident(number).await?),
        }
    }

    pub(crate) async fn open_incident(
        &self,
        name: &str,
        channel: &str,
        reason: &str,
    ) -> Result<IncidentDocument, Exit> {
        match self {
            Self::Store(store) => desk(store)?.open_incident(name, channel, reason).await.map_err(exit),
            Self::Server(client) => Ok(client.open_incident(name, channel, reason).await?),
        }
    }

    pub(crate) async fn change_incident(
        &self,
        number: i64,
        action: IncidentAction,
    ) -> Result<IncidentDocument, Exit> {
        let store = match self {
            Self::Server(client) => return Ok(client.change_incident(number, &action).await?),
            Self::Store(store) => store,
        };
        let mut desk = desk(store)?;
        let changed = match action {
            IncidentAction::Acknowledge => desk.acknowledge(number).await,
            IncidentAction::Link(release) => desk.link(number, release).await,
            IncidentAction::Resolve(cause) => desk.resolve(number, &cause).await,
            IncidentAction::Reopen(reason) => desk.reopen(number, &reason).await,
        };
        changed.map_err(exit)
    }
}

/// A desk of whoever types the command, on this machine.
pub(crate) fn desk(store: &Store) -> Result<Desk<'_>, Exit> {
    let set = |name: &&str| std::env::var(name).ok().filter(|who| !who.trim().is_empty());
    let by = WHO.iter().find_map(set).unwrap_or_else(|| SOMEBODY.to_owned());
    Ok(Desk::new(store, Clock::system(), by, format!("command line on {}", host()), draw()?))
}

/// A refusal is a verdict: it ends with the code of one. A lost race and a store that is away may be tried again.
pub(crate) fn exit(error: ReleaseError) -> Exit {
    match error {
        ReleaseError::Refused(refusal) => {
            warn(&[refusal]);
            Exit::Failed
        }
        ReleaseError::Raced(_) => Exit::unfinished(error),
        ReleaseError::Store(error) => error.into(),
        ReleaseError::Unknown { .. } | ReleaseError::Input(_) | ReleaseError::State(_) => Exit::input(error),
    }
}

/// The same as a coordinator says it.
fn refused(error: crate::client::ClientError) -> Exit {
    match error.kind() {
        Some("urn:assay:problem:release-refused") => {
            warn(&[error]);
            Exit::Failed
        }
        Some("urn:assay:problem:release-raced") => Exit::unfinished(error),
        _ => error.into(),
    }
}
