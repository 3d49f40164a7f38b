//! This process as a member: the holder of its claims, alive for as long as its beat goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::WorkerError;
use crate::environment::Environment;
use crate::persist::with_sources;

const BEAT: Duration = Duration::from_secs(1);
/// What kind of member this is, for people.
const KIND: &str = "worker";

/// Joins; from here on claims can be made.
pub(crate) async fn join(environment: &Environment) -> Result<(), WorkerError> {
    let Environment { store, clock, member, host, pid, .. } = environment;
    store
        .join(*member, KIND, host.clone(), *pid, clock.now())
        .await
        .map_err(|source| WorkerError::Store { doing: "join as a member", source })
}

/// Beats once a second until `gone`. A member that was declared dead while it was frozen joins again: what it held
/// was given to others, and of two results for one job the first committed counts.
pub(crate) async fn beat(environment: Arc<Environment>, gone: CancellationToken) {
    let member = environment.member;
    let mut ticks = tokio::time::interval(BEAT);
    // After a freeze one beat says all that the missed ones would have said.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            () = gone.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match environment.store.beat(member).await {
            Ok(true) => failing = false,
            Ok(false) => {
                tracing::warn!(member.id = %member, "member {member} was declared dead; it joins again");
                if let Err(error) = join(&environment).await {
                    tracing::warn!(member.id = %member, error = %with_sources(&error), "failed to join again");
                }
            }
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(member.id = %member, error = %with_sources(&error), "failed to beat");
            }
            Err(_) => {}
        }
    }
}

/// Leaves, once the last beat is over: what is still held goes back to the store.
pub(crate) async fn leave(environment: &Environment, beating: JoinHandle<()>) -> Result<(), WorkerError> {
    beating.await.map_err(|_| WorkerError::Panicked)?;
    let freed = environment
        .store
        .leave(environment.member, environment.clock.now())
        .await
        .map_err(|source| WorkerError::Store { doing: "leave", source })?;
    if freed > 0 {
        tracing::info!(jobs = freed, "gave back {freed} jobs that were not done");
    }
    Ok(())
}
