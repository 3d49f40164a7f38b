//! One attempt: a message posted to an address that was looked at first. No redirect is followed, nothing of the answer but its status
//! is read, and no proxy stands between: what was looked at is what is told.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use assay_common::clock::Micros;
use assay_store::Event;
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;

use super::address::is_public;
use super::message::body;
use super::sign::signature;
use super::target::Way;

/// How long an attempt may take in all, where there is time for it.
pub(super) const ATTEMPT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest message, in bytes.
const MAX_BODY_BYTES: usize = 256 << 10;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// Tells of an event within `limit`; why it was not taken where it was not. What is said holds no part of the URL but its host.
pub(super) async fn send(way: &Way, event: &Event, now: Micros, limit: Duration) -> Result<(), String> {
    let body = body(way.format, event);
    if body.len() > MAX_BODY_BYTES {
        return Err(format!("the message has more than {} KiB", MAX_BODY_BYTES >> 10));
    }
    if let Some(address) = way.url.host_str().and_then(literal) {
        allowed(way.allow_private, address)?;
    }
    let seconds = now.0 / 1_000_000;
    let mut request = client(way, limit)?
        .post(way.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(ID, &event.id)
        .header(TIMESTAMP, seconds);
    if let Some(secret) = &way.secret {
        request = request.header(SIGNATURE, signature(secret, &event.id, seconds, body.as_bytes()));
    }
    let response = request.body(body).send().await.map_err(|error| told(&error.without_url(), limit))?;
    let status = response.status();
    match status {
        status if status.is_success() => Ok(()),
        status if status.is_redirection() => Err(format!("it answered {status}; redirects are not followed")),
        status => Err(format!("it answered {status}")),
    }
}

fn client(way: &Way, limit: Duration) -> Result<Client, String> {
    // Fails where another part of the process was first, with the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .dns_resolver(Arc::new(Guarded { allow_private: way.allow_private }))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(limit)
        .build()
        .map_err(|error| told(&error, limit))
}

/// An address that stands in a URL itself; no name is looked up for it.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn allowed(allow_private: bool, address: IpAddr) -> Result<(), String> {
    if allow_private || is_public(address) {
        return Ok(());
    }
    Err(format!("{address} is no public address; `allow_private = true` in assay.toml would allow it"))
}

/// Looks names up, and leaves out what may not be told. What is connected to is what was looked at.
struct Guarded {
    allow_private: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let mut refused = None;
            let mut addresses = Vec::new();
            for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match allowed(allow_private, address.ip()) {
                    Ok(()) => addresses.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused.filter(|_| addresses.is_empty()) {
                Some(why) => Err(why.into()),
                None => Ok(Box::new(addresses.into_iter()) as Addrs),
            }
        })
    }
}

/// The innermost cause says most.
fn told(error: &reqwest::Error, limit: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {:.0} s", limit.as_secs_f64());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}
