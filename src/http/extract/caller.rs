//! The address of the client, which trusted proxies report.

use std::net::{IpAddr, SocketAddr};

use auth_service_records::error::Error;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use ipnet::IpNet;

use crate::{
    audit::Caller,
    http::{problem_response::Problem, request_id::RequestId, state::AppState},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The service adds this to every request.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The address at the other end of the connection.
    pub(crate) peer: IpAddr,
    pub(crate) id: RequestId,
}

/// The client that sends a request.
pub(crate) struct Client(pub(crate) Caller);

impl FromRequestParts<AppState> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let Some(Arrival { peer, id }) = parts.extensions.get() else {
            // This never happens, because the service adds the value to every request.
            return Err(Error::Internal("a request has no arrival".to_owned()).into());
        };
        let address = client_address(*peer, &parts.headers, &app.trusted_proxies);
        Ok(Self(Caller { address, request_id: id.as_str().to_owned() }))
    }
}

/// The address of the peer, or the client address that trusted proxies report. If the two headers disagree, the client
/// has forged the header that its proxy does not set, so neither header counts.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let chain = |name: &HeaderName, address: fn(&str) -> Option<IpAddr>| {
        let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
        let hops: Vec<_> = values.flat_map(|value| value.split(',')).map(|hop| address(hop.trim())).collect();
        (!hops.is_empty()).then(|| last_untrusted(peer, &hops, trusted))
    };
    match (chain(&X_FORWARDED_FOR, bare_address), chain(&header::FORWARDED, forwarded_for)) {
        (Some(address), None) | (None, Some(address)) => address,
        (Some(one), Some(other)) if one == other => one,
        _ => peer,
    }
}

/// The rightmost address that is not a trusted proxy, because each proxy appends to the right. A hop that cannot be
/// read ends the chain of trust.
fn last_untrusted(peer: IpAddr, hops: &[Option<IpAddr>], trusted: &[IpNet]) -> IpAddr {
    let mut nearest = peer;
    for hop in hops.iter().rev() {
        let Some(hop) = hop else { return nearest };
        nearest = hop.to_canonical();
        if !is_trusted(nearest, trusted) {
            return nearest;
        }
    }
    nearest
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
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
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        client_address(peer.parse().unwrap(), &map, &trusted).to_string()
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
        assert_eq!(client("10.0.0.1", &[("forwarded", "for=198.51.100.1;proto=https, for=10.3.3.3")]), "198.51.100.1");
        assert_eq!(client("fd00::1", &[("forwarded", r#"proto=http;For="[2001:db8::17]:4711""#)]), "2001:db8::17");
        assert_eq!(client("10.0.0.1", &[("forwarded", "for=unknown")]), "10.0.0.1");
    }

    #[test]
    fn headers_that_disagree_are_not_believed() {
        let both = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=203.0.113.7")];
        assert_eq!(client("10.0.0.1", &both), "10.0.0.1");
        let agree = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=198.51.100.1")];
        assert_eq!(client("10.0.0.1", &agree), "198.51.100.1");
    }
}
