//! Serving HTTP on a listener: connections are bounded in number, and each in how long it may take to say what it wants and
//! to take its answer. What it sends, and how silent it may be, is for the routes to bound.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::stall::Stalling;

/// The pause after the system could not accept a connection: most often files are scarce, and come back with others.
const SCARCE: Duration = Duration::from_secs(1);

/// What a listener bears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections at once; further ones wait in the system's line.
    pub(crate) connections: usize,
    /// How long the head of a request may take, and how long a connection may be idle between two requests.
    pub(crate) head: Duration,
    /// How long a client may take nothing of its answer.
    pub(crate) unread: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 1_000, head: Duration::from_secs(20), unread: Duration::from_secs(60) }
    }
}

/// Serves `router` until `stop`; requests that are being answered then are answered.
pub(crate) async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    let places = Arc::new(Semaphore::new(bounds.connections));
    let open = GracefulShutdown::new();
    loop {
        let (place, stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        // Whoever changes something is written down with where he asked from.
        let router = router.clone().layer(Extension(ConnectInfo(peer)));
        let stream = TokioIo::new(Stalling::new(stream, bounds.unread));
        let connection = http.serve_connection(stream, TowerToHyperService::new(router));
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // A client that went away, or was too slow: nothing that anybody could mend here.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection has ended: {error}");
            }
            drop(place);
        });
    }
    open.shutdown().await;
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            // Nobody closes it.
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, peer)) => return (place, stream, peer),
            // Of one connection, which has gone before it was taken.
            Err(error) if is_of_the_peer(error.kind()) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept HTTP connections: {error}");
                sleep(SCARCE).await;
            }
        }
    }
}

fn is_of_the_peer(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
    const ANSWER: &str = "HTTP/1.1 200 OK";
    /// Long enough for anything that does come.
    const SOON: Duration = Duration::from_secs(30);

    async fn served(bounds: Bounds, stop: CancellationToken) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "here"));
        tokio::spawn(serve(listener, router, bounds, stop));
        address
    }

    async fn sent(address: SocketAddr, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    async fn read(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 1024];
        let read = timeout(SOON, stream.read(&mut bytes)).await.expect("an answer, or the end").unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    #[tokio::test]
    async fn who_is_slow_to_ask_is_left_and_who_is_idle_too() {
        let bounds = Bounds { head: Duration::from_millis(200), ..Bounds::default() };
        let address = served(bounds, CancellationToken::new()).await;
        let mut half = sent(address, b"GET / HTTP/1.1\r\nhost:").await;
        let mut whole = sent(address, REQUEST).await;
        assert!(read(&mut whole).await.starts_with(ANSWER));
        for stream in [&mut half, &mut whole] {
            let said = read(stream).await;
            assert!(said.is_empty() || said.contains("408"), "{said}");
        }
    }

    #[tokio::test]
    async fn further_connections_wait_for_a_place() {
        let bounds = Bounds { connections: 1, ..Bounds::default() };
        let address = served(bounds, CancellationToken::new()).await;
        let mut first = sent(address, REQUEST).await;
        assert!(read(&mut first).await.starts_with(ANSWER));
        let mut second = sent(address, REQUEST).await;
        let mut nothing = [0; 1];
        assert!(timeout(Duration::from_millis(200), second.read(&mut nothing)).await.is_err());
        drop(first);
        assert!(read(&mut second).await.starts_with(ANSWER));
    }

    #[tokio::test]
    async fn it_ends_when_told_to_and_closes_idle_connections() {
        let stop = CancellationToken::new();
        let address = served(Bounds::default(), stop.clone()).await;
        let mut idle = sent(address, REQUEST).await;
        assert!(read(&mut idle).await.starts_with(ANSWER));
        stop.cancel();
        assert_eq!(read(&mut idle).await, "");
    }
}
