//! Where the server listens.

use std::{fmt, net::Ipv6Addr};

use super::reader::Reader;

/// An address or a name, and a port. Port 0 takes a free port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address or the name. An IPv6 address has no brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Listen {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))?;
        let ipv6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match ipv6 {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        };
        is_host.then(|| Self { host: ipv6.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.host, self.port)
    }
}

/// Where clients connect.
pub(super) fn listen(reader: &mut Reader<'_>) -> Listen {
    let host = reader.text("HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
    Listen { host, port: reader.number("PORT", 3000, 0..=65_535) }
}

/// Where Prometheus connects, if anywhere.
pub(super) fn metrics_listen(reader: &mut Reader<'_>) -> Option<Listen> {
    let text = reader.text("METRICS_LISTEN")?;
    let listen = Listen::parse(&text);
    if listen.is_none() {
        reader.problem("METRICS_LISTEN", "must be host:port, such as 127.0.0.1:9464 or [::1]:9464");
    }
    listen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_has_a_host_and_a_port() {
        for (text, host, port) in [
            ("127.0.0.1:9464", "127.0.0.1", 9464),
            ("0.0.0.0:0", "0.0.0.0", 0),
            ("localhost:65535", "localhost", 65_535),
            ("[::1]:9464", "::1", 9464),
        ] {
            assert_eq!(Listen::parse(text), Some(Listen { host: host.to_owned(), port }));
        }
        for bad in [
            "",
            "9464",
            ":9464",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:+1",
            "127.0.0.1:65536",
            "::1:9464",
            "[::1]",
            "[x]:1",
            "http://127.0.0.1:9464",
            "127.0.0.1:9464/metrics",
            "a b:1",
        ] {
            assert_eq!(Listen::parse(bad), None, "{bad}");
        }
    }
}
