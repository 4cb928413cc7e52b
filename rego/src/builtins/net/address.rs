//! Addresses and networks as in Go's package `net`: an IPv4-mapped address is an IPv4 address in
//! any notation.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use crate::builtins::limits;

/// The prefix of an IPv4-mapped address in IPv6.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// `net.ParseIP`: 16 bytes.
pub(super) fn parse_ip(text: &str) -> Option<[u8; 16]> {
    if let Ok(address) = Ipv4Addr::from_str(text) {
        return Some(address.to_ipv6_mapped().octets());
    }
    Ipv6Addr::from_str(text).ok().map(|address| address.octets())
}

/// The four bytes of an address of IPv4, in either form.
pub(super) fn to_v4(address: &[u8]) -> Option<&[u8]> {
    match address {
        [_, _, _, _] => Some(address),
        _ => address.strip_prefix(&MAPPED).filter(|rest| rest.len() == 4),
    }
}

/// The text of an address.
pub(super) fn show(address: &[u8]) -> String {
    if let Some(Ok(bytes)) = to_v4(address).map(<[u8; 4]>::try_from) {
        return Ipv4Addr::from(bytes).to_string();
    }
    match <[u8; 16]>::try_from(address) {
        Ok(bytes) => Ipv6Addr::from(bytes).to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// The next address; the first one follows the last.
pub(super) fn increment(address: &mut [u8]) {
    for byte in address.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
}

/// `net.IPNet`: the first address and the mask, of 4 bytes for IPv4 and of 16 for IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) address: Vec<u8>,
    pub(super) mask: Vec<u8>,
}

/// A network of IPv6 that is not IPv4-mapped.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlainV6 {
    pub(super) first: u128,
    pub(super) prefix: u32,
}

/// A mask of this many bits.
pub(super) fn mask(prefix: u32, bytes: usize) -> Vec<u8> {
    let bits = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
    bits.to_be_bytes().into_iter().take(bytes).collect()
}

fn and(address: &[u8], mask: &[u8]) -> Vec<u8> {
    address.iter().zip(mask).map(|(a, m)| a & m).collect()
}

impl Network {
    /// `net.ParseCIDR`: the original address, and its network.
    pub(super) fn parse(text: &str) -> Option<([u8; 16], Self)> {
        let (address, prefix) = text.split_once('/')?;
        let bytes = if Ipv4Addr::from_str(address).is_ok() { 4 } else { 16 };
        let address = parse_ip(address)?;
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let prefix: u32 =
            prefix.parse().ok().filter(|prefix| *prefix <= if bytes == 4 { 32 } else { 128 })?;
        let mask = mask(prefix, bytes);
        let own = if bytes == 4 { to_v4(&address)? } else { &address };
        Some((address, Self { address: and(own, &mask), mask }))
    }

    /// The network of an IPv4 address in Go, by its historical class; `None` for IPv6.
    pub(super) fn of_address(address: &[u8; 16]) -> Option<Self> {
        let prefix = match to_v4(address)?.first()? {
            ..0x80 => 8,
            ..0xc0 => 16,
            _ => 24,
        };
        Some(Self { address: address.to_vec(), mask: mask(prefix, 4) })
    }

    pub(super) fn first(&self) -> &[u8] {
        &self.address
    }

    /// The last address.
    pub(super) fn last(&self) -> Vec<u8> {
        self.address.iter().zip(&self.mask).map(|(a, m)| a | !m).collect()
    }

    pub(super) fn prefix(&self) -> u32 {
        self.mask.iter().map(|byte| byte.count_ones()).sum()
    }

    /// How many addresses it has, if they are not too many.
    pub(super) fn size(&self) -> Option<usize> {
        let bits = u32::try_from(self.mask.len()).ok()? * 8 - self.prefix();
        1_usize.checked_shl(bits).filter(|size| *size <= limits::ELEMENTS)
    }

    /// The address and mask in the form for comparisons: of IPv4 where possible.
    fn number_and_mask(&self) -> Option<(&[u8], &[u8])> {
        let number = to_v4(&self.address).unwrap_or(&self.address);
        let mask = match (self.mask.len(), number.len()) {
            (16, 4) => self.mask.get(12..)?,
            (a, b) if a == b => &self.mask,
            _ => return None,
        };
        Some((number, mask))
    }

    /// Whether an address is in it.
    pub(super) fn contains(&self, address: &[u8]) -> bool {
        let Some((number, mask)) = self.number_and_mask() else { return false };
        let address = to_v4(address).unwrap_or(address);
        address.len() == number.len() && and(address, mask) == and(number, mask)
    }

    /// As a network of IPv6, if it is one and not IPv4-mapped.
    pub(super) fn as_plain_v6(&self) -> Option<PlainV6> {
        let bytes = <[u8; 16]>::try_from(&*self.address).ok()?;
        if to_v4(&self.address).is_some() {
            return None;
        }
        Some(PlainV6 { first: u128::from_be_bytes(bytes), prefix: self.prefix() })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number_and_mask() {
            None => f.write_str("<nil>"),
            Some((number, mask)) => {
                let prefix: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
                write!(f, "{}/{prefix}", show(number))
            }
        }
    }
}
