//! A running provider. It has a thread and a clock of its own, so that neither a busy test nor one that moves the
//! time of its runtime by hand disturbs it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::bill::Bill;
use crate::script::Script;
use crate::serve::{Shared, serve};
use crate::strict::Kept;

/// A provider on loopback. Dropping it cuts all its connections.
pub struct FakeProvider {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeProvider {
    /// Starts on a free port.
    pub async fn start(script: Script) -> io::Result<Self> {
        Self::start_on(0, script).await
    }

    /// Starts on this port of loopback; 0 is a free one.
    pub async fn start_on(port: u16, script: Script) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(script));
        let (stop, stopped) = oneshot::channel();
        let (bound, ready) = oneshot::channel();
        let thread = std::thread::Builder::new().name("fake-provider".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || run(port, shared, bound, stopped)
        })?;
        let address =
            ready.await.map_err(|_| io::Error::other("the fake provider ended before it listened"))??;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// What a client is configured with: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every call so far.
    pub fn bill(&self) -> Bill {
        self.shared.ledger.snapshot()
    }

    /// How callers have kept to the limits of the script, if it has some.
    pub fn kept(&self) -> Option<Kept> {
        self.shared.kept()
    }

    /// Calls that arrive from now on follow this script. The bill goes on, and what was used of its limits stays used.
    pub fn set_script(&self, script: Script) {
        self.shared.set_script(script);
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        // Dropping the sender is the signal.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has failed the test's calls already.
            let _ = thread.join();
        }
    }
}

/// The thread: serves until `stopped` resolves, then drops the runtime and with it every connection.
fn run(
    port: u16,
    shared: Arc<Shared>,
    bound: oneshot::Sender<io::Result<SocketAddr>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(bound.send(Err(error))),
    };
    runtime.block_on(async move {
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        match listening {
            Err(error) => drop(bound.send(Err(error))),
            Ok((address, listener)) => {
                // Whoever started it may be gone; then `stopped` resolves at once.
                let _ = bound.send(Ok(address));
                tokio::select! {
                    _ = serve(listener, shared) => {}
                    _ = stopped => {}
                }
            }
        }
    });
}
