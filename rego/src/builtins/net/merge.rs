//! `net.cidr_merge`: the fewest networks with the same addresses.

use super::address::{Network, mask, to_v4};

/// A range of addresses, in 16 bytes each.
struct Range {
    first: u128,
    last: u128,
    /// The original network, unless it has been merged with another.
    network: Option<Network>,
}

/// The first address of IPv4 among those of IPv6.
const FIRST_V4: u128 = 0xffff << 32;
const LAST_V4: u128 = FIRST_V4 | 0xffff_ffff;

/// Merges networks.
pub(super) fn merged(networks: Vec<Network>) -> Vec<Network> {
    let mut ranges: Vec<Range> = networks.into_iter().map(Range::of).collect();
    ranges.sort_by_key(|range| (range.last, range.first));
    let mut result: Vec<Range> = Vec::with_capacity(ranges.len());
    // From the last to the first: each range absorbs those that overlap or adjoin it.
    while let Some(mut range) = ranges.pop() {
        while let Some(previous) = ranges.last() {
            let before = if is_lowest(range.first) { range.first } else { range.first - 1 };
            if before > previous.last {
                break;
            }
            range =
                Range { first: range.first.min(previous.first), last: range.last, network: None };
            ranges.pop();
        }
        result.push(range);
    }
    result.into_iter().flat_map(Range::into_networks).collect()
}

/// No address is before it: OPA does not merge across IPv4 and IPv6.
fn is_lowest(address: u128) -> bool {
    address == 0 || address == FIRST_V4
}

fn number(address: &[u8]) -> u128 {
    match to_v4(address) {
        Some(v4) => FIRST_V4 | v4.iter().fold(0, |n, byte| n << 8 | u128::from(*byte)),
        None => address.iter().fold(0, |n, byte| n << 8 | u128::from(*byte)),
    }
}

impl Range {
    fn of(network: Network) -> Self {
        let bits = if network.mask.len() == 4 { 32 } else { 128 };
        let hosts = hosts(bits - network.prefix());
        let first = number(network.first()) & !hosts;
        Self { first, last: first | hosts, network: Some(network) }
    }

    fn into_networks(self) -> Vec<Network> {
        if let Some(network) = self.network {
            return vec![network];
        }
        let mut networks = Vec::new();
        let mut first = self.first;
        loop {
            // The largest network that begins here and ends within the range.
            let mut bits = first.trailing_zeros();
            while hosts(bits) > self.last - first {
                bits -= 1;
            }
            networks.push(network_of(first, bits));
            let last = first + hosts(bits);
            if last >= self.last {
                return networks;
            }
            first = last + 1;
        }
    }
}

/// The last address of a network, counted from its first.
fn hosts(bits: u32) -> u128 {
    u128::MAX.checked_shr(128 - bits).unwrap_or(0)
}

fn network_of(first: u128, host_bits: u32) -> Network {
    let bytes = first.to_be_bytes();
    if (FIRST_V4..=LAST_V4).contains(&first) && host_bits <= 32 {
        let address = bytes.into_iter().skip(12).collect();
        return Network { address, mask: mask(32 - host_bits, 4) };
    }
    Network { address: bytes.to_vec(), mask: mask(128 - host_bits, 16) }
}
