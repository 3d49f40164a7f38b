//! What the process tells of itself: logs on stderr, and spans to an OTLP collector where the environment names one.
//!
//! Logs of a person's command are off but for warnings, so that a terminal belongs to progress and results; the processes
//! of a fleet tell what they do. Spans are off unless asked for.
//!
//! - [`export`]: spans to a collector; [`bridge`]: what the rest of the house asks of it

mod bridge;
mod export;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use assay_common::trace::Tracer;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use self::export::Exporter;
use crate::args::{Args, LogFormat};
use crate::exit::Exit;

/// What is logged when nobody says: what somebody should look at. lapin tells of each failure several times; the queue
/// tells of it once. sqlx shows the whole text of a statement that a slow database took a second for.
const DEFAULT_FILTER: &str = "warn,lapin=off,sqlx::query=error";
/// The same for a process that nobody watches.
const FLEET_FILTER: &str = "info,lapin=off,sqlx=warn";

/// What has to be ended with the process.
pub(crate) struct Telemetry(Option<Exporter>);

/// Starts logging by `--log`, else by RUST_LOG, else as the command needs it; and exporting, where a collector is named.
pub(crate) fn start(args: &Args) -> Result<Telemetry, Exit> {
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
    let format = args.common.log_format;
    match Exporter::start() {
        Ok(Some(exporter)) => {
            registry().with(exporter.layer()).with(lines(format).with_filter(filter)).init();
            Ok(Telemetry(Some(exporter)))
        }
        // The filter is of the whole process: what is not logged is not made.
        Ok(None) => {
            registry().with(filter).with(lines(format)).init();
            Ok(Telemetry(None))
        }
        Err(why) => {
            registry().with(filter).with(lines(format)).init();
            tracing::warn!("spans are not exported: {why}");
            Ok(Telemetry(None))
        }
    }
}

impl Telemetry {
    /// What the command makes its spans known to.
    pub(crate) fn tracer(&self) -> Tracer {
        self.0.as_ref().map(Exporter::tracer).unwrap_or_default()
    }

    /// Sends what is left, within a bound.
    pub(crate) fn end(self) {
        if let Some(exporter) = self.0 {
            exporter.end();
        }
    }
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}
