//! Whether the names of a chain's certificates satisfy the constraints of those above them.
//!
//! Go uses a binary search of the constraints, which differs from checking each one where a
//! network's address has bits outside its mask; so it is done the same way here.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::certificate::Certificate;
use super::domain::{Mailbox, is_domain, mailbox};
use super::extensions::{Network, SUBJECT_ALTERNATIVE_NAME, Subtrees};
use crate::builtins::go::url::Url;

/// Whether the constraints of a chain, whose first certificate is the last one signed, hold.
pub(super) fn hold(chain: &[&Certificate]) -> bool {
    let constraints: Vec<(usize, Constraints)> = chain
        .iter()
        .enumerate()
        .filter(|(_, certificate)| certificate.parsed.has_constraints)
        .map(|(i, certificate)| (i, Constraints::of(certificate)))
        .collect();
    chain.iter().enumerate().all(|(i, certificate)| {
        let mut above = constraints.iter().filter(|(at, _)| *at > i).peekable();
        if above.peek().is_none() || certificate.extension(SUBJECT_ALTERNATIVE_NAME).is_none() {
            return true;
        }
        let names = &certificate.parsed.names;
        let domains: Option<Vec<String>> = names.uris.iter().map(uri_domain).collect();
        let mailboxes: Option<Vec<Mailbox>> = names
            .emails
            .iter()
            .map(|email| {
                let Mailbox { local, domain } = mailbox(email)?;
                Some(Mailbox { local, domain: domain.to_lowercase() })
            })
            .collect();
        let (Some(domains), Some(mailboxes)) = (domains, mailboxes) else { return false };
        above.all(|(_, constraints)| {
            names.addresses.iter().all(|address| constraints.networks.allow(address))
                && names
                    .dns
                    .iter()
                    .all(|name| is_domain(name.as_bytes(), false) && constraints.dns.allow(name))
                && domains
                    .iter()
                    .all(|name| is_domain(name.as_bytes(), false) && constraints.uris.allow(name))
                && mailboxes.iter().all(|mailbox| {
                    is_domain(mailbox.domain.as_bytes(), false) && constraints.emails.allow(mailbox)
                })
        })
    })
}

/// The host of a URI. An address cannot be compared.
fn uri_domain(uri: &Url) -> Option<String> {
    let mut host = uri.host.to_lowercase();
    if host.is_empty() {
        return None;
    }
    if host.contains(':') && !host.ends_with(']') {
        let (name, _) = uri.host.rsplit_once(':')?;
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        if bare.is_none() && name.contains(':') {
            return None;
        }
        bare.unwrap_or(name).clone_into(&mut host);
    }
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let address = host.split_once('%').map_or(host.as_str(), |(address, _)| address);
    (!bracketed && address.parse::<IpAddr>().is_err()).then_some(host)
}

/// Permitted and excluded names.
struct Pair<T> {
    permitted: Option<T>,
    excluded: Option<T>,
}

/// Looks a name up.
trait Lookup<Name: ?Sized> {
    fn has(&self, name: &Name) -> bool;
}

impl<T> Pair<T> {
    fn allow<Name: ?Sized>(&self, name: &Name) -> bool
    where
        T: Lookup<Name>,
    {
        self.permitted.as_ref().is_none_or(|all| all.has(name))
            && self.excluded.as_ref().is_none_or(|all| !all.has(name))
    }
}

struct Constraints {
    dns: Pair<Domains>,
    uris: Pair<Domains>,
    emails: Pair<Emails>,
    networks: Pair<Networks>,
}

impl Constraints {
    fn of(certificate: &Certificate) -> Self {
        let (permitted, excluded) = (&certificate.parsed.permitted, &certificate.parsed.excluded);
        let domains = |of: fn(&Subtrees) -> &Vec<String>| Pair {
            permitted: Domains::of(of(permitted), true),
            excluded: Domains::of(of(excluded), false),
        };
        Self {
            dns: domains(|subtrees| &subtrees.dns),
            uris: domains(|subtrees| &subtrees.uris),
            emails: Pair {
                permitted: Emails::of(&permitted.emails, true),
                excluded: Emails::of(&excluded.emails, false),
            },
            networks: Pair {
                permitted: Networks::of(&permitted.networks),
                excluded: Networks::of(&excluded.networks),
            },
        }
    }
}

/// Removes constraints that the previous one covers.
fn prune<T>(sorted: Vec<T>, covers: fn(&T, &T) -> bool) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for one in sorted {
        if !kept.last().is_some_and(|last| covers(last, &one)) {
            kept.push(one);
        }
    }
    kept
}

/// The constraint that may cover a name: the equal one, or else the last before it, or else the first.
fn candidate<T>(sorted: &[T], order: impl Fn(&T) -> Ordering) -> Option<(&T, bool)> {
    let at = sorted.partition_point(|one| order(one) == Ordering::Less);
    match sorted.get(at).filter(|one| order(one) == Ordering::Equal) {
        Some(equal) => Some((equal, true)),
        None => sorted.get(at.saturating_sub(1)).map(|before| (before, false)),
    }
}

enum Domains {
    All,
    Some {
        sorted: Vec<String>,
        /// Of excluded ones, by what follows their first labels: a wildcard matches them.
        below: BTreeSet<String>,
    },
}

impl Domains {
    fn of(all: &[String], permitted: bool) -> Option<Self> {
        if all.is_empty() {
            return None;
        }
        if all.iter().any(String::is_empty) {
            return Some(Self::All);
        }
        let mut sorted = all.to_vec();
        sorted.sort_by(|a, b| by_labels(a, b));
        let sorted = prune(sorted, |a, b| covers(a, b));
        let below = sorted
            .iter()
            .filter(|_| !permitted)
            .filter_map(|name| without_first_label(&name.to_lowercase()))
            .collect();
        Some(Self::Some { sorted, below })
    }
}

impl Lookup<String> for Domains {
    fn has(&self, name: &String) -> bool {
        let Self::Some { sorted, below } = self else { return true };
        let found = candidate(sorted, |constraint| by_labels(constraint, name))
            .is_some_and(|(constraint, equal)| equal || covers(constraint, name));
        found
            || name.starts_with('*')
                && without_first_label(&name.to_lowercase())
                    .is_some_and(|rest| below.contains(&rest))
    }
}

fn without_first_label(name: &str) -> Option<String> {
    name.find('.').and_then(|dot| name.get(dot..)).map(str::to_owned)
}

/// The order of domains from their ends: dots first, without regard to case.
fn by_labels(a: &str, b: &str) -> Ordering {
    let key = |byte: u8| if byte == b'.' { 0 } else { byte.to_ascii_lowercase() };
    a.bytes().rev().map(key).cmp(b.bytes().rev().map(key))
}

/// Whether a domain is the constraint or below it.
fn covers(constraint: &str, name: &str) -> bool {
    let (constraint, name) = (constraint.as_bytes(), name.as_bytes());
    let Some(above) = name.len().checked_sub(constraint.len()) else { return false };
    let Some((before, end)) = name.split_at_checked(above) else { return false };
    end.eq_ignore_ascii_case(constraint)
        && (constraint.starts_with(b".") || before.is_empty() || before.ends_with(b"."))
}

struct Emails {
    full: BTreeSet<Mailbox>,
    domains: Option<Domains>,
}

impl Emails {
    fn of(all: &[String], permitted: bool) -> Option<Self> {
        if all.is_empty() {
            return None;
        }
        let (full, domains): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|email| email.contains('@'));
        let full = full
            .iter()
            .filter_map(|email| mailbox(email))
            .map(|Mailbox { local, domain }| Mailbox { local, domain: domain.to_lowercase() });
        Some(Self { full: full.collect(), domains: Domains::of(&domains, permitted) })
    }
}

impl Lookup<Mailbox> for Emails {
    fn has(&self, mailbox: &Mailbox) -> bool {
        self.full.contains(mailbox)
            || self.domains.as_ref().is_some_and(|domains| domains.has(&mailbox.domain))
    }
}

/// By the length of their addresses.
struct Networks(BTreeMap<usize, Vec<Network>>);

impl Networks {
    fn of(all: &[Network]) -> Option<Self> {
        if all.is_empty() {
            return None;
        }
        let mut by_length: BTreeMap<usize, Vec<Network>> = BTreeMap::new();
        for network in all {
            by_length.entry(network.address.len()).or_default().push(network.clone());
        }
        for networks in by_length.values_mut() {
            let mut sorted = std::mem::take(networks);
            sorted.sort_by(|a, b| a.address.cmp(&b.address).then_with(|| a.mask.cmp(&b.mask)));
            *networks = prune(sorted, |a, b| {
                let last: Vec<u8> =
                    b.address.iter().zip(&b.mask).map(|(byte, mask)| byte | !mask).collect();
                a.contains(&b.address) && a.contains(&last)
            });
        }
        Some(Self(by_length))
    }
}

impl Network {
    fn contains(&self, address: &[u8]) -> bool {
        // Go takes an address of version 4 in 16 bytes for one of 4.
        let plain = |bytes: &[u8]| match super::value::address(bytes) {
            Some(IpAddr::V4(four)) => four.octets().to_vec(),
            _ => bytes.to_vec(),
        };
        let (own, other) = (plain(&self.address), plain(address));
        let mask = match (own.len(), self.mask.len()) {
            (4, 16) => self.mask.get(12..).unwrap_or(&[]),
            _ => &self.mask,
        };
        own.len() == other.len()
            && own.iter().zip(&other).zip(mask).all(|((a, b), mask)| a & mask == b & mask)
    }
}

impl Lookup<Vec<u8>> for Networks {
    fn has(&self, address: &Vec<u8>) -> bool {
        let Some(sorted) = self.0.get(&address.len()) else { return false };
        candidate(sorted, |network| network.address.cmp(address))
            .is_some_and(|(network, equal)| equal || network.contains(address))
    }
}
