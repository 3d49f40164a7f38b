//! The `assay` binary: a thin face. It parses, builds an environment, calls, prints, and ends with an exit code
//! that means one thing.
//!
//! - [`args`]: the command line
//! - [`settings`]: flags, environment and assay.toml become one answer
//! - [`command`]: one file a command; [`source`]: where those that read do so
//! - [`client`]: a coordinator over HTTP
//! - [`render`]: tables and progress for people
//! - [`chance`]: randomness of the system
//! - [`exit`]: exit codes, and the errors that lead to them
//! - [`telemetry`]: logs on stderr

mod args;
mod chance;
mod client;
mod command;
mod exit;
mod render;
mod settings;
mod source;
mod telemetry;

use std::process::ExitCode;

use crate::args::Args;
use crate::exit::Exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::read();
    if let Err(exit) = telemetry::start(args.common.log.as_deref()) {
        return exit.report();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::unfinished(anyhow::Error::new(error).context("cannot start")).report(),
    };
    runtime.block_on(command::call(args)).unwrap_or_else(|exit| exit).report()
}
