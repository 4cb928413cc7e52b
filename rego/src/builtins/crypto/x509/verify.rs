//! Chains of certificates, as Go verifies them.

use std::net::IpAddr;

use super::certificate::Certificate;
use super::extensions::SUBJECT_ALTERNATIVE_NAME;
use super::{constraints, policies};
use crate::builtins::{Context, Failure, limits};

/// The highest number of certificates tried in one verification, as in Go. It bounds the depth of a
/// chain too.
const ATTEMPTS: usize = 100;

/// Go's number of the usage "any".
pub(super) const ANY_USAGE: u8 = 0;

/// Go's number of the default usage.
const SERVER_AUTH: u8 = 1;

/// The bit of a key usage with which certificates are signed.
const SIGN_CERTIFICATES: u64 = 1 << 5;

/// The requirements on a chain.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// `None` where no name is required.
    pub(super) name: String,
    /// Nanoseconds since 1970.
    pub(super) now_ns: i64,
    /// The usages, one of which must be allowed, by Go's numbers.
    pub(super) usages: Vec<u8>,
}

/// The possible roles of a certificate in a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Leaf,
    Intermediate,
    Root,
}

/// Builds chains from the last certificate to the first.
struct Builder<'a, 'o> {
    root: &'a Certificate,
    intermediates: Vec<&'a Certificate>,
    options: &'o Options,
    attempts: usize,
    context: &'o Context,
}

/// The first chain from the last certificate to the first through some of the others; `None` where
/// no valid one exists.
///
/// # Errors
/// When the deadline has passed, which ends the evaluation.
pub(super) fn chain<'a>(
    context: &Context,
    certificates: &'a [Certificate],
    options: &Options,
) -> Result<Option<Vec<&'a Certificate>>, Failure> {
    let [root, intermediates @ .., leaf] = certificates else { return Ok(None) };
    if !is_valid(leaf, Role::Leaf, &[], options) || !has_name(leaf, &options.name) {
        return Ok(None);
    }
    let mut distinct: Vec<&Certificate> = Vec::new();
    for one in intermediates {
        if !distinct.iter().any(|other| other.raw == one.raw) {
            distinct.push(one);
        }
    }
    let chains = if root.raw == leaf.raw {
        vec![vec![leaf]]
    } else {
        let intermediates = distinct;
        let mut builder = Builder { root, intermediates, options, attempts: 0, context };
        let mut chains = Vec::new();
        builder.extend(leaf, &[leaf], &mut chains)?;
        chains
    };
    for chain in chains {
        limits::in_time(context)?;
        if policies::hold(&chain)
            && allows_usage(&chain, &options.usages)
            && constraints::hold(&chain)
        {
            return Ok(Some(chain));
        }
    }
    Ok(None)
}

impl<'a> Builder<'a, '_> {
    /// Adds the chains that continue from a certificate, the last of the chain so far. Each step
    /// uses one of the attempts, so that the depth is bounded.
    fn extend(
        &mut self,
        certificate: &'a Certificate,
        chain: &[&'a Certificate],
        chains: &mut Vec<Vec<&'a Certificate>>,
    ) -> Result<(), Failure> {
        let roots = parents(certificate, &[self.root]);
        let intermediates = parents(certificate, &self.intermediates);
        let roots = roots.into_iter().map(|parent| (Role::Root, parent));
        let others = intermediates.into_iter().map(|parent| (Role::Intermediate, parent));
        for (role, candidate) in roots.chain(others) {
            limits::in_time(self.context)?;
            self.attempts += 1;
            if self.attempts > ATTEMPTS {
                return Ok(());
            }
            if candidate.key.is_none()
                || chain.iter().any(|other| is_same_subject(candidate, other))
                || !is_signed_by(certificate, candidate)
                || !is_valid(candidate, role, chain, self.options)
            {
                continue;
            }
            let longer = [chain, &[candidate]].concat();
            match role {
                Role::Root => chains.push(longer),
                Role::Intermediate | Role::Leaf => self.extend(candidate, &longer, chains)?,
            }
        }
        Ok(())
    }
}

/// Certificates whose subject is the issuer: first those with the named key, then those where one
/// of the two names no key.
fn parents<'a>(certificate: &Certificate, all: &[&'a Certificate]) -> Vec<&'a Certificate> {
    let wanted = certificate.parsed.authority_key_id.as_deref().unwrap_or(&[]);
    let rank = |candidate: &Certificate| {
        let own = candidate.parsed.subject_key_id.as_deref().unwrap_or(&[]);
        if own == wanted {
            0
        } else if own.is_empty() || wanted.is_empty() {
            1
        } else {
            2
        }
    };
    let named = all.iter().copied().filter(|one| one.raw_subject == certificate.raw_issuer);
    let mut candidates: Vec<&Certificate> = named.collect();
    candidates.sort_by_key(|candidate| rank(candidate));
    candidates
}

/// Whether both have the same subject, key and alternative names.
fn is_same_subject(a: &Certificate, b: &Certificate) -> bool {
    let names = |certificate: &Certificate| {
        certificate.extension(SUBJECT_ALTERNATIVE_NAME).map(|extension| extension.value.clone())
    };
    a.raw_subject == b.raw_subject && a.raw_key == b.raw_key && names(a) == names(b)
}

fn is_signed_by(certificate: &Certificate, parent: &Certificate) -> bool {
    let basic = parent.parsed.basic_constraints;
    let may_sign = basic.map_or(parent.version != 3, |basic| basic.is_ca);
    let usage = parent.parsed.key_usage;
    let Some(key) = &parent.key else { return false };
    may_sign
        && (usage == 0 || usage & SIGN_CERTIFICATES != 0)
        && certificate.algorithm.verifies(key, &certificate.raw_signed, &certificate.signature)
}

fn is_valid(
    certificate: &Certificate,
    role: Role,
    chain: &[&Certificate],
    options: &Options,
) -> bool {
    let nanoseconds = |seconds: i64| i128::from(seconds) * 1_000_000_000;
    let now = i128::from(options.now_ns);
    let basic = certificate.parsed.basic_constraints;
    let in_time = (nanoseconds(certificate.not_before.seconds)
        ..=nanoseconds(certificate.not_after.seconds))
        .contains(&now);
    let is_issuer = chain.last().is_none_or(|child| child.raw_issuer == certificate.raw_subject);
    let may_sign = role != Role::Intermediate || basic.is_some_and(|basic| basic.is_ca);
    let between = i64::try_from(chain.len()).unwrap_or(i64::MAX).saturating_sub(1);
    let max_path = basic.and_then(|basic| basic.max_path);
    certificate.parsed.unhandled.is_empty()
        && is_issuer
        && in_time
        && may_sign
        && max_path.is_none_or(|max| between <= max)
}

/// Whether each certificate with usages allows one of the required ones.
fn allows_usage(chain: &[&Certificate], asked: &[u8]) -> bool {
    if asked.contains(&ANY_USAGE) {
        return true;
    }
    let mut left = if asked.is_empty() { vec![SERVER_AUTH] } else { asked.to_vec() };
    for certificate in chain.iter().rev() {
        let parsed = &certificate.parsed;
        let unlimited = parsed.usages.is_empty() && parsed.unknown_usages.is_empty();
        if unlimited || parsed.usages.contains(&ANY_USAGE) {
            continue;
        }
        left.retain(|usage| parsed.usages.contains(usage));
        if left.is_empty() {
            return false;
        }
    }
    true
}

/// Whether a certificate is for a host, by its name or address; true where no host is required.
fn has_name(certificate: &Certificate, host: &str) -> bool {
    if host.is_empty() {
        return true;
    }
    let names = &certificate.parsed.names;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Ok(address) = bare.filter(|bare| !bare.is_empty()).unwrap_or(host).parse::<IpAddr>() {
        let asked = address.to_canonical();
        let mut addresses = names.addresses.iter().filter_map(|bytes| super::value::address(bytes));
        return addresses.any(|address| address.to_canonical() == asked);
    }
    let host = host.to_ascii_lowercase();
    let plain = is_host(&host, false);
    let parts: Vec<&str> = host.strip_suffix('.').unwrap_or(&host).split('.').collect();
    names.dns.iter().any(|pattern| {
        let pattern = pattern.to_ascii_lowercase();
        if !plain || !is_host(&pattern, true) {
            return !matches!(pattern.as_str(), "" | ".") && host != "." && pattern == host;
        }
        let labels: Vec<&str> = pattern.split('.').collect();
        let wildcard = labels.first() == Some(&"*");
        let skipped = usize::from(wildcard);
        labels.len() == parts.len() && labels.iter().skip(skipped).eq(parts.iter().skip(skipped))
    })
}

/// Whether a text is a host's name, or a pattern of names, whose first label may be `*`.
fn is_host(host: &str, pattern: bool) -> bool {
    let host = if pattern { host } else { host.strip_suffix('.').unwrap_or(host) };
    if matches!(host, "" | "*") {
        return false;
    }
    host.split('.').enumerate().all(|(i, label)| {
        if pattern && i == 0 && label == "*" {
            return true;
        }
        let mut characters = label.chars().enumerate();
        !label.is_empty()
            && characters.all(|(j, c)| c.is_ascii_alphanumeric() || c == '_' || c == '-' && j > 0)
    })
}
