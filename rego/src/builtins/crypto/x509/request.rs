//! Requests for certificates.

use regorus::Value;

use super::algorithm::SignatureAlgorithm;
use super::extension::{self, Extension};
use super::extensions::{Names, SUBJECT_ALTERNATIVE_NAME};
use super::lists::{list, oid};
use super::{name, value};
use crate::builtins::crypto::der::{self, Der};
use crate::builtins::crypto::keys::{self, Algorithm};
use crate::builtins::crypto::{base64_value, failed, object};
use crate::builtins::{Answer, Failure, limits};

/// The highest number of bytes of a request.
const BYTES: usize = 1 << 18;

/// The attribute that requests extensions.
const EXTENSION_REQUEST: &[u32] = &[1, 2, 840, 113_549, 1, 9, 14];

/// A request as Go writes it in JSON. Its signature is not checked.
///
/// # Errors
/// When it is malformed; more than [`BYTES`] end the evaluation.
pub(super) fn value(bytes: &[u8]) -> Answer {
    if bytes.len() > BYTES {
        return Err(limits::exceeded("a certificate request is too long"));
    }
    let structure = || failed("asn1: structure error");
    let mut rest = Der::new(bytes);
    let whole = rest.element(der::SEQUENCE).ok_or_else(structure)?;
    if !rest.is_empty() {
        return Err(failed("asn1: syntax error: trailing data"));
    }
    let mut outer = Der::new(whole.content);
    let signed = outer.element(der::SEQUENCE).ok_or_else(structure)?;
    let algorithm = Algorithm::of(outer.read(der::SEQUENCE).ok_or_else(structure)?)?;
    let signature = outer.bit_string().ok_or_else(structure)?.right_aligned();
    let mut fields = Der::new(signed.content);
    let version = fields.word(der::INTEGER).ok_or_else(structure)?;
    let raw_subject = fields.element(der::SEQUENCE).ok_or_else(structure)?.whole;
    let info = fields.element(der::SEQUENCE).ok_or_else(structure)?;
    let attributes = fields.read(der::constructed(0)).ok_or_else(structure)?;

    let (kind, key) = keys::public_key_info(Der::new(info.content), false)?;
    let subject =
        name::parse_with(raw_subject, |value| match name::string(value.tag, value.content) {
            Ok(text) => Ok(Ok(text)),
            Err(what) => any_value(Der::new(value.whole)).map(Err).ok_or(what),
        })?;
    let extensions = requested(attributes)?;
    let mut names = Names::default();
    for extension in &extensions {
        if extension.id.is(SUBJECT_ALTERNATIVE_NAME) {
            names = Names::of(Der::new(&extension.value))?;
        }
    }
    let mut all: Vec<(&str, Value)> = vec![
        ("Raw", base64_value(whole.whole)),
        ("RawTBSCertificateRequest", base64_value(signed.whole)),
        ("RawSubjectPublicKeyInfo", base64_value(info.whole)),
        ("RawSubject", base64_value(raw_subject)),
        ("Version", Value::from(version)),
        ("Signature", base64_value(&signature)),
        ("SignatureAlgorithm", Value::from(SignatureAlgorithm::of(&algorithm).number())),
        ("PublicKeyAlgorithm", Value::from(kind.number())),
        ("PublicKey", key.as_ref().map_or(Value::Null, keys::public_value)),
        ("Subject", subject.value()),
        ("Attributes", list(attribute_values(attributes).into_iter())),
        ("Extensions", list(extensions.iter().map(value::extension))),
        ("ExtraExtensions", Value::Null),
    ];
    all.extend(value::names(&names));
    let all = all.into_iter().map(|(name, value)| (Value::from(name), value));
    Ok(Value::from(all.collect::<std::collections::BTreeMap<_, _>>()))
}

/// The extensions that the request asks for.
fn requested(mut attributes: Der<'_>) -> Result<Vec<Extension>, Failure> {
    let mut extensions: Vec<Extension> = Vec::new();
    while !attributes.is_empty() {
        let attribute = attributes.any().ok_or_else(|| failed("asn1: structure error"))?;
        let mut whole = Der::new(attribute.whole);
        let mut first = || {
            let mut fields = whole.read(der::SEQUENCE)?;
            let id = fields.oid()?;
            let first = fields.read(der::SET)?.any()?;
            id.is(EXTENSION_REQUEST).then_some(first)
        };
        let Some(first) = first() else { continue };
        let list = Der::new(first.whole).read(der::SEQUENCE);
        let mut list = list.ok_or_else(|| failed("asn1: structure error"))?;
        let mut own: Vec<Extension> = Vec::new();
        while !list.is_empty() {
            let one = list.read(der::SEQUENCE);
            own.push(extension::parse(one.ok_or_else(|| failed("asn1: structure error"))?)?);
        }
        for extension in own {
            if extensions.iter().any(|other| other.id == extension.id) {
                let what = "x509: certificate request contains duplicate requested extensions";
                return Err(failed(what));
            }
            extensions.push(extension);
        }
    }
    Ok(extensions)
}

/// The attributes that are sets of sequences of a kind and a value each, as Go reads requested
/// extensions; others are left out.
fn attribute_values(mut attributes: Der<'_>) -> Vec<Value> {
    let mut values = Vec::new();
    while let Some(attribute) = attributes.any() {
        values.extend(attribute_value(attribute.whole));
    }
    values
}

fn attribute_value(whole: &[u8]) -> Option<Value> {
    let mut fields = Der::new(whole).read(der::SEQUENCE)?;
    let kind = fields.oid()?;
    let mut set = fields.read(der::SET)?;
    let mut sequences = Vec::new();
    while !set.is_empty() {
        let mut sequence = set.read(der::SEQUENCE)?;
        let mut pairs = Vec::new();
        while !sequence.is_empty() {
            let mut pair = sequence.read(der::SEQUENCE)?;
            let kind = pair.oid()?;
            let value = any_value(pair)?;
            pairs.push(object([("Type", oid(&kind)), ("Value", value)]));
        }
        sequences.push(Value::from(pairs));
    }
    Some(object([("Type", oid(&kind)), ("Value", Value::from(sequences))]))
}

/// A value of any type, as Go reads it. Those whose type it does not know are `null`.
fn any_value(mut rest: Der<'_>) -> Option<Value> {
    let mut same = rest;
    let element = rest.any()?;
    Some(match element.tag {
        der::BOOLEAN => Value::from(same.boolean()?),
        der::INTEGER => Value::from(same.word(der::INTEGER)?),
        der::OBJECT_IDENTIFIER => oid(&same.oid()?),
        der::OCTET_STRING => base64_value(element.content),
        der::UTC_TIME | der::GENERALIZED_TIME => {
            Value::from(super::time::read(&mut same).ok()?.text)
        }
        der::PRINTABLE_STRING
        | der::NUMERIC_STRING
        | der::IA5_STRING
        | der::T61_STRING
        | der::UTF8_STRING
        | der::BMP_STRING => Value::from(name::string(element.tag, element.content).ok()?),
        der::BIT_STRING => {
            let bits = same.bit_string()?;
            let (bytes, length) = bits.left_aligned();
            object([("Bytes", base64_value(bytes)), ("BitLength", Value::from(length))])
        }
        _ => Value::Null,
    })
}
