//! A certificate's extensions, as Go interprets them.

use std::net::IpAddr;

use super::domain::{is_domain, mailbox};
use super::extension::Extension;
use crate::builtins::crypto::der::{self, Der, LongOid, Oid};
use crate::builtins::crypto::failed;
use crate::builtins::go::url::{self, Url};
use crate::builtins::{Failure, bytes};

/// The identifier of alternative names.
pub(super) const SUBJECT_ALTERNATIVE_NAME: &[u32] = &[2, 5, 29, 17];

const AUTHORITY_ACCESS: &[u32] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];

/// The content of the extensions that Go knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Extensions {
    /// Nine bits.
    pub(super) key_usage: u64,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) names: Names,
    pub(super) permitted: Subtrees,
    pub(super) excluded: Subtrees,
    pub(super) constraints_critical: bool,
    pub(super) has_constraints: bool,
    pub(super) revocation_lists: Vec<Vec<u8>>,
    pub(super) authority_key_id: Option<Vec<u8>>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) require_explicit_policy: Option<i64>,
    pub(super) inhibit_policy_mapping: Option<i64>,
    pub(super) inhibit_any_policy: Option<i64>,
    /// Go's numbers of the usages that it knows.
    pub(super) usages: Vec<u8>,
    pub(super) unknown_usages: Vec<Oid>,
    pub(super) policies: Option<Vec<LongOid>>,
    pub(super) policy_mappings: Vec<(LongOid, LongOid)>,
    pub(super) ocsp: Vec<Vec<u8>>,
    pub(super) issuers: Vec<Vec<u8>>,
    /// Critical extensions that were not handled.
    pub(super) unhandled: Vec<Oid>,
}

/// Whether a certificate may sign others.
#[derive(Debug, Clone, Copy)]
pub(super) struct BasicConstraints {
    pub(super) is_ca: bool,
    /// How many certificates may be between it and the last.
    pub(super) max_path: Option<i64>,
}

/// Alternative names of a subject.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) dns: Vec<String>,
    pub(super) emails: Vec<String>,
    /// Each of 4 or 16 bytes.
    pub(super) addresses: Vec<Vec<u8>>,
    pub(super) uris: Vec<Url>,
}

/// Names that a certificate permits or excludes for those below it.
#[derive(Debug, Clone, Default)]
pub(super) struct Subtrees {
    pub(super) dns: Vec<String>,
    pub(super) networks: Vec<Network>,
    pub(super) emails: Vec<String>,
    pub(super) uris: Vec<String>,
}

/// A network: two times 4 or 16 bytes.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) address: Vec<u8>,
    pub(super) mask: Vec<u8>,
}

/// The usages that Go knows, by its numbers.
const USAGES: &[&[u32]] = &[
    &[2, 5, 29, 37, 0],
    &[1, 3, 6, 1, 5, 5, 7, 3, 1],
    &[1, 3, 6, 1, 5, 5, 7, 3, 2],
    &[1, 3, 6, 1, 5, 5, 7, 3, 3],
    &[1, 3, 6, 1, 5, 5, 7, 3, 4],
    &[1, 3, 6, 1, 5, 5, 7, 3, 5],
    &[1, 3, 6, 1, 5, 5, 7, 3, 6],
    &[1, 3, 6, 1, 5, 5, 7, 3, 7],
    &[1, 3, 6, 1, 5, 5, 7, 3, 8],
    &[1, 3, 6, 1, 5, 5, 7, 3, 9],
    &[1, 3, 6, 1, 4, 1, 311, 10, 3, 3],
    &[2, 16, 840, 1, 113_730, 4, 1],
    &[1, 3, 6, 1, 4, 1, 311, 2, 1, 22],
    &[1, 3, 6, 1, 4, 1, 311, 61, 1, 1],
];

fn or<T>(part: Option<T>, what: &str) -> Result<T, Failure> {
    part.ok_or_else(|| failed(&format!("x509: {what}")))
}

impl Extensions {
    /// # Errors
    /// In Go's words, where one that it knows is malformed.
    pub(super) fn of(extensions: &[Extension]) -> Result<Self, Failure> {
        let mut all = Self::default();
        for extension in extensions {
            let handled = match extension.id.parts() {
                [2, 5, 29, last] => all.standard(*last, extension)?,
                AUTHORITY_ACCESS => {
                    all.authority_access(extension)?;
                    true
                }
                _ => false,
            };
            if extension.critical && !handled {
                all.unhandled.push(extension.id.clone());
            }
        }
        Ok(all)
    }

    fn standard(&mut self, last: u32, extension: &Extension) -> Result<bool, Failure> {
        let mut value = Der::new(&extension.value);
        match last {
            14 => {
                if extension.critical {
                    let what = "x509: subject key identifier incorrectly marked critical";
                    return Err(failed(what));
                }
                let id = or(value.read(der::OCTET_STRING), "invalid subject key identifier")?;
                self.subject_key_id = Some(id.bytes().to_vec());
            }
            15 => {
                let bits = or(value.bit_string(), "invalid key usage")?;
                self.key_usage = (0..9).map(|i| u64::from(bits.bit(i)) << i).sum();
            }
            17 => {
                self.names = Names::of(value)?;
                return Ok(!self.names.is_empty());
            }
            19 => self.basic_constraints = Some(or(basic(value), "invalid basic constraints")?),
            30 => return self.name_constraints(extension),
            31 => self.revocation_lists = revocation_lists(value)?,
            32 => self.policies = Some(or(policies(value), "invalid certificate policies")?),
            33 => {
                let mappings = mappings(value);
                self.policy_mappings = or(mappings, "invalid policy mappings extension")?;
            }
            35 => self.authority_key_id = authority_key_id(extension)?,
            36 => or(self.policy_constraints(value), "invalid policy constraints extension")?,
            37 => or(self.usages(value), "invalid extended key usages")?,
            54 => {
                let skip = value.word(der::INTEGER);
                self.inhibit_any_policy = Some(or(skip, "invalid inhibit any policy extension")?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn name_constraints(&mut self, extension: &Extension) -> Result<bool, Failure> {
        self.has_constraints = true;
        let invalid = "invalid NameConstraints extension";
        let mut outer = Der::new(&extension.value);
        let mut fields = or(outer.read(der::SEQUENCE), invalid)?;
        let permitted = or(fields.optional(der::constructed(0)), invalid)?;
        let excluded = or(fields.optional(der::constructed(1)), invalid)?;
        if !outer.is_empty() || !fields.is_empty() {
            return Err(failed(&format!("x509: {invalid}")));
        }
        let (permitted, excluded) =
            (permitted.unwrap_or(Der::new(&[])), excluded.unwrap_or(Der::new(&[])));
        if permitted.is_empty() && excluded.is_empty() {
            return Err(failed("x509: empty name constraints extension"));
        }
        let mut known = true;
        self.permitted = Subtrees::of(permitted, &mut known)?;
        self.excluded = Subtrees::of(excluded, &mut known)?;
        self.constraints_critical = extension.critical;
        Ok(known)
    }

    fn policy_constraints(&mut self, mut value: Der<'_>) -> Option<()> {
        let mut fields = value.read(der::SEQUENCE)?;
        if fields.peek(der::context(0)) {
            self.require_explicit_policy = Some(fields.word(der::context(0))?);
        }
        if fields.peek(der::context(1)) {
            self.inhibit_policy_mapping = Some(fields.word(der::context(1))?);
        }
        Some(())
    }

    fn usages(&mut self, mut value: Der<'_>) -> Option<()> {
        let mut all = value.read(der::SEQUENCE)?;
        while !all.is_empty() {
            let usage = all.oid()?;
            match USAGES.iter().position(|known| usage.is(known)) {
                Some(number) => self.usages.push(u8::try_from(number).unwrap_or(0)),
                None => self.unknown_usages.push(usage),
            }
        }
        Some(())
    }

    fn authority_access(&mut self, extension: &Extension) -> Result<(), Failure> {
        if extension.critical {
            return Err(failed("x509: authority info access incorrectly marked critical"));
        }
        let invalid = "invalid authority info access";
        let mut all = or(Der::new(&extension.value).read(der::SEQUENCE), invalid)?;
        while !all.is_empty() {
            let mut one = or(all.read(der::SEQUENCE), invalid)?;
            let method = or(one.oid(), invalid)?;
            if !one.peek(der::context(6)) {
                continue;
            }
            let place = or(one.read(der::context(6)), invalid)?.bytes().to_vec();
            match method.parts() {
                [1, 3, 6, 1, 5, 5, 7, 48, 1] => self.ocsp.push(place),
                [1, 3, 6, 1, 5, 5, 7, 48, 2] => self.issuers.push(place),
                _ => {}
            }
        }
        Ok(())
    }
}

fn basic(mut value: Der<'_>) -> Option<BasicConstraints> {
    let mut fields = value.read(der::SEQUENCE)?;
    let is_ca = if fields.peek(der::BOOLEAN) { fields.boolean()? } else { false };
    let max_path = if fields.peek(der::INTEGER) {
        Some(fields.word(der::INTEGER).filter(|length| *length >= 0)?)
    } else {
        None
    };
    Some(BasicConstraints { is_ca, max_path })
}

fn revocation_lists(mut value: Der<'_>) -> Result<Vec<Vec<u8>>, Failure> {
    let mut all = or(value.read(der::SEQUENCE), "invalid CRL distribution points")?;
    let mut places = Vec::new();
    while !all.is_empty() {
        let mut place = || {
            let mut point = all.read(der::SEQUENCE)?;
            let Some(mut name) = point.optional(der::constructed(0))? else { return Some(()) };
            let mut full = name.read(der::constructed(0))?;
            while full.peek(der::context(6)) {
                places.push(full.read(der::context(6))?.bytes().to_vec());
            }
            Some(())
        };
        or(place(), "invalid CRL distribution point")?;
    }
    Ok(places)
}

fn policies(mut value: Der<'_>) -> Option<Vec<LongOid>> {
    let mut all = value.read(der::SEQUENCE)?;
    let mut policies = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    while !all.is_empty() {
        let policy = all.read(der::SEQUENCE)?.read(der::OBJECT_IDENTIFIER)?;
        if !seen.insert(policy.bytes()) {
            return None;
        }
        policies.push(LongOid::of(policy.bytes())?);
    }
    Some(policies)
}

fn mappings(mut value: Der<'_>) -> Option<Vec<(LongOid, LongOid)>> {
    let mut all = value.read(der::SEQUENCE)?;
    let mut mappings = Vec::new();
    while !all.is_empty() {
        let mut one = all.read(der::SEQUENCE)?;
        let mut next = || Some(LongOid(one.read(der::OBJECT_IDENTIFIER)?.bytes().to_vec()));
        mappings.push((next()?, next()?));
    }
    Some(mappings)
}

fn authority_key_id(extension: &Extension) -> Result<Option<Vec<u8>>, Failure> {
    if extension.critical {
        return Err(failed("x509: authority key identifier incorrectly marked critical"));
    }
    let invalid = "invalid authority key identifier";
    let mut fields = or(Der::new(&extension.value).read(der::SEQUENCE), invalid)?;
    let id = or(fields.optional(der::context(0)), invalid)?;
    Ok(id.map(|id| id.bytes().to_vec()))
}

fn ascii(bytes: &[u8]) -> Option<String> {
    if bytes.is_ascii() { Some(bytes.iter().copied().map(char::from).collect()) } else { None }
}

impl Names {
    pub(super) fn is_empty(&self) -> bool {
        self.dns.is_empty()
            && self.emails.is_empty()
            && self.addresses.is_empty()
            && self.uris.is_empty()
    }

    /// The names of an extension's value. Those of other kinds are skipped.
    pub(super) fn of(mut value: Der<'_>) -> Result<Self, Failure> {
        let mut all = or(value.read(der::SEQUENCE), "invalid subject alternative names")?;
        let mut names = Self::default();
        while !all.is_empty() {
            let name = or(all.any(), "invalid subject alternative name")?;
            let text = |kind: &str| or(ascii(name.content), &format!("SAN {kind} is malformed"));
            match name.tag ^ 0x80 {
                1 => names.emails.push(text("rfc822Name")?),
                2 => names.dns.push(text("dNSName")?),
                6 => names.uris.push(uri(&text("uniformResourceIdentifier")?)?),
                7 => match name.content.len() {
                    4 | 16 => names.addresses.push(name.content.to_vec()),
                    other => {
                        let what = format!("x509: cannot parse IP address of length {other}");
                        return Err(failed(&what));
                    }
                },
                _ => {}
            }
        }
        Ok(names)
    }
}

fn uri(text: &str) -> Result<Url, Failure> {
    let wrong = |what: &str| {
        let shown = crate::builtins::go::quote::quote(text);
        failed(&format!("x509: cannot parse URI {shown}: {what}"))
    };
    let url = url::parse(text).map_err(|failure| wrong(&failure.to_string()))?;
    if !is_domain(&bytes::of(&url.host), false) {
        return Err(wrong("invalid domain"));
    }
    Ok(url)
}

impl Subtrees {
    /// `known` becomes false where a kind of name is not compared.
    fn of(mut all: Der<'_>, known: &mut bool) -> Result<Self, Failure> {
        let invalid = "invalid NameConstraints extension";
        let mut subtrees = Self::default();
        while !all.is_empty() {
            let name = or(or(all.read(der::SEQUENCE), invalid)?.any(), invalid)?;
            let text = || or(ascii(name.content), "invalid constraint value");
            let unparsed = |kind: &str, text: &str| {
                let shown = crate::builtins::go::quote::quote(text);
                failed(&format!("x509: failed to parse {kind} constraint {shown}"))
            };
            if name.tag == der::context(1) {
                let email = text()?;
                let valid = if email.contains('@') {
                    mailbox(&email).is_some()
                } else {
                    is_domain(email.as_bytes(), true)
                };
                if !valid {
                    return Err(unparsed("rfc822Name", &email));
                }
                subtrees.emails.push(email);
            } else if name.tag == der::context(2) {
                let domain = text()?;
                if !is_domain(domain.as_bytes(), true) {
                    return Err(unparsed("dnsName", &domain));
                }
                subtrees.dns.push(domain);
            } else if name.tag == der::context(6) {
                let domain = text()?;
                let is_address = domain.parse::<IpAddr>().is_ok();
                if is_address || !is_domain(domain.as_bytes(), true) {
                    return Err(unparsed("URI", &domain));
                }
                subtrees.uris.push(domain);
            } else if name.tag == der::context(7) {
                subtrees.networks.push(network(name.content)?);
            } else {
                *known = false;
            }
        }
        Ok(subtrees)
    }
}

fn network(bytes: &[u8]) -> Result<Network, Failure> {
    let length = bytes.len();
    let halves = matches!(length, 8 | 32).then(|| bytes.split_at_checked(length / 2)).flatten();
    let Some((address, mask)) = halves else {
        let what = format!("x509: IP constraint contained value of length {length}");
        return Err(failed(&what));
    };
    // A mask: ones, then zeros.
    let ones: u32 = mask.iter().take_while(|b| **b == 0xff).map(|_| 8).sum();
    let rest = mask.get(usize::try_from(ones / 8).unwrap_or(0)..).unwrap_or(&[]);
    let valid = match rest {
        [] => true,
        [first, others @ ..] => {
            first.leading_ones() + first.trailing_zeros().min(8) == 8
                && others.iter().all(|b| *b == 0)
        }
    };
    if !valid {
        let shown = crate::builtins::encoding::hex(mask);
        return Err(failed(&format!("x509: IP constraint contained invalid mask {shown}")));
    }
    Ok(Network { address: address.to_vec(), mask: mask.to_vec() })
}
