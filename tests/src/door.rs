//! A door to a server: a port that passes connections on while it is open, and refuses them, and cuts those that were
//! let in, while it is shut.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A door that is shut at first.
pub struct Door {
    address: SocketAddr,
    inside: String,
    opened: Option<JoinHandle<()>>,
}

impl Door {
    /// A door to the server at `HOST:PORT`.
    pub async fn to(inside: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        Self { address, inside: inside.to_owned(), opened: None }
    }

    /// Where it stands.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens it.
    pub async fn open(&mut self) {
        let door = TcpListener::bind(self.address).await.unwrap();
        let inside = self.inside.clone();
        self.opened = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut outside, _)) = door.accept().await {
                let inside = inside.clone();
                connections.spawn(async move {
                    let mut inside = TcpStream::connect(inside).await?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        }));
    }

    /// Shuts it, and returns when nobody is let in any more.
    pub async fn shut(&mut self) {
        if let Some(opened) = self.opened.take() {
            opened.abort();
            // Cancelled: with the task its listener and its connections are gone.
            let _ = opened.await;
        }
    }
}
