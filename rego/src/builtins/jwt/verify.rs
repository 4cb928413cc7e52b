//! `io.jwt.verify_*`, and the verification of a token with the keys of a text.

use regorus::Value;

use super::algorithm::Algorithm;
use super::key::{NamedKey, VerificationKey};
use super::token::{Header, Token};
use super::{failed, jwk};
use crate::builtins::crypto::keys::{PublicKey, public_key_of_der};
use crate::builtins::crypto::signature::{self, Hash, Padding};
use crate::builtins::crypto::{pem, x509};
use crate::builtins::operands::{argument, string, wrong_type};
use crate::builtins::{Answer, Context, Failure, bytes, limits};

/// The keys of a certificate or public key in PEM, of a JSON Web Key, or of a set of them.
///
/// # Errors
/// When the text is none of these. The message contains no part of the text.
pub(super) fn keys(text: &str) -> Result<Vec<NamedKey>, Failure> {
    let text_bytes = bytes::of(text);
    let (Some(block), rest) = pem::decode(&text_bytes) else { return jwk::verification_keys(text) };
    if !rest.is_empty() {
        return Err(failed("extra data after a PEM certificate block"));
    }
    let key = match block.label.as_str() {
        "CERTIFICATE" => x509::public_key(&block.bytes).map_err(|failure| {
            super::token::within("failed to parse a PEM certificate", failure)
        })?,
        "PUBLIC KEY" => Some(public_key_of_der(&block.bytes).map_err(|failure| {
            super::token::within("failed to parse a PEM public key", failure)
        })?),
        _ => return Err(failed("failed to extract a Key from the PEM certificate")),
    };
    // A key of an unknown kind never verifies.
    let key = VerificationKey::Public(key.unwrap_or(PublicKey::Agreement));
    Ok(vec![NamedKey { alg: String::new(), kid: String::new(), key }])
}

/// Whether one of the keys verifies: the one that the header names, if it exists; otherwise any
/// with the header's algorithm or without an algorithm.
pub(super) fn any_verifies(
    context: &Context,
    keys: &[NamedKey],
    header: &Header,
    verifies: impl Fn(&VerificationKey) -> bool,
) -> Result<bool, Failure> {
    if !header.kid.is_empty()
        && let Some(named) = keys.iter().find(|named| named.kid == header.kid)
    {
        return Ok(verifies(&named.key));
    }
    for named in keys {
        limits::in_time(context)?;
        if (named.alg.is_empty() || named.alg == header.alg) && verifies(&named.key) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn verify(context: &Context, args: &[Value], algorithm: Algorithm) -> Answer {
    let token = Token::of(string(args, 1)?)?;
    let keys = keys(string(args, 2)?)?;
    let signature = token.signature()?;
    let header = Header::of(&token.header()?)?;
    let message = token.message();
    let valid = any_verifies(context, &keys, &header, |key| {
        algorithm.verifies_leniently(key, &message, &signature)
    })?;
    Ok(Value::from(valid))
}

fn verify_keyed(args: &[Value], hash: Hash) -> Answer {
    let text = string(args, 1)?;
    let secret = match argument(args, 2) {
        Value::String(secret) => bytes::of(secret),
        other => return Err(wrong_type(2, other, &["string"])),
    };
    let token = Token::of(text)?;
    let signature = token.signature()?;
    Ok(Value::from(signature::same(&hash.keyed(&secret, &token.message()), &signature)))
}

macro_rules! verifies {
    ($($name:ident: $algorithm:expr;)*) => {$(
        pub(in crate::builtins) fn $name(context: &mut Context, args: &[Value]) -> Answer {
            verify(context, args, $algorithm)
        }
    )*};
}
verifies! {
    verify_rs256: Algorithm::Rsa(Padding::Pkcs1, Hash::Sha256);
    verify_rs384: Algorithm::Rsa(Padding::Pkcs1, Hash::Sha384);
    verify_rs512: Algorithm::Rsa(Padding::Pkcs1, Hash::Sha512);
    verify_ps256: Algorithm::Rsa(Padding::Pss, Hash::Sha256);
    verify_ps384: Algorithm::Rsa(Padding::Pss, Hash::Sha384);
    verify_ps512: Algorithm::Rsa(Padding::Pss, Hash::Sha512);
    verify_es256: Algorithm::Ec(Hash::Sha256);
    verify_es384: Algorithm::Ec(Hash::Sha384);
    verify_es512: Algorithm::Ec(Hash::Sha512);
    verify_eddsa: Algorithm::EdDsa;
}

pub(in crate::builtins) fn verify_hs256(_: &mut Context, args: &[Value]) -> Answer {
    verify_keyed(args, Hash::Sha256)
}

pub(in crate::builtins) fn verify_hs384(_: &mut Context, args: &[Value]) -> Answer {
    verify_keyed(args, Hash::Sha384)
}

pub(in crate::builtins) fn verify_hs512(_: &mut Context, args: &[Value]) -> Answer {
    verify_keyed(args, Hash::Sha512)
}
