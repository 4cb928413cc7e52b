//! Private keys in DER: PKCS #1, PKCS #8 and SEC 1.

use num_bigint::BigUint;

use super::der::{self, Der, Oid};
use super::keys::{
    Algorithm, Crt, Curve, EC, ED25519, EcPrivate, EcPublic, PrivateKey, RSA, RsaPrivate,
    RsaPublic, X25519, above_zero, ed25519, fixed,
};
use super::{curves, failed};
use crate::builtins::Failure;

/// Go's message for a private key in a different form than requested.
fn instead(bytes: &[u8], asked: &str) -> Failure {
    let mut fields = Der::new(bytes).read(der::SEQUENCE);
    let next = |fields: &mut Der<'_>| fields.any().map(|element| element.tag);
    let tags = fields.as_mut().map(|fields| [next(fields), next(fields), next(fields)]);
    let form = match tags {
        Some([Some(der::INTEGER), Some(der::OCTET_STRING), _]) => "EC",
        Some([Some(der::INTEGER), Some(der::SEQUENCE), Some(der::OCTET_STRING)]) => "PKCS8",
        Some([Some(der::INTEGER), Some(der::INTEGER), Some(der::INTEGER)]) => "PKCS1",
        _ => asked,
    };
    if form == asked {
        return failed("asn1: structure error");
    }
    failed(&format!(
        "x509: failed to parse private key (use Parse{form}PrivateKey instead for this key format)"
    ))
}

/// A private RSA key of PKCS #1.
pub(super) fn pkcs1(bytes: &[u8]) -> Result<RsaPrivate, Failure> {
    let mut rest = Der::new(bytes);
    let structure = || instead(bytes, "PKCS1");
    let mut key = rest.read(der::SEQUENCE).ok_or_else(structure)?;
    if !rest.is_empty() {
        return Err(failed("asn1: syntax error: trailing data"));
    }
    let version = key.word(der::INTEGER).ok_or_else(structure)?;
    let n = key.integer().ok_or_else(structure)?;
    let e = key.word(der::INTEGER).ok_or_else(structure)?;
    let mut numbers = Vec::new();
    for i in 0..6 {
        match key.integer() {
            Some(number) => numbers.push(number),
            None if i < 3 => return Err(structure()),
            None => break,
        }
    }
    if version > 1 {
        return Err(failed("x509: unsupported private key version"));
    }
    let positive = || failed("x509: private key contains zero or negative value");
    let n = above_zero(n).ok_or_else(positive)?;
    let numbers: Option<Vec<BigUint>> = numbers.into_iter().map(above_zero).collect();
    let mut numbers = numbers.ok_or_else(positive)?.into_iter();
    let mut next = || numbers.next();
    let (Some(d), Some(p), Some(q)) = (next(), next(), next()) else { return Err(structure()) };
    let crt = match (next(), next(), next()) {
        (Some(dp), Some(dq), Some(qinv)) => Some(Crt { dp, dq, qinv }),
        _ => None,
    };
    if key.peek(der::SEQUENCE) {
        return Err(failed("x509: RSA keys of more than two primes are not supported"));
    }
    let e = u64::try_from(e).unwrap_or(0);
    RsaPrivate::new(RsaPublic::new(n, e)?, d, p, q, crt)
}

/// A private key of PKCS #8.
pub(super) fn pkcs8(bytes: &[u8]) -> Result<PrivateKey, Failure> {
    let structure = || instead(bytes, "PKCS8");
    let mut info = Der::new(bytes).read(der::SEQUENCE).ok_or_else(structure)?;
    info.word(der::INTEGER).ok_or_else(structure)?;
    let algorithm = Algorithm::of(info.read(der::SEQUENCE).ok_or_else(structure)?)?;
    let key = info.read(der::OCTET_STRING).ok_or_else(structure)?.bytes();
    let embedded = |kind: &str, failure: Failure| match failure {
        Failure::Builtin(what) => {
            failed(&format!("x509: failed to parse {kind} private key embedded in PKCS#8: {what}"))
        }
        other => other,
    };
    match algorithm.oid.parts() {
        RSA => pkcs1(key).map(PrivateKey::Rsa).map_err(|failure| embedded("RSA", failure)),
        EC => {
            let curve = Der::new(algorithm.parameters).oid();
            ec(curve.as_ref(), key).map(PrivateKey::Ec).map_err(|failure| embedded("EC", failure))
        }
        ED25519 | X25519 => {
            let name = if algorithm.oid.is(ED25519) { "Ed25519" } else { "X25519" };
            if !algorithm.parameters.is_empty() {
                return Err(failed(&format!("x509: invalid {name} private key parameters")));
            }
            let seed = Der::new(key).read(der::OCTET_STRING).map(Der::bytes);
            let seed = seed.and_then(|seed| <[u8; 32]>::try_from(seed).ok());
            let seed = seed.ok_or_else(|| failed(&format!("x509: invalid {name} private key")))?;
            Ok(if name == "Ed25519" {
                PrivateKey::Ed25519(ed25519(seed))
            } else {
                PrivateKey::Agreement(seed)
            })
        }
        _ => Err(failed(&format!(
            "x509: PKCS#8 wrapping contained private key with unknown algorithm: {}",
            algorithm.oid
        ))),
    }
}

/// A private key of SEC 1. The curve may be given outside of it.
pub(super) fn ec(curve: Option<&Oid>, bytes: &[u8]) -> Result<EcPrivate, Failure> {
    let structure = || match instead(bytes, "EC") {
        Failure::Builtin(what) if what.starts_with("asn1") => {
            failed(&format!("x509: failed to parse EC private key: {what}"))
        }
        other => other,
    };
    let mut key = Der::new(bytes).read(der::SEQUENCE).ok_or_else(structure)?;
    let version = key.word(der::INTEGER).ok_or_else(structure)?;
    let number = key.read(der::OCTET_STRING).ok_or_else(structure)?.bytes();
    let named = match key.optional(der::constructed(0)).ok_or_else(structure)? {
        Some(mut named) => Some(named.oid().ok_or_else(structure)?),
        None => None,
    };
    if version != 1 {
        return Err(failed(&format!("x509: unknown EC private key version {version}")));
    }
    let curve = curve.or(named.as_ref()).and_then(Curve::of);
    let curve = curve.ok_or_else(|| failed("x509: unknown elliptic curve"))?;
    let d =
        fixed(number, curve.bytes()).ok_or_else(|| failed("x509: invalid private key length"))?;
    ec_private(curve, d).ok_or_else(|| failed("crypto/ecdsa: invalid private key"))
}

fn ec_private(curve: Curve, d: Vec<u8>) -> Option<EcPrivate> {
    let public = match curve {
        Curve::P224 => None,
        Curve::P256 => curves::p256_key::public(&d),
        Curve::P384 => curves::p384_key::public(&d),
        Curve::P521 => curves::p521_key::public(&d),
    };
    let (x, y) = public?;
    Some(EcPrivate { public: EcPublic { curve, x, y }, d })
}
