//! A coordinator as a member: its beat is how the others know that it lives.

use std::time::Duration;

use assay_store::{Offer, StoreError};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Identity;
use crate::environment::Environment;
use crate::run::round::with_sources;

const BEAT: Duration = Duration::from_secs(1);
/// What kind of member this is, for people.
const KIND: &str = "coordinator";

/// A joined member that beats.
pub(super) struct Membership {
    environment: Environment,
    identity: Identity,
    beating: AbortOnDropHandle<()>,
    gone: CancellationToken,
}

impl Membership {
    /// Joins, however long it takes, and beats from then on in a task of its own: a leader whose round takes long lives.
    pub(super) async fn begin(
        environment: Environment,
        identity: Identity,
        stop: &CancellationToken,
    ) -> Result<Self, StoreError> {
        let mut ticks = interval(BEAT);
        let mut told = false;
        while !stop.is_cancelled() {
            ticks.tick().await;
            match join(&environment, &identity).await {
                Ok(()) => break,
                Err(error) if error.may_pass() => tell(&mut told, "join the fleet", &error),
                Err(error) => return Err(error),
            }
        }
        let gone = CancellationToken::new();
        let beating = beat(environment.clone(), identity.clone(), gone.clone());
        let beating = AbortOnDropHandle::new(tokio::spawn(beating));
        Ok(Self { environment, identity, beating, gone })
    }

    /// Leaves, after the last beat.
    pub(super) async fn end(self) {
        self.gone.cancel();
        // It does nothing that can fail but beat.
        let _ = self.beating.await;
        let Environment { store, clock, .. } = &self.environment;
        if let Err(error) = store.leave(self.identity.member, clock.now()).await {
            // Whoever leads buries it.
            tracing::warn!(error = %with_sources(&error), "failed to leave the fleet");
        }
    }
}

async fn join(environment: &Environment, identity: &Identity) -> Result<(), StoreError> {
    let Identity { member, host, pid } = identity;
    environment.store.join(*member, KIND, host.clone(), *pid, environment.clock.now()).await
}

async fn beat(environment: Environment, identity: Identity, gone: CancellationToken) {
    let mut ticks = interval(BEAT);
    // After a freeze one beat says all that the missed ones would have said.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            () = gone.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let beaten = match environment.store.beat(identity.member, &Offer::default()).await {
            Ok(true) => Ok(()),
            // Declared dead while it was frozen.
            Ok(false) => join(&environment, &identity).await,
            Err(error) => Err(error),
        };
        match beaten {
            Ok(()) => told = false,
            Err(error) => tell(&mut told, "beat", &error),
        }
    }
}

/// Says once that something fails, until it works again.
fn tell(told: &mut bool, doing: &str, error: &StoreError) {
    if !*told {
        *told = true;
        let error = with_sources(error);
        tracing::warn!(%error, "failed to {doing}, trying again until it works: {error}");
    }
}
