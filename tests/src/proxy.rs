//! A way to a server that can be disturbed: a port that passes connections on, late, in part, or not at all.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// They pass.
    Clear,
    /// Each piece of them waits so long before it passes.
    Slow(Duration),
    /// They stay where they are until the weather changes, and nobody hears of it.
    Silent,
    /// So many pass, of each connection and direction, then it is closed.
    CutAfter(usize),
    /// Connections are reset.
    Reset,
}

/// A way to a server. Closed at first: connections are refused.
pub struct Proxy {
    address: SocketAddr,
    server: String,
    weather: watch::Sender<Weather>,
    opened: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A way to the server at `HOST:PORT`, closed.
    pub async fn to(server: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (weather, _) = watch::channel(Weather::Clear);
        Self { address, server: server.to_owned(), weather, opened: None }
    }

    /// The same, open.
    pub async fn open_to(server: &str) -> Self {
        let mut proxy = Self::to(server).await;
        proxy.open().await;
        proxy
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather, for connections that are there and for those to come.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Opens it.
    pub async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let (server, weather) = (self.server.clone(), self.weather.subscribe());
        self.opened = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass_on(client, server.clone(), weather.clone()));
                while connections.try_join_next().is_some() {}
            }
        }));
    }

    /// Closes it: cuts the connections that are there and refuses new ones. Returns when nobody gets through any more.
    pub async fn shut(&mut self) {
        if let Some(opened) = self.opened.take() {
            opened.abort();
            // Cancelled: with the task its listener and its connections are gone.
            let _ = opened.await;
        }
    }
}

/// Passes a connection on until both sides have had enough, or the weather ends it.
async fn pass_on(mut client: TcpStream, server: String, weather: watch::Receiver<Weather>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let mut stormy = weather.clone();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let both = async {
        tokio::try_join!(
            pump(from_client, to_server, weather.clone()),
            pump(from_server, to_client, weather.clone())
        )
    };
    let was_reset = tokio::select! {
        _ = both => false,
        _ = stormy.wait_for(|weather| *weather == Weather::Reset) => true,
    };
    if was_reset {
        // What is closed without lingering ends in a reset.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Passes bytes one way to their end. An error: the connection is to end.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut passed = 0;
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let may_pass = wait(&mut weather, read, passed).await;
        to.write_all(&piece[..may_pass]).await?;
        if may_pass < read {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        passed += read;
    }
}

/// How many of the bytes that were read may pass; waits until they may.
async fn wait(weather: &mut watch::Receiver<Weather>, read: usize, passed: usize) -> usize {
    let now = *weather.borrow_and_update();
    match now {
        Weather::Clear => read,
        Weather::Slow(delay) => {
            sleep(delay).await;
            read
        }
        // Without the proxy nobody changes the weather, and its connections are gone too.
        Weather::Silent => weather.wait_for(|weather| *weather != Weather::Silent).await.map_or(0, |_| read),
        Weather::CutAfter(most) => most.saturating_sub(passed).min(read),
        Weather::Reset => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says back what it is told.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    /// What comes back of ten bytes within a while.
    async fn said_back(proxy: &Proxy) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(proxy.address()).await?;
        stream.write_all(b"0123456789").await?;
        stream.shutdown().await?;
        let mut back = Vec::new();
        let read = tokio::time::timeout(Duration::from_millis(300), stream.read_to_end(&mut back)).await;
        read.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(back)
    }

    #[tokio::test]
    async fn the_weather_decides_what_comes_through() {
        let mut proxy = Proxy::to(&echo().await).await;
        let kind = async |proxy: &Proxy| said_back(proxy).await.map_err(|error| error.kind());
        assert_eq!(kind(&proxy).await, Err(io::ErrorKind::ConnectionRefused));
        proxy.open().await;
        for (weather, expected) in [
            (Weather::Clear, Ok(b"0123456789".to_vec())),
            (Weather::Slow(Duration::from_millis(10)), Ok(b"0123456789".to_vec())),
            (Weather::Slow(Duration::from_secs(9)), Err(io::ErrorKind::TimedOut)),
            (Weather::Silent, Err(io::ErrorKind::TimedOut)),
            (Weather::Clear, Ok(b"0123456789".to_vec())),
        ] {
            proxy.set(weather);
            assert_eq!(kind(&proxy).await, expected, "{weather:?}");
        }
        proxy.set(Weather::CutAfter(4));
        let back = said_back(&proxy).await.unwrap_or_default();
        assert!(
            b"0123".starts_with(&back),
            "what was on its way when it was cut may be lost, no more: {back:?}"
        );
        proxy.set(Weather::Reset);
        assert_ne!(kind(&proxy).await, Ok(b"0123456789".to_vec()));
        proxy.shut().await;
        assert_eq!(kind(&proxy).await, Err(io::ErrorKind::ConnectionRefused));
    }
}
