//! Under which names the API is asked. A page that made its own name point here (DNS rebinding), and any page of another
//! site, is refused before a token is looked at.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Api;
use super::error::ApiError;
use super::header::only;

/// Characters of a wrong name that are shown.
const SHOWN_CHARS: usize = 100;

/// The names a coordinator goes by. Every IP address and `localhost` are among them: no other site's name leads there.
#[derive(Clone, Debug, Default)]
pub struct Hosts(BTreeSet<String>);

impl Hosts {
    /// These names, without a port; upper and lower case are the same.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| name.to_lowercase()).collect())
    }

    fn knows(&self, authority: &Authority) -> bool {
        let host = authority.host().trim_end_matches('.').to_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.is_ok() || host == "localhost" || host.ends_with(".localhost") || self.0.contains(&host)
    }

    /// Refuses a request to another name, or from a page of another site.
    fn admit(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let named = only(headers, &HOST)?.unwrap_or_default();
        let host = named.parse::<Authority>().ok().filter(|host| self.knows(host));
        let host = host.ok_or_else(|| ApiError::UnknownHost(shown(named)))?;
        let cross = |origin: &str| ApiError::CrossOrigin(shown(origin));
        if let Some(origin) = only(headers, &ORIGIN)? {
            let of_page = origin.parse::<Uri>().ok();
            if of_page.as_ref().and_then(Uri::authority) != Some(&host) {
                return Err(cross(origin));
            }
        }
        // A browser that names no origin still says whether it asks for another site.
        match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
            Some(b"cross-site" | b"same-site") => Err(cross("one that the browser does not name")),
            _ => Ok(()),
        }
    }
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN_CHARS).collect()
}

/// Lets a request through that was sent to this coordinator, and by no page of another site.
pub(super) async fn admit(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    match api.hosts.admit(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn check(headers: &[(&'static str, &str)], expected: Result<(), &str>) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let admitted = Hosts::new(["Evals.example".to_owned(), "coordinator".to_owned()]).admit(&map);
        match (&admitted, expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{headers:?}: {error}"),
            _ => panic!("{headers:?}: {admitted:?}"),
        }
    }

    #[test]
    fn addresses_localhost_and_the_names_it_was_given() {
        for host in [
            "127.0.0.1:8080",
            "10.1.2.3",
            "[::1]:8080",
            "localhost:8080",
            "assay.localhost",
            "coordinator:8080",
            "EVALS.example",
            "evals.example.:443",
        ] {
            check(&[("host", host)], Ok(()));
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evals.example.org", "a b"]
        {
            check(&[("host", host)], Err(host));
        }
        check(&[("host", "")], Err("does not go by"));
        check(&[], Err("does not go by"));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let host = ("host", "evals.example:8080");
        check(&[host, ("origin", "http://evals.example:8080")], Ok(()));
        check(&[host, ("sec-fetch-site", "same-origin")], Ok(()));
        check(&[host, ("sec-fetch-site", "none")], Ok(()));
        check(&[host, ("origin", "https://evil.example")], Err("https://evil.example"));
        check(&[host, ("origin", "http://evals.example:9090")], Err("9090"));
        check(&[host, ("origin", "null")], Err("null"));
        check(&[host, ("sec-fetch-site", "cross-site")], Err("another site"));
        check(&[host, ("sec-fetch-site", "same-site")], Err("another site"));
    }
}
