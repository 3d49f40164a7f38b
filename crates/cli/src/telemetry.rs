//! Logs on stderr. For a person's command off but for warnings, so that a terminal belongs to progress and results; the
//! processes of a fleet tell what they do.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::args::{Args, LogFormat};
use crate::exit::Exit;

/// What is logged when nobody says: what somebody should look at. lapin tells of each failure several times; the queue
/// tells of it once.
const DEFAULT_FILTER: &str = "warn,lapin=off";
/// The same for a process that nobody watches.
const FLEET_FILTER: &str = "info,lapin=off,sqlx=warn";

/// Starts logging by `--log`, else by RUST_LOG, else as the command needs it.
pub(crate) fn start(args: &Args) -> Result<(), Exit> {
    let default = if args.command.is_of_a_fleet() { FLEET_FILTER } else { DEFAULT_FILTER };
    let (source, text) = match &args.common.log {
        Some(text) => ("--log", text.clone()),
        None => ("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| default.to_owned())),
    };
    let filter = EnvFilter::try_new(&text)
        .with_context(|| {
            format!("{source} `{text}` is no log filter; write `info` or `assay_worker=debug,warn`")
        })
        .map_err(Exit::Input)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.common.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
