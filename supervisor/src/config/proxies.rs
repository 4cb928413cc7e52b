//! Proxies that say whose connection they pass on, and how many connections an address may have.

use std::net::IpAddr;

use super::settings::{MAX_CONNECTIONS_PER_ADDRESS, PROXY_PROTOCOL_FROM};
use super::values::number;

/// Networks of proxies.
const MAX_NETWORKS: usize = 64;

/// A network of addresses (RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    /// Bits of the address that its members share.
    prefix: u8,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        (prefix <= bits).then_some(Self { address, prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same(u128::from(network.to_bits()), u128::from(address.to_bits()), 32, self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same(network.to_bits(), address.to_bits(), 128, self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether two addresses of this many bits begin with the same.
fn same(one: u128, other: u128, bits: u8, prefix: u8) -> bool {
    let rest = u32::from(bits.saturating_sub(prefix));
    (one ^ other).checked_shr(rest).unwrap_or(0) == 0
}

/// The proxies whose connections begin with the address of their client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies(Vec<Network>);

impl Proxies {
    /// Whether this is one of them.
    pub(crate) fn include(&self, address: IpAddr) -> bool {
        // A listener of both families shows IPv4 as IPv6.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

pub(super) fn proxies(text: &str) -> Result<Proxies, String> {
    if text == PROXY_PROTOCOL_FROM.default {
        return Ok(Proxies::default());
    }
    let networks: Option<Vec<Network>> =
        text.split(',').map(|part| Network::parse(part.trim())).collect();
    let networks = networks.filter(|networks| networks.len() <= MAX_NETWORKS);
    networks.map(Proxies).ok_or_else(|| {
        format!(
            "expected none, or up to {MAX_NETWORKS} addresses and networks, such as 10.0.0.0/8 or ::1"
        )
    })
}

/// Connections that one address may have; `None` for a quarter of all.
pub(super) fn per_address(text: &str) -> Result<Option<usize>, String> {
    if text == MAX_CONNECTIONS_PER_ADDRESS.default {
        return Ok(None);
    }
    number(text, 1..=65_536).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_one_of_the_networks_that_are_named() {
        let proxies = proxies("10.0.0.0/8, 127.0.0.1,2001:db8::/32,::1").unwrap();
        for address in ["10.1.2.3", "127.0.0.1", "::ffff:10.9.9.9", "2001:db8:1::1", "::1"] {
            assert!(proxies.include(address.parse().unwrap()), "{address}");
        }
        for address in ["11.0.0.1", "127.0.0.2", "2001:db9::1", "::2", "::ffff:11.0.0.1"] {
            assert!(!proxies.include(address.parse().unwrap()), "{address}");
        }
        assert!(!Proxies::default().include("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_network_of_all_is_all_of_its_family() {
        let proxies = proxies("0.0.0.0/0").unwrap();
        assert!(proxies.include("203.0.113.7".parse().unwrap()));
        assert!(!proxies.include("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "example.com", "10.0.0.0/", "10.0.0/8", "all"] {
            assert!(proxies(text).is_err(), "{text}");
        }
    }
}
