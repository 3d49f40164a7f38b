//! The coordinator of a fleet: any number may run, one of them leads and drives every open run.
//!
//! ```text
//!            the lock is free                        told to stop, or the lock or the epoch is lost
//! standby ──────────────────────► leading ── rounds ──────────────────────────────────────────────► standby
//!    │  the leader's beat stands still: its session is ended, and the lock is free
//! ```
//!
//! - `member`: this process among the others, by its beat
//! - `election`: waiting for the lock; raising the epoch
//! - `lead`: rounds over all open runs; `attention`: pools that nobody serves; `broker`: its absence
//!
//! **Invariant:** workers neither know nor need a leader: what is queued is finished and recorded without one.

mod attention;
mod broker;
mod election;
mod lead;
mod member;

use assay_common::id::MemberId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::environment::Environment;
use crate::run::DriveError;
pub(crate) use attention::UNSERVED;
pub(crate) use broker::{BROKER, queue_of};

use election::Election;
use member::Membership;

/// This process, as a member.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Drawn at start, never reused.
    pub member: MemberId,
    /// Where it runs, for people.
    pub host: String,
    /// Its number there.
    pub pid: u32,
}

/// What a coordinator is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Another leads; this one takes over when that one is gone.
    Standby,
    /// It drives the runs.
    Leading,
}

/// Coordinates until `stop`: waits for the leadership, leads, waits again. An outage of the store or the queue is waited
/// out, however long it lasts. `role` says what it is.
///
/// # Errors
/// When the store says what no waiting cures.
pub async fn coordinate(
    environment: Environment,
    identity: Identity,
    role: watch::Sender<Role>,
    stop: CancellationToken,
) -> Result<(), DriveError> {
    let membership = Membership::begin(environment.clone(), identity.clone(), &stop).await?;
    let mut election = Election::new(environment.clone(), identity.member);
    let mut result = Ok(());
    while let Some(mut term) = election.win(&stop).await {
        role.send_replace(Role::Leading);
        let led = tokio::select! {
            biased;
            led = lead::lead(environment.clone(), term.mandate, &stop) => led,
            () = term.lost() => Ok(()),
        };
        role.send_replace(Role::Standby);
        term.end().await;
        let member = identity.member;
        match led {
            Ok(()) => tracing::info!(member.id = %member, "coordinator {member} leads no longer"),
            Err(error) if is_deposed(&error) => {
                tracing::warn!(member.id = %member, %error, "coordinator {member} leads no longer: {error}");
            }
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    membership.end().await;
    result
}

fn is_deposed(error: &DriveError) -> bool {
    matches!(error, DriveError::Store(assay_store::StoreError::Deposed { .. }))
}
