//! Clients' certificates: whose they are, by their alternative names, and for how long.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::principal::Refusal;
use crate::tls::server::ServerTls;

/// Alternative names of one certificate that are looked at. A certificate with more counts as one
/// without names.
const MAX_NAMES: usize = 64;

/// Bytes of a rule's name.
const MAX_RULE: usize = 2048;

/// The beginning of a rule about DNS names.
const DNS: &str = "dns:";

/// The scheme of SPIFFE ids (<https://spiffe.io/docs/latest/spiffe-specs/spiffe-id/>).
const SPIFFE: &str = "spiffe://";

/// An alternative name of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// In lower case.
    Dns(String),
    Uri(String),
}

/// Whose certificates these are, by one alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// A DNS name, in lower case.
    Dns(String),
    /// A DNS name with one more label before this.
    DnsBelow(String),
    Uri(String),
    /// A URI with one more segment of its path behind this, which ends with a slash.
    UriBelow(String),
}

impl NameRule {
    fn fits(&self, name: &Name) -> bool {
        match (self, name) {
            (Self::Dns(wanted), Name::Dns(name)) | (Self::Uri(wanted), Name::Uri(name)) => {
                wanted == name
            }
            (Self::DnsBelow(parent), Name::Dns(name)) => {
                let label = name.split_once('.').filter(|(_, rest)| rest == parent);
                label.is_some_and(|(label, _)| is_label(label))
            }
            (Self::UriBelow(parent), Name::Uri(name)) => {
                let segment = name.strip_prefix(parent.as_str());
                segment.is_some_and(|segment| {
                    !segment.is_empty() && !segment.contains(['/', '?', '#', '*'])
                })
            }
            (Self::Dns(_) | Self::DnsBelow(_), Name::Uri(_))
            | (Self::Uri(_) | Self::UriBelow(_), Name::Dns(_)) => false,
        }
    }

    /// Whether it is about SPIFFE ids, of which a certificate must have exactly one.
    fn is_spiffe(&self) -> bool {
        match self {
            Self::Uri(uri) | Self::UriBelow(uri) => uri.starts_with(SPIFFE),
            Self::Dns(_) | Self::DnsBelow(_) => false,
        }
    }
}

impl FromStr for NameRule {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_RULE || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(());
        }
        if let Some(name) = text.strip_prefix(DNS) {
            let name = name.to_ascii_lowercase();
            return match name.strip_prefix("*.") {
                // One label alone is a whole top-level domain.
                Some(parent) if is_name(parent) && parent.contains('.') => {
                    Ok(Self::DnsBelow(parent.to_owned()))
                }
                None if is_name(&name) => Ok(Self::Dns(name)),
                _ => Err(()),
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or(())?;
        let is_scheme = !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let (host, path) = rest.split_once('/').map_or((rest, None), |(a, b)| (a, Some(b)));
        if !is_scheme || host.is_empty() || host.contains('*') {
            return Err(());
        }
        match path.and_then(|path| path.strip_suffix('*')) {
            Some(before)
                if (before.is_empty() || before.ends_with('/')) && !before.contains('*') =>
            {
                Ok(Self::UriBelow(text.trim_end_matches('*').to_owned()))
            }
            None if !text.contains('*') => Ok(Self::Uri(text.to_owned())),
            _ => Err(()),
        }
    }
}

impl fmt::Display for NameRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(formatter, "{DNS}{name}"),
            Self::DnsBelow(parent) => write!(formatter, "{DNS}*.{parent}"),
            Self::Uri(uri) => formatter.write_str(uri),
            Self::UriBelow(parent) => write!(formatter, "{parent}*"),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 253 && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.bytes().all(is_part)
}

/// A client's certificate, which the handshake has verified.
pub(crate) struct ClientCertificate {
    /// The certificate, and those that it was issued by, to be verified again when authorities or
    /// lists of revoked certificates change.
    chain: Vec<CertificateDer<'static>>,
    names: Vec<Name>,
    ends: DateTime<Utc>,
    tls: Arc<ServerTls>,
    /// The generation of the server's TLS that accepted it last.
    accepted_by: AtomicU64,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientCertificate").field("names", &self.names).finish()
    }
}

impl ClientCertificate {
    /// Of a connection whose handshake this generation of the server's TLS has accepted; `None` for
    /// a certificate that cannot be parsed.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        tls: Arc<ServerTls>,
        accepted_by: u64,
    ) -> Option<Self> {
        let (names, ends) = {
            let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
            let ends = DateTime::from_timestamp(leaf.validity().not_after.timestamp(), 0)?;
            (names(&leaf), ends)
        };
        Some(Self { chain, names, ends, tls, accepted_by: AtomicU64::new(accepted_by) })
    }

    /// Checks that it would still be accepted: it has not expired, and neither the authorities nor
    /// the lists of revoked certificates that were read meanwhile say otherwise.
    ///
    /// # Errors
    /// Why it would not.
    pub(super) fn check(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        if self.ends <= now {
            return Err(Refusal::Expired);
        }
        if self.accepted_by.load(Ordering::Relaxed) == self.tls.generation() {
            return Ok(());
        }
        let generation = self.tls.accepts(&self.chain).ok_or(Refusal::Revoked)?;
        self.accepted_by.store(generation, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it has this name. The common name of its subject is none.
    pub(super) fn fits(&self, rule: &NameRule) -> bool {
        let has_one_uri =
            || self.names.iter().filter(|name| matches!(name, Name::Uri(_))).count() == 1;
        (!rule.is_spiffe() || has_one_uri()) && self.names.iter().any(|name| rule.fits(name))
    }
}

/// The DNS names and URIs among a certificate's alternative names.
fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    // One that has the extension twice, or a broken one, has no names.
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let all = &extension.value.general_names;
    if all.len() > MAX_NAMES {
        return Vec::new();
    }
    let named = all.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(Name::Dns(name.to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(Name::Uri((*uri).to_owned())),
        _ => None,
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(name: &str) -> Name {
        Name::Dns(name.to_owned())
    }

    fn uri(uri: &str) -> Name {
        Name::Uri(uri.to_owned())
    }

    #[test]
    fn a_rule_fits_its_name_and_a_wildcard_one_whole_part() {
        for (rule, fits, others) in [
            (
                "dns:GW.example.com",
                vec![dns("gw.example.com")],
                vec![
                    dns("a.gw.example.com"),
                    dns("gw.example.com."),
                    dns("*.example.com"),
                    uri("gw.example.com"),
                    uri("dns:gw.example.com"),
                ],
            ),
            (
                "dns:*.example.com",
                vec![dns("a.example.com"), dns("a-b_1.example.com")],
                vec![
                    dns("example.com"),
                    dns("a.b.example.com"),
                    dns("*.example.com"),
                    dns(".example.com"),
                    dns("aexample.com"),
                    dns("a.example.com.evil.example"),
                ],
            ),
            (
                "spiffe://example.com/gateway",
                vec![uri("spiffe://example.com/gateway")],
                vec![
                    uri("spiffe://example.com/gateway/"),
                    uri("spiffe://example.com/gateway2"),
                    uri("spiffe://EXAMPLE.com/gateway"),
                    dns("spiffe://example.com/gateway"),
                ],
            ),
            (
                "spiffe://example.com/gateways/*",
                vec![
                    uri("spiffe://example.com/gateways/a"),
                    uri("spiffe://example.com/gateways/a.b"),
                ],
                vec![
                    uri("spiffe://example.com/gateways"),
                    uri("spiffe://example.com/gateways/"),
                    uri("spiffe://example.com/gateways/a/b"),
                    uri("spiffe://example.com/gateways/*"),
                    uri("spiffe://example.com/gateways/a?b"),
                    uri("spiffe://example.com.evil/gateways/a"),
                ],
            ),
        ] {
            let rule: NameRule = rule.parse().unwrap();
            for name in fits {
                assert!(rule.fits(&name), "{rule} {name:?}");
            }
            for name in others {
                assert!(!rule.fits(&name), "{rule} {name:?}");
            }
        }
    }

    #[test]
    fn a_rule_that_could_fit_more_than_it_says_is_refused() {
        for text in [
            "",
            "dns:",
            "dns:*",
            "dns:*.com",
            "dns:a.*.example.com",
            "dns:*a.example.com",
            "dns:a b",
            "gw.example.com",
            "spiffe://",
            "spiffe://*",
            "spiffe://*/a",
            "spiffe://example.com/*/a",
            "spiffe://example.com/a*",
            "spiffe://example.com/a/**",
            "SPIFFE://example.com/a",
        ] {
            assert!(text.parse::<NameRule>().is_err(), "{text}");
        }
        for text in ["dns:a", "dns:*.a.b", "spiffe://a", "spiffe://a/*", "https://a/b"] {
            assert_eq!(text.parse::<NameRule>().unwrap().to_string(), text);
        }
    }
}
