//! What is at the other end of a provider's connection: the network, or in a simulation a model of a server.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// Where calls to providers go.
#[derive(Clone, Debug, Default)]
pub enum Wire {
    /// To the servers that are configured.
    #[default]
    Network,
    /// To a model of them.
    Model(Arc<dyn Server>),
}

/// A model of a provider's server. What it replies is read as a server's reply is; what it does not reply in the time
/// that a call may take is a time-out.
pub trait Server: fmt::Debug + Send + Sync {
    /// Answers one request: `job` names the claim it is made under (run, ordinal, generation and attempt with slashes
    /// between), `body` is what is asked. Dropped when whoever asked no longer waits.
    fn answer(
        &self,
        job: String,
        body: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<WireReply, WireFault>> + Send + '_>>;
}

/// A reply as it comes from a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireReply {
    /// Its status.
    pub status: u16,
    /// Its `Retry-After`.
    pub retry_after: Option<String>,
    /// Its body, decompressed.
    pub body: Vec<u8>,
}

/// Why no reply comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// There is no connection.
    Unsent(String),
    /// It ended after the request was sent.
    Broken(String),
}
