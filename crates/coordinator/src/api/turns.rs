//! Turns: how many requests of a kind are answered at once, where each takes memory or disk for as long as its client likes.
//! Further ones wait for a moment; then they are told to come back, so that nobody hangs behind others' slowness.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::ApiError;

/// How long a request waits for its turn.
const WAIT: Duration = Duration::from_secs(5);

/// The turns of a kind of requests.
pub(super) struct Turns {
    places: Arc<Semaphore>,
    number: usize,
    kind: &'static str,
}

impl Turns {
    /// `number` at once; `kind`: what they are, in the plural.
    pub(super) fn new(number: usize, kind: &'static str) -> Self {
        Self { places: Arc::new(Semaphore::new(number)), number, kind }
    }

    /// A turn, which ends when it is dropped.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        match timeout(WAIT, Arc::clone(&self.places).acquire_owned()).await {
            Ok(turn) => turn.map_err(|closed| ApiError::Internal(closed.to_string())),
            Err(_) => Err(ApiError::Busy { number: self.number, kind: self.kind }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_is_sent_away_until_a_turn_ends() {
        let turns = Turns::new(2, "uploads");
        let first = turns.take().await.unwrap();
        let _second = turns.take().await.unwrap();
        let error = turns.take().await.err().unwrap();
        assert_eq!(error.to_string(), "2 uploads are under way, as many as this coordinator bears at once");
        drop(first);
        assert!(turns.take().await.is_ok());
    }
}
