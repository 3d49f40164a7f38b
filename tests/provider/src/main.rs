//! The fake provider as a process: for benchmarks, and for looking at it with curl.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use fake_provider::{FakeProvider, Script};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// A fake LLM provider on loopback. Prints where it listens; ends on SIGTERM, or when its stdin is closed.
#[derive(Parser)]
struct Arguments {
    /// The port to listen on; 0 is a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A JSON file that says how it behaves. By default it answers at once with the last message.
    #[arg(long)]
    script: Option<PathBuf>,
    /// How long each answer takes, in milliseconds, in place of what the script says.
    #[arg(long)]
    latency_ms: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut script = arguments.script.map_or_else(|| Ok(Script::default()), |path| read(&path))?;
    if let Some(milliseconds) = arguments.latency_ms {
        script = script.latency(Duration::from_millis(milliseconds));
    }
    let provider = FakeProvider::start_on(arguments.port, script).await.context("failed to listen")?;
    writeln!(io::stdout(), "listening on {}", provider.base_url())?;

    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = stdin_closed() => {}
    }
    Ok(())
}

fn read(path: &PathBuf) -> anyhow::Result<Script> {
    let text = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("failed to read the script {}", path.display()))
}

/// Resolves at the end of stdin. A thread reads it, so that the process can end while the read still waits.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (closed, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        // An unreadable stdin is as good as a closed one.
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        drop(closed);
    });
    receiver
}
