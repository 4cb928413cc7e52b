//! Certificates, read as strictly as Go reads them.

use std::collections::BTreeSet;

use num_bigint::BigUint;

use super::algorithm::SignatureAlgorithm;
use super::extension::{self, Extension};
use super::extensions::Extensions;
use super::name::{self, Name};
use super::time::{self, Time};
use crate::builtins::crypto::der::{self, Der};
use crate::builtins::crypto::failed;
use crate::builtins::crypto::keys::{self, Algorithm, KeyKind, PublicKey};
use crate::builtins::{Failure, limits};

/// The highest number of certificates in one text. A machine trusts some hundred and fifty.
const CERTIFICATES: usize = 256;

/// The highest number of bytes of all certificates in one text; a value takes many times as many.
const BYTES: usize = 1 << 20;

/// A certificate.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) raw: Vec<u8>,
    /// The signed bytes.
    pub(super) raw_signed: Vec<u8>,
    pub(super) raw_key: Vec<u8>,
    pub(super) raw_subject: Vec<u8>,
    pub(super) raw_issuer: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) key_kind: KeyKind,
    /// `None` where the kind is unknown.
    pub(super) key: Option<PublicKey>,
    pub(super) version: i64,
    pub(super) serial: BigUint,
    pub(super) issuer: Name,
    pub(super) subject: Name,
    pub(super) not_before: Time,
    pub(super) not_after: Time,
    pub(super) extensions: Vec<Extension>,
    pub(super) parsed: Extensions,
}

impl Certificate {
    /// Whether it has an extension.
    pub(super) fn extension(&self, id: &[u32]) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.id.is(id))
    }
}

/// Concatenated certificates.
///
/// # Errors
/// When one is malformed; too many end the evaluation.
pub(super) fn parse_all(bytes: &[u8]) -> Result<Vec<Certificate>, Failure> {
    if bytes.len() > BYTES {
        return Err(limits::exceeded("certificates are too long"));
    }
    let mut rest = Der::new(bytes);
    let mut all = Vec::new();
    while !rest.is_empty() {
        all.push(parse_next(&mut rest)?);
        if all.len() > CERTIFICATES {
            return Err(limits::exceeded("there are too many certificates"));
        }
    }
    Ok(all)
}

/// One certificate, without bytes after it.
///
/// # Errors
/// As [`parse_all`].
pub(super) fn parse(bytes: &[u8]) -> Result<Certificate, Failure> {
    if bytes.len() > BYTES {
        return Err(limits::exceeded("a certificate is too long"));
    }
    let mut rest = Der::new(bytes);
    let certificate = parse_next(&mut rest)?;
    if !rest.is_empty() {
        return Err(failed("x509: trailing data"));
    }
    Ok(certificate)
}

fn parse_next(rest: &mut Der<'_>) -> Result<Certificate, Failure> {
    fn part<T>(part: Option<T>, name: &str) -> Result<T, Failure> {
        part.ok_or_else(|| failed(&format!("x509: malformed {name}")))
    }
    let whole = part(rest.element(der::SEQUENCE), "certificate")?;
    let mut outer = Der::new(whole.content);
    let signed = part(outer.element(der::SEQUENCE), "tbs certificate")?;
    let mut fields = Der::new(signed.content);

    let version = match part(fields.optional(der::constructed(0)), "version")? {
        None => 1,
        Some(mut version) => {
            let number = version.word(der::INTEGER).filter(|n| version.is_empty() && *n >= 0);
            part(number, "version")?.saturating_add(1)
        }
    };
    if version > 3 {
        return Err(failed("x509: invalid version"));
    }
    let serial = part(fields.integer(), "serial number")?;
    let serial = serial.to_biguint().ok_or_else(|| failed("x509: negative serial number"))?;

    let inner = part(fields.read(der::SEQUENCE), "signature algorithm identifier")?;
    let repeated = part(outer.read(der::SEQUENCE), "algorithm identifier")?;
    if inner.bytes() != repeated.bytes() {
        let what = "x509: inner and outer signature algorithm identifiers don't match";
        return Err(failed(what));
    }
    let algorithm = SignatureAlgorithm::of(&Algorithm::of(inner)?);

    let raw_issuer = part(fields.element(der::SEQUENCE), "issuer")?.whole;
    let issuer = name::parse(raw_issuer)?;
    let mut validity = part(fields.read(der::SEQUENCE), "validity")?;
    let not_before = time::read(&mut validity).map_err(failed)?;
    let not_after = time::read(&mut validity).map_err(failed)?;
    let raw_subject = part(fields.element(der::SEQUENCE), "issuer")?.whole;
    let subject = name::parse(raw_subject)?;

    let info = part(fields.element(der::SEQUENCE), "spki")?;
    let (key_kind, key) = keys::public_key_info(Der::new(info.content), false)?;
    let mut extensions = Vec::new();
    if version > 1 {
        part(fields.optional(der::context(1)), "issuerUniqueID")?;
        part(fields.optional(der::context(2)), "subjectUniqueID")?;
    }
    if version == 3
        && let Some(mut all) = part(fields.optional(der::constructed(3)), "extensions")?
    {
        extensions = parse_extensions(part(all.read(der::SEQUENCE), "extensions")?)?;
    }
    let parsed = Extensions::of(&extensions)?;
    let signature = part(outer.bit_string(), "signature")?.right_aligned();
    Ok(Certificate {
        raw: whole.whole.to_vec(),
        raw_signed: signed.whole.to_vec(),
        raw_key: info.whole.to_vec(),
        raw_subject: raw_subject.to_vec(),
        raw_issuer: raw_issuer.to_vec(),
        signature,
        algorithm,
        key_kind,
        key,
        version,
        serial,
        issuer,
        subject,
        not_before,
        not_after,
        extensions,
        parsed,
    })
}

fn parse_extensions(mut all: Der<'_>) -> Result<Vec<Extension>, Failure> {
    let mut extensions: Vec<Extension> = Vec::new();
    let mut seen = BTreeSet::new();
    while !all.is_empty() {
        let one = all.read(der::SEQUENCE).ok_or_else(|| failed("x509: malformed extension"))?;
        let extension = extension::parse(one)?;
        if !seen.insert(extension.id.clone()) {
            return Err(failed(&format!(
                "x509: certificate contains duplicate extension with OID \"{}\"",
                extension.id
            )));
        }
        extensions.push(extension);
    }
    Ok(extensions)
}
