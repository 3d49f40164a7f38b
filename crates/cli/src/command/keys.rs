//! The keys of a suite's providers. All that are missing are told, each where the suite names its provider.

use std::error::Error as _;

use assay_common::suite::Suite;
use assay_coordinator::suite::{Diagnostic, Loaded, Problems};
use assay_worker::Keys;

use crate::exit::Exit;
use crate::settings::Settings;

/// The keys that a run needs.
pub(crate) fn resolve(settings: &Settings, loaded: &Loaded) -> Result<Keys, Exit> {
    let missing = missing(settings, loaded);
    if missing.is_empty() {
        Keys::resolve(&settings.config, providers(loaded)).map_err(Exit::input)
    } else {
        Err(Exit::input(Problems::from(missing)))
    }
}

/// The keys that a suite from the store needs.
pub(crate) fn resolve_frozen(settings: &Settings, suite: &Suite) -> Result<Keys, Exit> {
    let providers = suite.models.iter().map(|model| model.provider.as_str());
    Keys::resolve(&settings.config, providers).map_err(Exit::input)
}

/// What is wrong with the keys that a run needs.
pub(crate) fn missing(settings: &Settings, loaded: &Loaded) -> Vec<Diagnostic> {
    let mut named: Vec<_> = providers(loaded).collect();
    named.sort_unstable();
    named.dedup();
    let problem = |provider: &str| {
        let error = Keys::resolve(&settings.config, [provider]).err()?;
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        let hint = "assay.toml says where a key is: `api_key_env` or `api_key_file` of its provider";
        Some(loaded.problem_with(provider, format!("{error}{cause}"), hint))
    };
    named.into_iter().filter_map(problem).collect()
}

fn providers(loaded: &Loaded) -> impl Iterator<Item = &str> {
    loaded.suite.models.iter().map(|model| model.provider.as_str())
}
