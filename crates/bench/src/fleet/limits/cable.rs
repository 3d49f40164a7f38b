//! A way to a server that can fall silent: what is sent stays where it is until it speaks again, and nobody hears of it.

use std::io;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::super::{place_of, port_of};

/// One end of it is a port of this machine, the other a server. Dropping it cuts its connections.
pub(super) struct Cable {
    silent: watch::Sender<bool>,
    _passing: AbortOnDropHandle<()>,
}

/// Lays a cable to the server of a URL; returns it with the URL that leads through it.
pub(super) async fn through(url: &str, default_port: u16) -> anyhow::Result<(Cable, String)> {
    let port = port_of(url, default_port).context("cables lead to servers of this machine alone")?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to listen")?;
    let entrance = listener.local_addr()?.to_string();
    let (silent, hears) = watch::channel(false);
    let passing = AbortOnDropHandle::new(tokio::spawn(pass(listener, port, hears)));
    let place = place_of(url).context("a URL without a host")?;
    Ok((Cable { silent, _passing: passing }, url.replacen(place, &entrance, 1)))
}

impl Cable {
    /// Makes it fall silent, or speak again.
    pub(super) fn set_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }
}

async fn pass(listener: TcpListener, port: u16, silent: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connect(client, port, silent.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Passes a connection on until both sides have had enough.
async fn connect(mut client: TcpStream, port: u16, silent: watch::Receiver<bool>) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(pump(from_client, to_server, silent.clone()), pump(from_server, to_client, silent))?;
    Ok(())
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut silent: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut piece = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut piece).await?;
        // Without the cable there is nobody left to pass anything to.
        silent.wait_for(|silent| !silent).await.map_err(|_| io::ErrorKind::ConnectionAborted)?;
        match read {
            0 => return to.shutdown().await,
            read => to.write_all(&piece[..read]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_into_silence_arrives_when_it_ends() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://me@localhost:{}/x", server.local_addr().unwrap().port());
        let (cable, url) = through(&url, 5432).await.unwrap();
        let entrance = url.strip_prefix("postgres://me@").and_then(|rest| rest.strip_suffix("/x")).unwrap();
        let mut client = TcpStream::connect(entrance).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        let mut heard = [0; 2];
        client.write_all(b"ab").await.unwrap();
        served.read_exact(&mut heard).await.unwrap();
        cable.set_silent(true);
        client.write_all(b"cd").await.unwrap();
        let waited = timeout(Duration::from_millis(50), served.read_exact(&mut heard)).await;
        assert!(waited.is_err(), "{heard:?}");
        cable.set_silent(false);
        served.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"cd");
        drop(cable);
        assert_eq!(client.read(&mut heard).await.unwrap_or_default(), 0);
    }
}
