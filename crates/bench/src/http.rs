//! The least of an HTTP client: one GET of a server on this machine.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Asks `HOST:PORT` for the JSON document at `path`, with a bearer token where one is given.
pub(crate) fn get(address: &str, path: &str, token: Option<&str>) -> anyhow::Result<Value> {
    let body = get_text(address, path, token)?;
    serde_json::from_str(&body).with_context(|| format!("{address}{path} answers no JSON"))
}

/// The same for any text.
pub(crate) fn get_text(address: &str, path: &str, token: Option<&str>) -> anyhow::Result<String> {
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("failed to connect to {address}"))?;
    let bearer = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n{bearer}\r\n").as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").context("the answer has no body")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{address}{path} answers {head}");
    Ok(body.to_owned())
}
