//! The address of the client, which trusted proxies report in one header.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::config::ClientAddressHeader;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The trusted proxies, and the header in which they report the address of the client.
///
/// Only one header counts. A proxy sets one header, and passes another on from the client, who can forge it.
pub struct Proxies {
    networks: Vec<IpNet>,
    header: ClientAddressHeader,
    warned_of_peer: AtomicBool,
    warned_of_header: AtomicBool,
}

impl Proxies {
    /// Trusts the peers in `networks`, and believes their `header`.
    #[must_use]
    pub fn new(networks: Vec<IpNet>, header: ClientAddressHeader) -> Self {
        Self { networks, header, warned_of_peer: AtomicBool::new(false), warned_of_header: AtomicBool::new(false) }
    }

    /// The address of the peer, or the client address that trusted proxies report.
    ///
    /// Warns once of reports that do not count: from a peer that is not trusted, and in the other header. Without its
    /// report, all clients of a proxy share the limits of one address.
    pub(super) fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            self.warn_of_peer(peer, headers);
            return peer;
        }
        let (name, address) = match self.header {
            ClientAddressHeader::XForwardedFor => (&X_FORWARDED_FOR, bare_address as fn(&str) -> Option<IpAddr>),
            ClientAddressHeader::Forwarded => (&header::FORWARDED, forwarded_for as fn(&str) -> Option<IpAddr>),
        };
        let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
        let hops: Vec<_> = values.flat_map(|value| value.split(',')).map(|hop| address(hop.trim())).collect();
        if hops.is_empty() {
            self.warn_of_header(peer, headers);
        }
        self.last_untrusted(peer, &hops)
    }

    /// The rightmost address that is not a trusted proxy, because each proxy appends to the right. A hop that cannot be
    /// read ends the chain of trust.
    fn last_untrusted(&self, peer: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
        let mut nearest = peer;
        for hop in hops.iter().rev() {
            let Some(hop) = hop else { return nearest };
            nearest = hop.to_canonical();
            if !self.trusts(nearest) {
                return nearest;
            }
        }
        nearest
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    fn warn_of_peer(&self, peer: IpAddr, headers: &HeaderMap) {
        let reports = || headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(header::FORWARDED);
        if !self.warned_of_peer.load(Relaxed) && reports() && !self.warned_of_peer.swap(true, Relaxed) {
            tracing::warn!(
                "a request from {peer} names a client in X-Forwarded-For or Forwarded, but TRUSTED_PROXIES does not \
                 contain {peer}, so the limits count all requests from {peer} as one client; if {peer} is your load \
                 balancer, name it in TRUSTED_PROXIES (this warning comes once)"
            );
        }
    }

    fn warn_of_header(&self, peer: IpAddr, headers: &HeaderMap) {
        let (believed, other, name) = match self.header {
            ClientAddressHeader::XForwardedFor => ("X-Forwarded-For", "Forwarded", header::FORWARDED),
            ClientAddressHeader::Forwarded => ("Forwarded", "X-Forwarded-For", X_FORWARDED_FOR),
        };
        if headers.contains_key(name) && !self.warned_of_header.swap(true, Relaxed) {
            tracing::warn!(
                "a request from the trusted proxy {peer} has {other}, but not {believed}, so the limits count all \
                 requests from {peer} as one client; if the proxy sets {other}, set CLIENT_ADDRESS_HEADER={other} (this \
                 warning comes once)"
            );
        }
    }
}

/// An address, with or without brackets and port.
fn bare_address(text: &str) -> Option<IpAddr> {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    unbracketed.parse().ok().or_else(with_port)
}

/// The `for` parameter of one element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut parameters = element.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    bare_address(value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        client_by(ClientAddressHeader::XForwardedFor, peer, headers)
    }

    fn client_by(header: ClientAddressHeader, peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let trusted = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Proxies::new(trusted, header).client_address(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client("192.0.2.9", &[("x-forwarded-for", "198.51.100.1")]), "192.0.2.9");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "198.51.100.1")]), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "198.51.100.1")]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_chain_is_read_from_the_right() {
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "203.0.113.7, 198.51.100.1, 10.9.9.9")]), "198.51.100.1");
        let two = [("x-forwarded-for", "203.0.113.7"), ("x-forwarded-for", "198.51.100.1")];
        assert_eq!(client("10.0.0.1", &two), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "198.51.100.1, nonsense")]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "10.1.1.1, 10.2.2.2")]), "10.1.1.1");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let client = |peer, value| client_by(ClientAddressHeader::Forwarded, peer, &[("forwarded", value)]);
        assert_eq!(client("10.0.0.1", "for=198.51.100.1;proto=https, for=10.3.3.3"), "198.51.100.1");
        assert_eq!(client("fd00::1", r#"proto=http;For="[2001:db8::17]:4711""#), "2001:db8::17");
        assert_eq!(client("10.0.0.1", "for=unknown"), "10.0.0.1");
    }

    #[test]
    fn only_the_chosen_header_is_believed() {
        let both = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=203.0.113.7")];
        assert_eq!(client("10.0.0.1", &both), "198.51.100.1");
        assert_eq!(client_by(ClientAddressHeader::Forwarded, "10.0.0.1", &both), "203.0.113.7");
        assert_eq!(client("10.0.0.1", &both[1..]), "10.0.0.1");
        assert_eq!(client_by(ClientAddressHeader::Forwarded, "10.0.0.1", &both[..1]), "10.0.0.1");
    }
}
