//! This process as a member: the holder of its claims, alive for as long as its beat goes on.

use std::sync::Arc;
use std::time::Duration;

use assay_store::{Offer, StoreError};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::WorkerError;
use crate::environment::Environment;
use crate::persist::{persist, with_sources};
use crate::pool::Dice;

const BEAT: Duration = Duration::from_secs(1);
/// Joins, however long the store is away; from here on claims can be made. `false`: told to stop first.
pub(crate) async fn join(
    environment: &Environment,
    kind: &'static str,
    stop: &CancellationToken,
) -> Result<bool, WorkerError> {
    let dice = Dice::new(environment.seed);
    let joined = persist("join as a member", &dice, stop, || join_once(environment, kind)).await?;
    Ok(joined.is_some())
}

async fn join_once(environment: &Environment, kind: &'static str) -> Result<(), StoreError> {
    let Environment { store, clock, member, host, pid, .. } = environment;
    store.join(*member, kind, host.clone(), *pid, clock.now()).await
}

/// Beats once a second until `gone`, and whenever what is offered changes. A member that was declared dead while it was
/// frozen joins again: what it held was given to others, and of two results for one job the first committed counts.
pub(crate) async fn beat(
    environment: Arc<Environment>,
    kind: &'static str,
    mut offer: watch::Receiver<Offer>,
    gone: CancellationToken,
) {
    let member = environment.member;
    let mut ticks = tokio::time::interval(BEAT);
    // After a freeze one beat says all that the missed ones would have said.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            biased;
            () = gone.cancelled() => return,
            _ = ticks.tick() => {}
            // Whoever sets it lives as long as there is work; after that only the clock is left.
            Ok(()) = offer.changed() => {}
        }
        let offered = offer.borrow_and_update().clone();
        match environment.store.beat(member, &offered).await {
            Ok(true) => failing = false,
            Ok(false) => {
                tracing::warn!(member.id = %member, "member {member} was declared dead; it joins again");
                if let Err(error) = join_once(&environment, kind).await {
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
pub(crate) async fn leave(
    environment: &Environment,
    beating: AbortOnDropHandle<()>,
) -> Result<(), WorkerError> {
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
