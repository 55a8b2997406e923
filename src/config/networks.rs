//! Networks of trusted proxies.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The widest IPv4 network of proxies, as wide as 10.0.0.0/8.
const WIDEST_IPV4: u8 = 8;
/// The widest IPv6 network of proxies: fc00::/7, all unique local addresses (RFC 4193).
const WIDEST_IPV6: u8 = 7;
/// The length of ::ffff:0:0/96, which contains the IPv4 addresses in the form of IPv6.
const MAPPED_PREFIX: u8 = 96;

/// Networks in CIDR notation or single addresses, separated by commas. `None` if a word is neither.
pub(super) fn parse(text: &str) -> Option<Vec<IpNet>> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let network = |word: &str| word.parse().or_else(|_| word.parse::<IpAddr>().map(IpNet::from)).ok();
    words.map(|word| network(word).map(canonical)).collect()
}

/// The address of a peer is canonical, so an IPv4 network in the form of IPv6 would contain no peer.
fn canonical(network: IpNet) -> IpNet {
    let mapped = |network: Ipv6Net| {
        let address = network.addr().to_ipv4_mapped()?;
        Ipv4Net::new(address, network.prefix_len().checked_sub(MAPPED_PREFIX)?).ok()
    };
    match network {
        IpNet::V6(ipv6) => mapped(ipv6).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    }
}

/// Whether the networks, alone or together, contain a network that is too wide to hold only proxies, such as 0.0.0.0/0
/// or 0.0.0.0/1 with 128.0.0.0/1. Every client in it can forge its address.
pub(super) fn are_too_wide(networks: &[IpNet]) -> bool {
    let widest = |network: &IpNet| if network.addr().is_ipv4() { WIDEST_IPV4 } else { WIDEST_IPV6 };
    IpNet::aggregate(&networks.to_vec()).iter().any(|network| network.prefix_len() < widest(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_in_cidr_notation_or_single_addresses() {
        let shown = |text| parse(text).unwrap().iter().map(IpNet::to_string).collect::<Vec<_>>();
        assert_eq!(shown("10.0.0.0/8, ::1,,192.0.2.1 "), ["10.0.0.0/8", "::1/128", "192.0.2.1/32"]);
        assert_eq!(shown("::ffff:10.0.0.0/104,::ffff:192.0.2.1"), ["10.0.0.0/8", "192.0.2.1/32"]);
        for bad in ["10.0.0.0/33", "localhost", "10.0.0.0/8;::1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks_with_most_addresses_are_too_wide() {
        for wide in [
            "0.0.0.0/0",
            "1.2.3.4/0",
            "::/0",
            "0.0.0.0/1",
            "128.0.0.0/1,0.0.0.0/1",
            "10.0.0.0/8,0.0.0.0/2,64.0.0.0/2,128.0.0.0/2,192.0.0.0/2",
            "2000::/3",
            "::/1,8000::/1",
            "::ffff:0.0.0.0/96",
            "8.0.0.0/8,9.0.0.0/8",
        ] {
            assert!(are_too_wide(&parse(wide).unwrap()), "{wide}");
        }
        for narrow in
            ["", "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,100.64.0.0/10", "fc00::/7,fe80::/10,::1"]
        {
            assert!(!are_too_wide(&parse(narrow).unwrap()), "{narrow}");
        }
    }
}
