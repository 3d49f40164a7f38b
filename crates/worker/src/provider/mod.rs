//! Those who answer: one file for each kind of provider, one [`Question`] for all of them; [`wire`]: what a simulation
//! puts at the other end.
//!
//! What comes back is an [`observation::Observation`], classed by [`observation::classify`] and acted on by
//! [`crate::retry`]; [`meter`]: what the reply says of the provider's limits.

mod echo;
pub(crate) mod meter;
pub(crate) mod observation;
mod openai;
mod recorded;
mod wire;

use assay_common::case::Case;
use assay_common::clock::Clock;
use assay_common::config::{Provider as Settings, ProviderKind};
use assay_common::job::{Grant, JobKey};
use assay_common::model::Model;
use assay_common::prompt::Message;
use assay_store::{Store, StoreError};

use crate::keys::Secret;
use observation::Observation;
pub use wire::{Server, Wire, WireFault, WireReply};

/// A provider, ready to be asked.
#[derive(Debug)]
pub(crate) enum Provider {
    OpenAi(openai::OpenAi),
    Recorded,
    Echo,
}

/// A prompt with a case's variables filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    Text(String),
    Chat(Vec<Message>),
}

/// Tokens that a provider may add to each message of a chat, and to the whole.
const FRAME_TOKENS: u64 = 16;

impl Prompt {
    /// More tokens than any provider counts of it: a byte each, and the frame.
    pub(crate) fn most_tokens(&self) -> u64 {
        let messages = match self {
            Self::Text(_) => 1,
            Self::Chat(messages) => messages.len() as u64,
        };
        self.bytes() + FRAME_TOKENS * (messages + 1)
    }

    /// The bytes of its text.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes: usize = match self {
            Self::Text(text) => text.len(),
            Self::Chat(messages) => messages.iter().map(|message| message.content.len()).sum(),
        };
        bytes as u64
    }
}

/// One call to be made.
#[derive(Debug)]
pub(crate) struct Question<'q> {
    pub(crate) key: JobKey,
    /// The claim under which the call is made.
    pub(crate) attempt: u32,
    pub(crate) model: &'q Model,
    pub(crate) prompt: &'q Prompt,
    /// What a recorded answer is looked up by.
    pub(crate) case: &'q Case,
    pub(crate) prompt_label: &'q str,
    pub(crate) trial: u32,
}

impl<'q> Question<'q> {
    pub(crate) fn new(grant: &'q Grant, model: &'q Model, prompt: &'q Prompt, prompt_label: &'q str) -> Self {
        Self {
            key: grant.key,
            attempt: grant.attempt,
            model,
            prompt,
            case: &grant.case,
            prompt_label,
            trial: grant.trial,
        }
    }
}

/// A provider whose configuration makes no client.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Its `base_url` is no URL of a server.
    #[error("`base_url` is no http or https URL: {0}")]
    BaseUrl(String),
    /// The machine offers no way to connect, such as no root certificates.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
}

impl Provider {
    /// A client for at most `in_flight` calls at a time.
    pub(crate) fn new(
        settings: &Settings,
        key: Option<&Secret>,
        in_flight: u32,
        clock: Clock,
        wire: &Wire,
    ) -> Result<Self, ProviderError> {
        match settings.kind {
            ProviderKind::OpenAi => {
                openai::OpenAi::new(settings, key, in_flight, clock, wire).map(Self::OpenAi)
            }
            ProviderKind::Recorded => Ok(Self::Recorded),
            ProviderKind::Echo => Ok(Self::Echo),
        }
    }

    /// The host and port that are called, where one is.
    pub(crate) fn server(&self) -> Option<(&str, u16)> {
        match self {
            Self::OpenAi(openai) => openai.server(),
            Self::Recorded | Self::Echo => None,
        }
    }

    /// Asks. Every way in which a provider can fail is an observation; `None` when nobody can be asked because no
    /// recorded answer fits. The error is the store's, where recorded answers are kept.
    pub(crate) async fn ask(
        &self,
        question: &Question<'_>,
        store: &Store,
    ) -> Result<Option<Observation>, StoreError> {
        match self {
            Self::OpenAi(openai) => Ok(Some(openai.ask(question).await)),
            Self::Recorded => recorded::ask(question, store).await,
            Self::Echo => Ok(Some(echo::ask(question))),
        }
    }
}
