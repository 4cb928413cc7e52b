//! Certificates as Go writes them in JSON.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use num_bigint::BigInt;
use regorus::Value;

use super::certificate::Certificate;
use super::extension::Extension;
use super::extensions::{Names, Network, Subtrees};
use super::lists::{list, oid, texts};
use crate::builtins::crypto::der::LongOid;
use crate::builtins::crypto::{base64_value, keys, object};
use crate::builtins::go::url::Url;
use crate::builtins::number;

/// Bytes as a text; each byte of invalid UTF-8 becomes U+FFFD.
pub(super) fn text(bytes: &[u8]) -> Value {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    Value::from(text)
}

fn strings(all: &[String]) -> Value {
    texts(all.iter().map(String::as_str))
}

fn raw_texts(all: &[Vec<u8>]) -> Value {
    list(all.iter().map(|bytes| text(bytes)))
}

fn optional_bytes(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, base64_value)
}

/// An address of 4 or 16 bytes.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
    // Go shows an IPv4 address in 16 bytes as one of 4.
    Some(sixteen.to_ipv4_mapped().map_or(sixteen.into(), IpAddr::from))
}

fn address_value(bytes: &[u8]) -> Value {
    Value::from(address(bytes).map(|address| address.to_string()).unwrap_or_default())
}

fn network(network: &Network) -> Value {
    object([("IP", address_value(&network.address)), ("Mask", base64_value(&network.mask))])
}

fn url(url: &Url) -> Value {
    let user = if url.user.is_some() { object([]) } else { Value::Null };
    object([
        ("Scheme", Value::from(url.scheme.as_str())),
        ("Opaque", Value::from(url.opaque.as_str())),
        ("User", user),
        ("Host", Value::from(url.host.as_str())),
        ("Path", Value::from(url.path.as_str())),
        ("Fragment", Value::from(url.fragment.as_str())),
        ("RawQuery", Value::from(url.raw_query.as_str())),
        ("RawPath", Value::from(url.raw_path.as_str())),
        ("RawFragment", Value::from(url.raw_fragment.as_str())),
        ("ForceQuery", Value::from(url.force_query)),
        ("OmitHost", Value::from(url.omit_host)),
    ])
}

/// The alternative names, which certificates and requests for them have.
pub(super) fn names(names: &Names) -> [(&'static str, Value); 4] {
    [
        ("DNSNames", strings(&names.dns)),
        ("EmailAddresses", strings(&names.emails)),
        ("IPAddresses", list(names.addresses.iter().map(|bytes| address_value(bytes)))),
        ("URIs", list(names.uris.iter().map(url))),
    ]
}

/// An extension.
pub(super) fn extension(extension: &Extension) -> Value {
    object([
        ("Id", oid(&extension.id)),
        ("Critical", Value::from(extension.critical)),
        ("Value", base64_value(&extension.value)),
    ])
}

/// A certificate. OPA adds the texts of the URIs in all places except one.
pub(super) fn certificate(certificate: &Certificate, uri_strings: bool) -> Value {
    let long = |oid: &LongOid| Value::from(oid.to_string());
    let extensions = &certificate.parsed;
    let Subtrees { dns, networks, emails, uris } = &extensions.permitted;
    let excluded = &extensions.excluded;
    let zero = |n: Option<i64>| (Value::from(n.unwrap_or(0)), Value::from(n == Some(0)));
    let (any_policy, any_policy_zero) = zero(extensions.inhibit_any_policy);
    let (mapping, mapping_zero) = zero(extensions.inhibit_policy_mapping);
    let (explicit, explicit_zero) = zero(extensions.require_explicit_policy);
    let basic = extensions.basic_constraints;
    // A certificate without the extension has no bound of zero either.
    let max_path = basic.map_or(0, |basic| basic.max_path.unwrap_or(-1));
    let short = |oid_: &LongOid| oid_.to_short().as_ref().map(oid);
    let identifiers = extensions.policies.as_ref().map_or(Value::Null, |policies| {
        Value::from(policies.iter().filter_map(short).collect::<Vec<_>>())
    });
    let policies = extensions.policies.as_deref().unwrap_or_default();
    let public = certificate.key.as_ref().map_or(Value::Null, keys::public_value);
    let mut fields: Vec<(&str, Value)> = vec![
        ("Raw", base64_value(&certificate.raw)),
        ("RawTBSCertificate", base64_value(&certificate.raw_signed)),
        ("RawSubjectPublicKeyInfo", base64_value(&certificate.raw_key)),
        ("RawSubject", base64_value(&certificate.raw_subject)),
        ("RawIssuer", base64_value(&certificate.raw_issuer)),
        ("Signature", base64_value(&certificate.signature)),
        ("SignatureAlgorithm", Value::from(certificate.algorithm.number())),
        ("PublicKeyAlgorithm", Value::from(certificate.key_kind.number())),
        ("PublicKey", public),
        ("Version", Value::from(certificate.version)),
        ("SerialNumber", number::integer(BigInt::from(certificate.serial.clone()))),
        ("Issuer", certificate.issuer.value()),
        ("Subject", certificate.subject.value()),
        ("NotBefore", Value::from(certificate.not_before.text.as_str())),
        ("NotAfter", Value::from(certificate.not_after.text.as_str())),
        ("KeyUsage", Value::from(extensions.key_usage)),
        ("Extensions", list(certificate.extensions.iter().map(extension))),
        ("ExtraExtensions", Value::Null),
        ("UnhandledCriticalExtensions", list(extensions.unhandled.iter().map(oid))),
        ("ExtKeyUsage", list(extensions.usages.iter().map(|n| Value::from(u64::from(*n))))),
        ("UnknownExtKeyUsage", list(extensions.unknown_usages.iter().map(oid))),
        ("BasicConstraintsValid", Value::from(basic.is_some())),
        ("IsCA", Value::from(basic.is_some_and(|basic| basic.is_ca))),
        ("MaxPathLen", Value::from(max_path)),
        ("MaxPathLenZero", Value::from(basic.is_some_and(|b| b.max_path == Some(0)))),
        ("SubjectKeyId", optional_bytes(extensions.subject_key_id.as_deref())),
        ("AuthorityKeyId", optional_bytes(extensions.authority_key_id.as_deref())),
        ("OCSPServer", raw_texts(&extensions.ocsp)),
        ("IssuingCertificateURL", raw_texts(&extensions.issuers)),
        ("PermittedDNSDomainsCritical", Value::from(extensions.constraints_critical)),
        ("PermittedDNSDomains", strings(dns)),
        ("ExcludedDNSDomains", strings(&excluded.dns)),
        ("PermittedIPRanges", list(networks.iter().map(network))),
        ("ExcludedIPRanges", list(excluded.networks.iter().map(network))),
        ("PermittedEmailAddresses", strings(emails)),
        ("ExcludedEmailAddresses", strings(&excluded.emails)),
        ("PermittedURIDomains", strings(uris)),
        ("ExcludedURIDomains", strings(&excluded.uris)),
        ("CRLDistributionPoints", raw_texts(&extensions.revocation_lists)),
        ("PolicyIdentifiers", identifiers),
        ("Policies", list(policies.iter().map(long))),
        ("InhibitAnyPolicy", any_policy),
        ("InhibitAnyPolicyZero", any_policy_zero),
        ("InhibitPolicyMapping", mapping),
        ("InhibitPolicyMappingZero", mapping_zero),
        ("RequireExplicitPolicy", explicit),
        ("RequireExplicitPolicyZero", explicit_zero),
        (
            "PolicyMappings",
            list(extensions.policy_mappings.iter().map(|(issuer, subject)| {
                object([
                    ("IssuerDomainPolicy", long(issuer)),
                    ("SubjectDomainPolicy", long(subject)),
                ])
            })),
        ),
    ];
    fields.extend(names(&extensions.names));
    if uri_strings {
        let uris = extensions.names.uris.iter();
        fields.push(("URIStrings", list(uris.map(|uri| Value::from(uri.to_string())))));
    }
    let fields = fields.into_iter().map(|(name, value)| (Value::from(name), value));
    Value::from(fields.collect::<std::collections::BTreeMap<_, _>>())
}
