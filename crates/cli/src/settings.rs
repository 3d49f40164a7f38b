//! Flags, then the environment, then assay.toml, become one answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use assay_common::config::Config;
use assay_common::trace::Tracer;
use assay_store::StoreUrl;

use crate::args::Common;
use crate::client::{Client, ClientError};
use crate::exit::Exit;

/// The name of the configuration file.
const FILE_NAME: &str = "assay.toml";

/// What a command works with.
pub(crate) struct Settings {
    /// Providers, limits, prices.
    pub(crate) config: Arc<Config>,
    /// Where results live.
    pub(crate) store: StoreUrl,
    /// Whether a flag or the environment says so.
    pub(crate) store_named: bool,
    /// The coordinator that readers ask instead of the store.
    pub(crate) server: Option<String>,
    /// What a coordinator is asked with.
    token: Option<String>,
    /// Whether the result goes to stdout as JSON.
    pub(crate) json: bool,
    /// Where spans go.
    pub(crate) tracer: Tracer,
}

impl Settings {
    /// Reads the configuration; what is wrong with it is wrong input.
    pub(crate) fn load(common: &Common, tracer: Tracer) -> Result<Self, Exit> {
        let file = match &common.config {
            Some(path) => Some(path.clone()),
            None => nearest().map_err(Exit::input)?,
        };
        let config = match &file {
            Some(path) => read(path).map_err(Exit::input)?,
            None => Config::default(),
        };
        let folder = file.as_deref().and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default();
        let store = match (&common.store, &config.store) {
            (Some(url), _) => url.parse().map_err(Exit::input)?,
            // A file is named from where the configuration lies, not from where the command is typed.
            (None, Some(url)) => match url.parse().map_err(Exit::input)? {
                StoreUrl::Sqlite(path) => StoreUrl::Sqlite(folder.join(path)),
                url @ StoreUrl::Postgres(_) => url,
            },
            (None, None) => StoreUrl::Sqlite(folder.join(".assay").join("assay.db")),
        };
        let store_named = common.store.is_some();
        let server = common.server.clone().filter(|server| !server.trim().is_empty());
        if common.store_typed && common.server_typed {
            return Err(Exit::Input(anyhow!("--store and --server: keep the one that is to be asked")));
        }
        // What is typed counts more than what the environment holds.
        let server = server.filter(|_| !common.store_typed);
        let (token, json) = (common.token.clone(), common.json);
        Ok(Self { config: Arc::new(config), store, store_named, server, token, json, tracer })
    }

    /// A client of the coordinator that is named.
    pub(crate) fn client(&self) -> Result<Client, ClientError> {
        let server = self.server.as_deref().ok_or(ClientError::NoServer)?;
        Client::new(server, self.token.as_deref(), self.tracer.clone())
    }
}

/// The nearest assay.toml upward from the working folder.
fn nearest() -> Result<Option<PathBuf>, anyhow::Error> {
    let here = std::env::current_dir().context("cannot tell the working folder")?;
    // Whatever has its name is it, also what cannot be read: nobody is to run without the limits that he has written down.
    Ok(here.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.symlink_metadata().is_ok()))
}

fn read(path: &Path) -> Result<Config, anyhow::Error> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut config = Config::parse(&text).with_context(|| format!("{} cannot be used", path.display()))?;
    for warning in config.limit_warnings() {
        tracing::warn!("{}: {}", path.display(), warning.told(&text));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    for provider in config.providers.values_mut() {
        // A key file is named from where the configuration lies, not from where the command is typed.
        provider.api_key_file = provider.api_key_file.take().map(|file| folder.join(file));
    }
    Ok(config)
}
