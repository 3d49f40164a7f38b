//! `assay incident`: what is wrong with a version that was released.

use super::prompt::put;
use crate::args::IncidentCommand;
use crate::exit::Exit;
use crate::releases::{IncidentAction, Releases};
use crate::render;
use crate::settings::Settings;

/// Does it, and prints the incident as it stands.
pub(crate) async fn call(settings: &Settings, command: IncidentCommand) -> Result<Exit, Exit> {
    let releases = Releases::open(settings).await?;
    let (number, action) = match command {
        IncidentCommand::List { all } => {
            return put(settings, &releases.incidents(all).await?, |found| render::incidents(found));
        }
        IncidentCommand::Show { number } => {
            return put(settings, &releases.incident(number).await?, render::incident);
        }
        IncidentCommand::Open { name, channel, reason } => {
            let opened = releases.open_incident(&name, &channel, &reason).await?;
            return put(settings, &opened, render::incident);
        }
        IncidentCommand::Ack { number } => (number, IncidentAction::Acknowledge),
        IncidentCommand::Link { number, release } => (number, IncidentAction::Link(release)),
        IncidentCommand::Resolve { number, cause } => (number, IncidentAction::Resolve(cause)),
        IncidentCommand::Reopen { number, reason } => (number, IncidentAction::Reopen(reason)),
    };
    put(settings, &releases.change_incident(number, action).await?, render::incident)
}
