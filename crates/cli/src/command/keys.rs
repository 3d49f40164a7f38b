//! The keys of a suite's providers. What is missing is one of the suite's problems, told where it names its provider.

use std::error::Error as _;

use assay_common::suite::Suite;
use assay_coordinator::suite::{Lack, Severity};
use assay_worker::Keys;

use crate::exit::Exit;
use crate::settings::Settings;

/// The keys that a run of the suite needs.
pub(crate) fn resolve(settings: &Settings, suite: &Suite) -> Result<Keys, Exit> {
    let providers = suite.models.iter().map(|model| model.provider.as_str());
    Keys::resolve(&settings.config, providers).map_err(Exit::input)
}

/// What is wrong with the key of a provider, if it needs one; as bad as `severity` says.
pub(crate) fn lack(settings: &Settings, provider: &str, severity: Severity) -> Option<Lack> {
    let error = Keys::resolve(&settings.config, [provider]).err()?;
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let hint = "assay.toml says where a key is: `api_key_env` or `api_key_file` of its provider";
    Some(Lack { message: format!("{error}{cause}"), hint: hint.to_owned(), severity })
}
