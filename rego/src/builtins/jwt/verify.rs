//! `io.jwt.verify_*`, and what verifies a token with the keys of a text.

use regorus::Value;

use super::token::{Header, Token};
use super::{failed, jwk};
use crate::builtins::crypto::keys::{PublicKey, public_key_of_der};
use crate::builtins::crypto::signature::{self, Hash, Padding};
use crate::builtins::crypto::{pem, x509};
use crate::builtins::operands::{argument, string, wrong_type};
use crate::builtins::{Answer, Context, Failure, bytes, limits};

/// A key that tokens are verified with. Which kind it is was said with the key, never by a token: an
/// algorithm that needs another kind verifies nothing.
pub(super) enum VerificationKey {
    Public(PublicKey),
    /// The public half of a private key of a JSON Web Key, which `io.jwt.verify_*` do not take.
    OfPrivate(PublicKey),
    /// A secret, for keyed hashes alone.
    Secret(Vec<u8>),
}

/// A key with what its JSON Web Key says of it.
pub(super) struct NamedKey {
    pub(super) alg: String,
    pub(super) kid: String,
    pub(super) key: VerificationKey,
}

/// How a token is signed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Algorithm {
    Keyed(Hash),
    Rsa(Padding, Hash),
    Ec(Hash),
    EdDsa,
}

impl Algorithm {
    /// The algorithm of a token's header, by the names of tokens and those that OPA's library has
    /// besides.
    pub(super) fn named(name: &str) -> Option<Self> {
        use Hash::{Sha256, Sha384, Sha512};
        Some(match name {
            "HS256" | "HMAC_WITH_SHA256" => Self::Keyed(Sha256),
            "HS384" | "HMAC_WITH_SHA384" => Self::Keyed(Sha384),
            "HS512" | "HMAC_WITH_SHA512" => Self::Keyed(Sha512),
            "RS256" | "RSA_PKCS1v15_WITH_SHA256" => Self::Rsa(Padding::Pkcs1, Sha256),
            "RS384" | "RSA_PKCS1v15_WITH_SHA384" => Self::Rsa(Padding::Pkcs1, Sha384),
            "RS512" | "RSA_PKCS1v15_WITH_SHA512" => Self::Rsa(Padding::Pkcs1, Sha512),
            "PS256" | "RSA_PSS_WITH_SHA256" => Self::Rsa(Padding::Pss, Sha256),
            "PS384" | "RSA_PSS_WITH_SHA384" => Self::Rsa(Padding::Pss, Sha384),
            "PS512" | "RSA_PSS_WITH_SHA512" => Self::Rsa(Padding::Pss, Sha512),
            "ES256" | "ECDSA_WITH_P256_AND_SHA256" => Self::Ec(Sha256),
            "ES384" | "ECDSA_WITH_P384_AND_SHA384" => Self::Ec(Sha384),
            "ES512" | "ECDSA_WITH_P521_AND_SHA512" => Self::Ec(Sha512),
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Whether OPA signs with it, and takes keys that name it.
    pub(super) fn is_known(name: &str) -> bool {
        let short = name.len() == 5 && name != "none";
        short && Self::named(name).is_some()
    }

    /// Whether a signature is one of this key, as `io.jwt.decode_verify` takes them: halves of ECDSA's are
    /// as long as the curve's numbers, and a salt of PSS is as long as the hash.
    pub(super) fn verifies(self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> bool {
        let public = match key {
            VerificationKey::Secret(secret) => {
                return match self {
                    Self::Keyed(hash) if !secret.is_empty() => {
                        signature::same(&hash.keyed(secret, message), signature)
                    }
                    Self::Keyed(_) | Self::Rsa(..) | Self::Ec(_) | Self::EdDsa => false,
                };
            }
            VerificationKey::Public(public) | VerificationKey::OfPrivate(public) => public,
        };
        match (self, public) {
            (Self::Rsa(padding, hash), PublicKey::Rsa(key)) => {
                signature::verify_rsa(key, padding, hash, message, signature)
            }
            (Self::Ec(hash), PublicKey::Ec(key)) => {
                let halves = signature.split_at_checked(key.curve.bytes());
                halves.is_some_and(|(r, s)| {
                    r.len() == s.len() && signature::verify_ec(key, hash, message, r, s)
                })
            }
            (Self::EdDsa, PublicKey::Ed25519(key)) => {
                signature::verify_ed25519(key, message, signature)
            }
            _ => false,
        }
    }

    /// The same as `io.jwt.verify_*` take it: public keys alone, salts of any length, and halves of a
    /// signature of any length.
    fn verifies_leniently(self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> bool {
        match (self, key) {
            (Self::Rsa(Padding::Pss, hash), VerificationKey::Public(_)) => {
                Self::Rsa(Padding::PssAnySalt, hash).verifies(key, message, signature)
            }
            (Self::Ec(hash), VerificationKey::Public(PublicKey::Ec(key))) => {
                let halves = signature.split_at_checked(signature.len() / 2);
                halves.is_some_and(|(r, s)| signature::verify_ec(key, hash, message, r, s))
            }
            (_, VerificationKey::Public(_)) => self.verifies(key, message, signature),
            (_, VerificationKey::OfPrivate(_) | VerificationKey::Secret(_)) => false,
        }
    }
}

/// The keys of a certificate or public key in PEM, of a JSON Web Key, or of a set of them.
///
/// # Errors
/// Where the text is none of them. What it says has no part of the text.
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
    // With a key of an unknown kind, nothing is verified.
    let key = VerificationKey::Public(key.unwrap_or(PublicKey::Agreement));
    Ok(vec![NamedKey { alg: String::new(), kid: String::new(), key }])
}

/// Whether one of the keys verifies: the one that the header names, where there is it; else any of
/// which the algorithm is the header's or not said.
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
