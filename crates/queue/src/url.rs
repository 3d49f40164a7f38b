//! Where a queue is: `memory:`, `amqp://…` or `amqps://…`.

use std::fmt;
use std::str::FromStr;

use lapin::uri::{AMQPScheme, AMQPUri};

use crate::QueueError;

/// The place of a queue. Printed with its password masked.
#[derive(Clone, PartialEq, Eq)]
pub enum QueueUrl {
    /// Inside this process.
    Memory,
    /// A RabbitMQ broker.
    Rabbit(RabbitUrl),
}

/// The place of a RabbitMQ broker and who we are to it. Printed with its password masked.
#[derive(Clone, PartialEq, Eq)]
pub struct RabbitUrl(AMQPUri);

impl RabbitUrl {
    pub(crate) fn uri(&self) -> &AMQPUri {
        &self.0
    }
}

impl FromStr for QueueUrl {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let Some((scheme @ ("amqp" | "amqps"), rest)) = text.split_once("://") else {
            // What follows the scheme may hold a password: it is not repeated.
            let scheme = text.split_once(':').map_or(text, |(scheme, _)| scheme);
            return Err(QueueError::Url(format!(
                "`{scheme}` is no kind of queue; write memory: or amqp://USER:PASSWORD@HOST:PORT/VHOST (amqps for TLS)"
            )));
        };
        let mut uri: AMQPUri = text.parse().map_err(|error| {
            QueueError::Url(format!("{scheme}://… is no URL of a RabbitMQ broker: {error}"))
        })?;
        // The parser drops an IPv6 address and would connect to localhost in its place.
        if let Some(address) = ipv6(rest) {
            address.clone_into(&mut uri.authority.host);
        }
        Ok(Self::Rabbit(RabbitUrl(uri)))
    }
}

/// What stands in brackets as the host of `[user[:password]@]host[:port][/vhost][?parameters]`.
fn ipv6(rest: &str) -> Option<&str> {
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split(']').next()
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Rabbit(url) => url.fmt(f),
        }
    }
}

impl fmt::Debug for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueUrl({self})")
    }
}

impl fmt::Display for RabbitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        let scheme = match scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        let host = match authority.host.contains(':') {
            true => format!("[{}]", authority.host),
            false => authority.host.clone(),
        };
        let vhost = vhost.replace('%', "%25").replace('/', "%2f");
        write!(f, "{scheme}://{}:***@{host}:{}/{vhost}", authority.userinfo.username, authority.port)
    }
}

impl fmt::Debug for RabbitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RabbitUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<&str, &str>) {
        let printed = input.parse::<QueueUrl>().map(|url| url.to_string()).map_err(|error| error.to_string());
        match (&printed, expected) {
            (Ok(printed), Ok(expected)) => assert_eq!(printed, expected, "{input}"),
            (Err(printed), Err(expected)) => assert!(printed.contains(expected), "{input}: {printed}"),
            _ => panic!("{input}: {printed:?} instead of {expected:?}"),
        }
        let text = format!("{printed:?} {:?}", input.parse::<QueueUrl>());
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[test]
    fn urls_are_read_and_never_show_a_password() {
        check("memory:", Ok("memory:"));
        check("amqp://localhost", Ok("amqp://guest:***@localhost:5672/%2f"));
        check("amqp://me:s3cret@broker:7000/team%2fa", Ok("amqp://me:***@broker:7000/team%2fa"));
        check("amqps://me:s3cret@broker/v?heartbeat=5", Ok("amqps://me:***@broker:5671/v"));
        check("amqp://me:s3cret@[::1]:7000/v", Ok("amqp://me:***@[::1]:7000/v"));
    }

    #[test]
    fn what_is_no_queue_is_refused_without_its_secrets() {
        check("", Err("no kind of queue"));
        check("redis://me:s3cret@broker", Err("`redis` is no kind of queue"));
        check("amqp:me:s3cret@broker", Err("`amqp` is no kind of queue"));
        check("amqp://me:s3cret@broker:99999", Err("invalid port"));
        check("amqp://me:s3cret@broker/v?heartbeat=often", Err("invalid digit"));
    }
}
