//! `assay limits`: what provider accounts allow, who may use how much of it now, and what somebody sets instead or lifts.

use super::prompt::put;
use crate::args::LimitsCommand;
use crate::exit::Exit;
use crate::releases::Releases;
use crate::render;
use crate::settings::Settings;

/// Shows all limits, sets some, takes them back, or lifts a pause.
pub(crate) async fn call(settings: &Settings, command: Option<LimitsCommand>) -> Result<Exit, Exit> {
    let releases = Releases::open(settings).await?;
    let config = &settings.config;
    let (document, of) = match command {
        None => (releases.limits(config).await?, None),
        Some(LimitsCommand::Set(asked)) => (releases.set_limits(config, &asked).await?, Some(asked.scope)),
        Some(LimitsCommand::Clear { scope, dimension, reason }) => {
            (releases.clear_limits(config, &scope, dimension, &reason).await?, Some(scope))
        }
        Some(LimitsCommand::Resume { account, reason }) => {
            (releases.resume_account(config, &account, &reason).await?, Some(account))
        }
    };
    put(settings, &document, |document| render::limits(document, of.as_deref()))
}
