//! How many connections one client's address may have, so that one client cannot take them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bits of an IPv6 address that one client has alike: a host is usually given a /64.
const IPV6_NETWORK: u128 = u128::MAX << 64;

/// The connections of each address.
#[derive(Debug)]
pub(crate) struct AddressLimits {
    most: usize,
    /// As many as there are connections.
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// An address's permit for one connection. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct AddressPermit {
    address: IpAddr,
    limits: Arc<AddressLimits>,
}

impl AddressLimits {
    /// At most this many connections of one address.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// A permit for one more connection of this address; `None` when it has as many as it may. The
    /// loopback is the operator's own, and a proxy there speaks for many clients: it is not counted.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Option<AddressPermit>, Full> {
        let address = match address.to_canonical() {
            address if address.is_loopback() => return Ok(None),
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK))
            }
            address @ IpAddr::V4(_) => address,
        };
        let mut open = self.locked();
        let count = open.entry(address).or_insert(0);
        if *count >= self.most {
            return Err(Full);
        }
        *count += 1;
        drop(open);
        Ok(Some(AddressPermit { address, limits: Arc::clone(self) }))
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address has as many connections as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut open = self.limits.locked();
        if let Some(count) = open.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_no_more() {
        let limits = Arc::new(AddressLimits::new(2));
        let take = |address: &str| limits.take(address.parse().unwrap());
        let (first, _second) = (take("192.0.2.1").unwrap(), take("::ffff:192.0.2.1").unwrap());
        assert!(take("192.0.2.1").is_err());
        let _other = take("192.0.2.2").unwrap();
        drop(first);
        let _again = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_err());
    }

    #[test]
    fn a_host_with_many_ipv6_addresses_is_one() {
        let limits = Arc::new(AddressLimits::new(1));
        let _first = limits.take("2001:db8::1".parse().unwrap()).unwrap();
        assert!(limits.take("2001:db8::ffff:2".parse().unwrap()).is_err());
        assert!(limits.take("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn the_loopback_is_not_counted_and_no_address_is_remembered_for_nothing() {
        let limits = Arc::new(AddressLimits::new(1));
        for address in ["127.0.0.1", "127.0.0.1", "::1", "::1"] {
            assert!(limits.take(address.parse().unwrap()).unwrap().is_none());
        }
        drop(limits.take("192.0.2.1".parse().unwrap()).unwrap());
        assert!(limits.locked().is_empty());
    }
}
