//! SIGINT and SIGTERM: the first drains, the second ends at once.

use std::time::Duration;

use assay_worker::Shutdown;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// Fires the soft token at the first signal, and the hard one at the second or when `grace` is over. `first` is called at
/// the first.
pub(crate) async fn stop_on_signals(shutdown: Shutdown, grace: Option<Duration>, first: impl FnOnce()) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let mut signalled = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    signalled().await;
    first();
    shutdown.soft.cancel();
    tokio::select! {
        () = signalled() => {}
        () = over(grace) => tracing::warn!("the grace is over: calls in flight are given up, their jobs given back"),
    }
    shutdown.hard.cancel();
}

async fn over(grace: Option<Duration>) {
    match grace {
        Some(grace) => sleep(grace).await,
        None => std::future::pending().await,
    }
}
