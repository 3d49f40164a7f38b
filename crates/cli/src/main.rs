//! The `assay` binary: a thin face. It parses, builds an environment, calls, prints, and ends with an exit code
//! that means one thing.
//!
//! - [`args`]: the command line
//! - [`settings`]: flags, environment and assay.toml become one answer
//! - [`command`]: one file a command; [`source`]: where those that read do so
//! - [`client`]: a coordinator over HTTP; [`releases`]: a store or a coordinator, for what is live; [`reviews`]: and for what it came to;
//!   [`limits`]: and for what provider accounts allow
//! - [`provenance`]: where new prompt versions come from
//! - [`render`]: tables and progress for people
//! - [`chance`]: randomness of the system; [`audit`]: who did what to a store by hand
//! - [`exit`]: exit codes, and the errors that lead to them
//! - [`telemetry`]: logs on stderr, spans to a collector; [`listen`]: health over HTTP; [`signals`]: how a process is told to stop

mod args;
mod audit;
mod chance;
mod client;
mod command;
mod exit;
mod limits;
mod listen;
mod provenance;
mod releases;
mod render;
mod reviews;
mod settings;
mod signals;
mod source;
mod telemetry;

use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::args::Args;
use crate::exit::Exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::read();
    let telemetry = match telemetry::start(&args) {
        Ok(telemetry) => telemetry,
        Err(exit) => return exit.report(),
    };
    let runtime = match Builder::new_multi_thread().worker_threads(threads()).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::unfinished(anyhow::Error::new(error).context("cannot start")).report(),
    };
    let ended = runtime.block_on(command::call(args, telemetry.tracer()));
    let code = ended.unwrap_or_else(|exit| exit).report();
    // Spans of tasks that are left end with them.
    drop(runtime);
    telemetry.end();
    code
}

/// Half of the processors: the store's threads do as much work as those that wait for providers, and every thread more
/// is one more that wakes and is woken. Measured: on two processors one thread instead of two saves a third of the
/// time per case.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}
