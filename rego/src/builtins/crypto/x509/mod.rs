//! `crypto.x509.*`

mod algorithm;
mod certificate;
mod constraints;
mod domain;
mod extension;
mod extensions;
mod lists;
mod name;
mod policies;
mod request;
mod time;
mod value;
mod verify;

use regorus::Value;
use regorus::value::Object;

use self::certificate::Certificate;
use self::verify::Options;
use super::keys::{self, PrivateKey, PublicKey};
use super::{base64_value, failed, object, pem, private_der};
use crate::builtins::go::base64;
use crate::builtins::number::Number;
use crate::builtins::operands::{self, string, wrong_type};
use crate::builtins::{Answer, Context, Failure, bytes, operands::argument, order};

/// The key of a single certificate; `None` where its kind is unknown.
///
/// # Errors
/// When the bytes are not a certificate.
pub(in crate::builtins) fn public_key(bytes: &[u8]) -> Result<Option<PublicKey>, Failure> {
    certificate::parse(bytes).map(|certificate| certificate.key)
}

/// The certificates of a text: in PEM, or in base64 of that or of DER.
fn certificates(text: &str) -> Result<Vec<Certificate>, Failure> {
    let text = bytes::of(text);
    if pem::is_pem(&text) {
        return of_pem(&text);
    }
    let decoded = base64::decode(&text, base64::STANDARD)?;
    if pem::is_pem(&decoded) { of_pem(&decoded) } else { certificate::parse_all(&decoded) }
}

fn of_pem(text: &[u8]) -> Result<Vec<Certificate>, Failure> {
    let mut rest = text;
    let mut all = Vec::new();
    while let (Some(block), after) = pem::decode(rest) {
        if block.label != "CERTIFICATE" {
            let label = block.label;
            return Err(failed(&format!("PEM block type is '{label}', expected CERTIFICATE")));
        }
        rest = after;
        all.extend(block.bytes);
    }
    certificate::parse_all(&all)
}

pub(in crate::builtins) fn parse_certificates(_: &mut Context, args: &[Value]) -> Answer {
    let all = certificates(string(args, 1)?)?;
    Ok(Value::from(all.iter().map(|one| value::certificate(one, true)).collect::<Vec<_>>()))
}

pub(in crate::builtins) fn parse_and_verify_certificates(
    context: &mut Context,
    args: &[Value],
) -> Answer {
    let certificates = read(string(args, 1)?)?;
    let options = Options { now_ns: context.now_ns, ..Options::default() };
    verified(context, certificates, &options, true)
}

pub(in crate::builtins) fn parse_and_verify_certificates_with_options(
    context: &mut Context,
    args: &[Value],
) -> Answer {
    let text = string(args, 1)?;
    let options = operands::object(args, 2)?;
    let Some(certificates) = read(text)? else { return Ok(invalid()) };
    let options = options_of(context, options)?;
    verified(context, Some(certificates), &options, false)
}

/// The certificates; `None` where they are malformed.
fn read(text: &str) -> Result<Option<Vec<Certificate>>, Failure> {
    match certificates(text) {
        Ok(all) => Ok(Some(all)),
        Err(halt @ Failure::Halt(_)) => Err(halt),
        Err(_) => Ok(None),
    }
}

fn invalid() -> Value {
    Value::from(vec![Value::from(false), Value::from(Vec::<Value>::new())])
}

fn verified(
    context: &Context,
    certificates: Option<Vec<Certificate>>,
    options: &Options,
    uri_strings: bool,
) -> Answer {
    let Some(certificates) = certificates else { return Ok(invalid()) };
    let Some(chain) = verify::chain(context, &certificates, options)? else {
        return Ok(invalid());
    };
    let chain: Vec<Value> =
        chain.into_iter().map(|one| value::certificate(one, uri_strings)).collect();
    Ok(Value::from(vec![Value::from(true), Value::from(chain)]))
}

/// The usages, by Go's numbers.
const USAGES: &[&str] = &[
    "KeyUsageAny",
    "KeyUsageServerAuth",
    "KeyUsageClientAuth",
    "KeyUsageCodeSigning",
    "KeyUsageEmailProtection",
    "KeyUsageIPSECEndSystem",
    "KeyUsageIPSECTunnel",
    "KeyUsageIPSECUser",
    "KeyUsageTimeStamping",
    "KeyUsageOCSPSigning",
    "KeyUsageMicrosoftServerGatedCrypto",
    "KeyUsageNetscapeServerGatedCrypto",
    "KeyUsageMicrosoftCommercialCodeSigning",
    "KeyUsageMicrosoftKernelCodeSigning",
];

fn options_of(context: &Context, given: &Object) -> Result<Options, Failure> {
    let mut options = Options { now_ns: context.now_ns, ..Options::default() };
    for (key, value) in order::entries(given) {
        let Value::String(key) = key else { continue };
        match &**key {
            "DNSName" => {
                let Value::String(name) = value else {
                    return Err(failed("'DNSName' should be a string"));
                };
                name.trim_matches('"').clone_into(&mut options.name);
            }
            "CurrentTime" => {
                if !matches!(value, Value::Number(_)) {
                    return Err(failed("'CurrentTime' should be a number"));
                }
                options.now_ns = word(value)
                    .ok_or_else(|| failed("'CurrentTime' should be a valid int64 number"))?;
            }
            // Go compares few names and no longer counts them, so only the type is checked.
            "MaxConstraintComparisons" => {
                if !matches!(value, Value::Number(_)) {
                    return Err(failed("'MaxConstraintComparisons' should be a number"));
                }
                word(value)
                    .ok_or_else(|| failed("'MaxConstraintComparisons' should be a valid number"))?;
            }
            "KeyUsages" => options.usages = usages(value)?,
            _ => return Err(failed("invalid key option")),
        }
    }
    Ok(options)
}

/// An integer of a word.
fn word(value: &Value) -> Option<i64> {
    Number::of(value)?.to_i64()
}

fn usages(value: &Value) -> Result<Vec<u8>, Failure> {
    let all: Vec<&Value> = match value {
        Value::Array(all) => all.iter().collect(),
        Value::Set(all) => order::elements(all),
        _ => return Err(failed("'KeyUsages' should be an Array or Set")),
    };
    let (mut usages, mut invalid) = (Vec::new(), Vec::new());
    for one in all {
        let Value::String(name) = one else { continue };
        let name = name.trim_matches('"');
        match USAGES.iter().position(|usage| *usage == name) {
            Some(number) => usages.push(u8::try_from(number).unwrap_or(verify::ANY_USAGE)),
            None => invalid.push(name),
        }
    }
    if !invalid.is_empty() {
        let what = format!("invalid entries for 'KeyUsages' found: [{}]", invalid.join(" "));
        return Err(failed(&what));
    }
    Ok(usages)
}

pub(in crate::builtins) fn parse_certificate_request(_: &mut Context, args: &[Value]) -> Answer {
    let text = bytes::of(string(args, 1)?);
    let bytes = if text.starts_with(b"-----BEGIN CERTIFICATE REQUEST-----") {
        text.into_owned()
    } else {
        base64::decode(&text, base64::STANDARD)?
    };
    match pem::decode(&bytes) {
        (Some(block), _) if block.label == "CERTIFICATE REQUEST" => request::value(&block.bytes),
        (Some(_), _) => Err(failed("invalid PEM-encoded certificate signing request")),
        (None, _) => request::value(&bytes),
    }
}

pub(in crate::builtins) fn parse_keypair(_: &mut Context, args: &[Value]) -> Answer {
    let text = |position| match argument(args, position) {
        Value::String(text) => Ok(bytes::of(text)),
        // OPA calls both the first.
        other => Err(wrong_type(1, other, &["string"])),
    };
    let (certificate, key) = (text(1)?, text(2)?);
    let decoded = |text: &[u8]| {
        if text.starts_with(b"-----BEGIN ") {
            Ok(text.to_vec())
        } else {
            base64::decode(text, base64::STANDARD)
        }
    };
    let (certificate, key) = (decoded(&certificate)?, decoded(&key)?);
    let chain = if pem::is_pem(&certificate) { blocks(&certificate)? } else { vec![certificate] };
    let key = if pem::is_pem(&key) { key_block(&key)? } else { key };
    let Some(first) = chain.first() else { return Err(failed("tls: no certificate")) };
    let leaf = certificate::parse(first)?;
    let key = private_key(&key)?;
    match (&leaf.key, &key) {
        (Some(PublicKey::Rsa(public)), PrivateKey::Rsa(key)) if key.public == *public => {}
        (Some(PublicKey::Ec(public)), PrivateKey::Ec(key)) if key.public == *public => {}
        (Some(PublicKey::Ed25519(public)), PrivateKey::Ed25519(key)) if key.public == *public => {}
        (Some(PublicKey::Rsa(_)), PrivateKey::Rsa(_))
        | (Some(PublicKey::Ec(_)), PrivateKey::Ec(_))
        | (Some(PublicKey::Ed25519(_)), PrivateKey::Ed25519(_)) => {
            return Err(failed("tls: private key does not match public key"));
        }
        (Some(PublicKey::Rsa(_) | PublicKey::Ec(_) | PublicKey::Ed25519(_)), _) => {
            return Err(failed("tls: private key type does not match public key type"));
        }
        (Some(PublicKey::Dsa(_) | PublicKey::Agreement) | None, _) => {
            return Err(failed("tls: unknown public key algorithm"));
        }
    }
    Ok(object([
        ("Certificate", Value::from(chain.iter().map(|der| base64_value(der)).collect::<Vec<_>>())),
        ("PrivateKey", keys::private_value(&key)),
        ("SupportedSignatureAlgorithms", Value::Null),
        ("OCSPStaple", Value::Null),
        ("SignedCertificateTimestamps", Value::Null),
        ("Leaf", value::certificate(&leaf, false)),
    ]))
}

/// The certificates of a text in PEM.
fn blocks(text: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut rest = text;
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    while let (Some(block), after) = pem::decode(rest) {
        rest = after;
        if block.label == "CERTIFICATE" {
            found.push(block.bytes);
        } else {
            skipped.push(block.label);
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    Err(match skipped.as_slice() {
        [] => failed("tls: failed to find any PEM data in certificate input"),
        [one] if one.ends_with("PRIVATE KEY") => failed(
            "tls: failed to find certificate PEM data in certificate input, but did find a private \
             key; PEM inputs may have been switched",
        ),
        many => failed(&format!(
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM \
             blocks of the following types: [{}]",
            many.join(" ")
        )),
    })
}

/// The first private key of a text in PEM.
fn key_block(text: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut rest = text;
    let mut skipped = Vec::new();
    while let (Some(block), after) = pem::decode(rest) {
        rest = after;
        if block.label == "PRIVATE KEY" || block.label.ends_with(" PRIVATE KEY") {
            return Ok(block.bytes);
        }
        skipped.push(block.label);
    }
    Err(match skipped.as_slice() {
        [] => failed("tls: failed to find any PEM data in key input"),
        [one] if one == "CERTIFICATE" => {
            failed("tls: found a certificate rather than a key in the PEM for the private key")
        }
        many => failed(&format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after \
             skipping PEM blocks of the following types: [{}]",
            many.join(" ")
        )),
    })
}

/// A private key in any of the three forms.
fn private_key(der: &[u8]) -> Result<PrivateKey, Failure> {
    let halts = |failure: &Failure| matches!(failure, Failure::Halt(_));
    match private_der::pkcs1(der) {
        Ok(key) => return Ok(PrivateKey::Rsa(key)),
        Err(failure) if halts(&failure) => return Err(failure),
        Err(_) => {}
    }
    match private_der::pkcs8(der) {
        Ok(PrivateKey::Agreement(_)) => {
            return Err(failed("tls: found unknown private key type in PKCS#8 wrapping"));
        }
        Ok(key) => return Ok(key),
        Err(failure) if halts(&failure) => return Err(failure),
        Err(_) => {}
    }
    match private_der::ec(None, der) {
        Ok(key) => Ok(PrivateKey::Ec(key)),
        Err(_) => Err(failed("tls: failed to parse private key")),
    }
}
