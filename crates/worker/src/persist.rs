//! Calls to the store that outlast an outage of it: what is in hand waits, nothing is lost.

use std::time::Duration;

use assay_store::StoreError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::WorkerError;
use crate::pool::Dice;

/// Waits between attempts double from the first to the longest of these, and are drawn from the upper half.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Repeats `call` until it succeeds; `None` when `give_up` fires first, which it may only between attempts. An error
/// is one that waiting does not cure. `doing` completes "failed to …".
pub(crate) async fn persist<T, F: Future<Output = Result<T, StoreError>>>(
    doing: &'static str,
    dice: &Dice,
    give_up: &CancellationToken,
    mut call: impl FnMut() -> F,
) -> Result<Option<T>, WorkerError> {
    let mut wait = FIRST_WAIT;
    let mut down_since = None;
    loop {
        match call().await {
            Ok(value) => {
                if let Some(since) = down_since {
                    let duration_ms = millis(since);
                    tracing::info!(duration_ms, "the store answers again: could {doing}");
                }
                return Ok(Some(value));
            }
            Err(source) if !source.may_pass() => return Err(WorkerError::Store { doing, source }),
            Err(error) if down_since.is_none() => {
                down_since = Some(Instant::now());
                tracing::warn!(error = %with_sources(&error), "failed to {doing}; trying again until it works");
            }
            Err(_) => {}
        }
        let jittered = wait.mul_f64(0.5 + dice.draw() / 2.0);
        tokio::select! {
            biased;
            () = give_up.cancelled() => return Ok(None),
            () = tokio::time::sleep(jittered) => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// An error with all that caused it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use assay_common::id::MemberId;

    use super::*;

    fn away() -> StoreError {
        StoreError::NotJoined { member: MemberId::new(Default::default()) }
    }

    /// What comes of a call that fails `failures` times with `error` before it succeeds.
    async fn check(
        failures: u32,
        error: fn() -> StoreError,
        give_up: &CancellationToken,
    ) -> (Result<Option<u32>, WorkerError>, u32) {
        let mut attempts = 0;
        let result = persist("test", &Dice::new(1), give_up, || {
            attempts += 1;
            std::future::ready(if attempts > failures { Ok(7) } else { Err(error()) })
        })
        .await;
        (result, attempts)
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_outlasted() {
        let start = Instant::now();
        let (result, attempts) = check(30, away, &CancellationToken::new()).await;
        assert!(matches!(result, Ok(Some(7))));
        assert_eq!(attempts, 31);
        assert!(start.elapsed() <= 30 * LONGEST_WAIT && start.elapsed() >= 10 * LONGEST_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_patience_comes_after_an_attempt() {
        let ended = CancellationToken::new();
        ended.cancel();
        let (result, attempts) = check(30, away, &ended).await;
        assert!(matches!(result, Ok(None)));
        assert_eq!(attempts, 1);
        let (result, _) = check(0, away, &ended).await;
        assert!(matches!(result, Ok(Some(7))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waiting_does_not_cure_is_an_error() {
        let broken = || StoreError::Unreadable("a row".into());
        let (result, attempts) = check(30, broken, &CancellationToken::new()).await;
        assert!(matches!(result, Err(WorkerError::Store { doing: "test", .. })));
        assert_eq!(attempts, 1);
    }
}
