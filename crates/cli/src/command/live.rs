//! What is live where a suite asks for it by `channel`: looked up before it is validated, in the store or of a coordinator.

use std::path::Path;

use assay_coordinator::suite::{Live, Place, asked_of, live_places};
use assay_store::{Schema, Store, StoreError};

use crate::exit::Exit;
use crate::releases::Releases;
use crate::settings::Settings;

/// Looks where the command line says: of the coordinator that is named, else in the store.
pub(crate) async fn look(settings: &Settings, suite: &Path) -> Result<Live, Exit> {
    match &settings.server {
        None => in_store(settings, suite).await,
        Some(_) => {
            let asked = asked_of(suite);
            if asked.is_empty() {
                return Ok(Live::default());
            }
            found(&Releases::Server(settings.client()?), asked).await
        }
    }
}

/// Looks in the store. Where none is yet, nothing is live.
pub(crate) async fn in_store(settings: &Settings, suite: &Path) -> Result<Live, Exit> {
    let asked = asked_of(suite);
    if asked.is_empty() {
        return Ok(Live::default());
    }
    match Store::open(&settings.store, Schema::Require).await {
        Ok(store) => found(&Releases::Store(store), asked).await,
        Err(StoreError::NoStore { .. } | StoreError::NoFolder { .. } | StoreError::SchemaMissing { .. }) => {
            Ok(Live::default())
        }
        Err(error) => Err(error.into()),
    }
}

async fn found(releases: &Releases, asked: Vec<Place>) -> Result<Live, Exit> {
    let prompts = releases.prompts().await?;
    let mut live = Live::looked_up(&asked, &prompts);
    for place in live_places(asked, &prompts) {
        let version = releases.pull(&place.0, &place.1).await?;
        live.insert(place, version.version, version.body);
    }
    Ok(live)
}
