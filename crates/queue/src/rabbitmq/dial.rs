//! One attempt to open a connection: TCP, TLS and the AMQP handshake, all under one time-out.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::AMQPScheme;
use lapin::{Connection, ConnectionProperties, runtime};
use tokio::time::timeout;

use crate::url::RabbitUrl;

/// For the whole attempt.
const ATTEMPT: Duration = Duration::from_secs(10);
/// In seconds; a broker that is silent for two of them is given up. The URL may name another.
const HEARTBEAT: u16 = 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error(transparent)]
    Amqp(#[from] lapin::Error),
    #[error("no answer within {} s", ATTEMPT.as_secs())]
    Silent,
}

/// Opens a connection that the broker shows as `name`.
pub(super) async fn dial(url: &RabbitUrl, name: &str) -> Result<Connection, DialError> {
    let mut uri = url.uri().clone();
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    if uri.scheme == AMQPScheme::AMQPS {
        // Somebody else in this process may have installed one; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let line = Line::default();
    let held = Arc::clone(&line.0);
    let connecting = Connection::connector(
        uri,
        runtime::default_runtime()?,
        async move |uri, runtime| {
            let connecting = async {
                let address = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
                let stream = AsyncTcpStream::connect(&runtime, address).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    hold(&held, plain.get_ref().as_fd().try_clone_to_owned()?.into());
                }
                match uri.scheme {
                    AMQPScheme::AMQP => Ok(stream),
                    AMQPScheme::AMQPS => {
                        stream.into_tls(&uri.authority.host, OwnedTLSConfig::default().as_ref()).await
                    }
                }
            };
            let silent = |_| Err(io::ErrorKind::TimedOut.into());
            Ok(timeout(ATTEMPT, connecting).await.unwrap_or_else(silent)?)
        },
        ConnectionProperties::default().with_connection_name(name.into()),
    );
    let connection = timeout(ATTEMPT, connecting).await.map_err(|_| DialError::Silent)??;
    line.release();
    Ok(connection)
}

/// A second handle to the socket while the handshake lasts; dropped before it is released, it cuts the line.
///
/// The library waits for a silent broker on a thread of its own and cannot be told to stop. A frozen broker would
/// collect one thread for each attempt.
#[derive(Debug, Default)]
struct Line(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
enum Held {
    #[default]
    NotYet,
    Socket(TcpStream),
    Over,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hold(held: &Mutex<Held>, socket: TcpStream) {
    let mut held = lock(held);
    match *held {
        // The attempt ended while this socket was being opened.
        Held::Over => cut(&socket),
        Held::NotYet | Held::Socket(_) => *held = Held::Socket(socket),
    }
}

fn cut(socket: &TcpStream) {
    // One that is already closed is as good.
    let _ = socket.shutdown(Shutdown::Both);
}

impl Line {
    fn release(&self) {
        *lock(&self.0) = Held::Over;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Held::Socket(socket) = std::mem::replace(&mut *lock(&self.0), Held::Over) {
            cut(&socket);
        }
    }
}
