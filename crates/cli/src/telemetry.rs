//! Logs on stderr. Off but for warnings, so that a terminal belongs to progress and results.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::exit::Exit;

/// What is logged when nobody says: what somebody should look at. lapin tells of each failure several times; the queue
/// tells of it once.
const DEFAULT_FILTER: &str = "warn,lapin=off";

/// Starts logging by `filter`, else by RUST_LOG.
pub(crate) fn start(filter: Option<&str>) -> Result<(), Exit> {
    let (source, text) = match filter {
        Some(text) => ("--log", text.to_owned()),
        None => ("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| DEFAULT_FILTER.to_owned())),
    };
    let filter = EnvFilter::try_new(&text)
        .with_context(|| {
            format!("{source} `{text}` is no log filter; write `info` or `assay_worker=debug,warn`")
        })
        .map_err(Exit::Input)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}
